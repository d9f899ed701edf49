mod decoder;
pub(crate) mod frame;
mod region;

pub use decoder::{Decoder, Event};
