//! Deltas: a delta turns a basis into a version.
//!
//! `format`, `header` and `ops` define the format. `prefix` finds the basis bytes from which new bytes are compressed or
//! predicted. `dense` and `substitution` are the models of these two codecs; both use `arithmetic` and `adaptive`, and
//! `dense` reads modules with `wasm`. `predicted` is the model of new bytes in codec 5. `containers` looks through base64
//! and deflate. `decode` is the receiver's side, `encode` and `sequence_alignment` are the server's side.

mod adaptive;
mod arithmetic;
pub(crate) mod containers;
#[cfg(feature = "dense")]
mod curves;
pub(crate) mod decode;
pub(crate) mod dense;
#[cfg(feature = "encode")]
mod encode;
mod error;
mod format;
mod header;
mod op_coder;
mod ops;
#[cfg_attr(not(feature = "dense"), path = "predicted/refused.rs")]
mod predicted;
mod prefix;
#[cfg(feature = "encode")]
mod sequence_alignment;
mod substitution;
#[cfg(feature = "dense")]
mod wasm;
mod words;

pub use decode::{Decoder, Event};
#[cfg(feature = "encode")]
pub use encode::{Codec, EncodeError, EncodeOptions, Encoder, encode_same};
pub use error::{DecodeError, Limit};
pub use header::{Basis, Header, Limits};
