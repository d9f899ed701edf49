//! Encoding: finds what the basis and the target share, plans each region, and writes the plan.
//!
//! With the default options each region has one plan: copies of all runs that the match finder finds. Nothing is
//! compared. Only if [`EncodeOptions::thorough`] is set, or another codec than [`Codec::Fast`], does the encoder make
//! several plans. `planner` and `regions` make them, [`plan::Goal`] compares them, and `region_writer` writes the one
//! that costs least.

mod basis_bytes;
mod compress;
mod context;
mod encoder;
mod error;
mod levels;
mod match_finder;
mod op_source;
mod options;
mod plan;
mod planner;
mod predicted;
mod region_writer;
mod regions;

pub use encoder::{Encoder, encode_same};
pub use error::EncodeError;
pub use options::{Codec, EncodeOptions};
