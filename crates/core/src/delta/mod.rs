//! The delta: what turns a basis into a version. One format, one encoder, one decoder.
//!
//! `header` and `ops` are the format itself, `reference` the rule by which both sides find the bytes that the compressor may look
//! back at; `dense` and `renames` are the models of those codecs, on `binary` and `adaptive`. `decode` is the receiver's push machine; `find`, `align` and `encode` are the server's side.

mod adaptive;
mod arithmetic;
pub(crate) mod decode;
pub(crate) mod dense;
#[cfg(feature = "encode")]
mod encode;
mod error;
mod format;
mod header;
mod op_coder;
mod ops;
mod reference;
#[cfg(feature = "encode")]
mod sequence_alignment;
mod substitution;
mod words;

pub use decode::{Decoder, Event};
#[cfg(feature = "encode")]
pub use encode::{Codec, EncodeError, EncodeOptions, Encoder, encode_same};
pub use error::{DecodeError, Limit};
pub use header::{Basis, Header, Limits};
