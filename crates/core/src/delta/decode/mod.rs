//! Decoding: turns a delta and its basis into a verified target.

mod copy_region;
mod decoder;
pub(crate) mod event;
pub(crate) mod frame;

pub use decoder::Decoder;
pub use event::Event;
