#[cfg(feature = "encode")]
pub(crate) mod encode;
mod follower;
mod guide;
mod mix;
mod model;
mod numbers;
mod pages;
mod recall;
pub(crate) mod region;
