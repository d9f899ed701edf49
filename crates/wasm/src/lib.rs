//! The receiver's side of driblet-core for JavaScript. This crate only converts.
//!
//! Bytes are not copied across the boundary. Callers read a file or a response into a [`Room`] in the module's memory,
//! and machines say where in that memory their output is. JavaScript uses a `Uint8Array` on both. An error becomes an
//! exception; its `code` is the reason of the error.

#![forbid(unsafe_code)]

mod codes;
#[cfg(not(feature = "directories"))]
mod decoder;
#[cfg(feature = "directories")]
mod directory;
#[cfg(feature = "directories")]
mod directory_codes;
mod exception;
#[cfg(feature = "directories")]
mod have;
#[cfg(feature = "directories")]
mod parts;
mod room;
#[cfg(feature = "codecs")]
mod signer;
#[cfg(not(feature = "codecs"))]
mod verifier;
mod want;

#[cfg(not(feature = "directories"))]
pub use decoder::Decoder;
#[cfg(feature = "directories")]
pub use directory::{DirectoryDelta, Manifest, Plan};
#[cfg(feature = "directories")]
pub use have::Have;
#[cfg(feature = "directories")]
pub use parts::PartsDecoder;
pub use room::Room;
#[cfg(feature = "codecs")]
pub use signer::{Matched, Signer};
#[cfg(not(feature = "codecs"))]
pub use verifier::Verifier;
pub use want::Want;
