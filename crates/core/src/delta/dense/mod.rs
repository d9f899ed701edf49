//! The dense codec (codec 2), as in `spec/dense.md` and `spec/modules.md`.

#[cfg(feature = "dense")]
mod buffer;
#[cfg(feature = "encode")]
pub(crate) mod encode;
#[cfg(feature = "dense")]
mod follower;
#[cfg(feature = "dense")]
mod guide;
#[cfg(feature = "dense")]
mod jumps;
#[cfg(feature = "dense")]
mod mix;
#[cfg(feature = "dense")]
mod model;
#[cfg(feature = "dense")]
mod primed_pages;
#[cfg(feature = "dense")]
mod recall;
#[cfg_attr(not(feature = "dense"), path = "refused.rs")]
pub(crate) mod region;
#[cfg(feature = "dense")]
mod shifts;
#[cfg(feature = "dense")]
mod situation;
#[cfg(feature = "dense")]
mod tokens;
