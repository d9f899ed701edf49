mod compress;
mod encoder;
mod match_finder;

pub use encoder::{Codec, EncodeError, EncodeOptions, Encoder, encode_same};
