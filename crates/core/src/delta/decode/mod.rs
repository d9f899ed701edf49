mod copy_region;
mod decoder;
pub(crate) mod frame;

pub use decoder::{Decoder, Event};
