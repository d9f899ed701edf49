//! Encoding: finds what the basis and the target share, plans each region, and writes the best plan.

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
mod region_writer;
mod regions;

pub use encoder::{Encoder, encode_same};
pub use error::EncodeError;
pub use options::{Codec, EncodeOptions};
