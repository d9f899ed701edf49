//! The receiver's side of driblet-core for JavaScript. This crate only converts.
//!
//! Bytes are not copied across the boundary. Callers read a file or a response into a [`Room`] in the module's memory,
//! and machines say where in that memory their output is. JavaScript uses a `Uint8Array` on both. An error becomes an
//! exception; its `code` is the reason of the error.

#![forbid(unsafe_code)]

mod codes;
mod decoder;
mod exception;
mod room;
mod signer;
mod verifier;

pub use decoder::{Decoder, Want};
pub use room::Room;
pub use signer::{Matched, Signer};
pub use verifier::Verifier;
