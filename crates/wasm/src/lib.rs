//! driblet-core for JavaScript: conversions, and nothing else.
//!
//! Bytes cross the boundary where they lie. A machine lends the caller room in its memory ([`Room`]) to read a file or a
//! response into, and says where its output lies; JavaScript lays a `Uint8Array` over either. What is refused becomes
//! an exception with the reason as its `code`.

#![forbid(unsafe_code)]

mod decoder;
mod error;
mod room;
mod signer;
mod verifier;

pub use decoder::{Decoder, Want};
pub use room::Room;
pub use signer::{Matched, Signer};
pub use verifier::Verifier;
