//! The dense codec (codec 2), as in `spec/dense.md`.

mod buffer;
#[cfg(feature = "encode")]
pub(crate) mod encode;
mod follower;
mod guide;
mod jumps;
mod mix;
mod model;
mod primed_pages;
mod recall;
pub(crate) mod region;
mod situation;
