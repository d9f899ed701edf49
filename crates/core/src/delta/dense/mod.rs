#[cfg(feature = "encode")]
mod encode;
mod follow;
mod guide;
mod mix;
mod model;
mod numbers;
mod pages;
mod recall;
mod region;

#[cfg(feature = "encode")]
pub(crate) use encode::encode;
pub(crate) use region::{Announced, Loading, Region};
