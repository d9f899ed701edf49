//! The dense codec (codec 2), as in `spec/dense.md`.

mod buffer;
mod byte_context;
#[cfg(feature = "encode")]
pub(crate) mod encode;
mod follower;
mod guide;
mod jumps;
mod mix;
mod model;
mod pages;
mod recall;
pub(crate) mod region;
