//! The sans-IO core of driblet: what is cut, hashed, signed, encoded and verified, without a socket, a file, a clock or a
//! random number in sight. The same lines run natively and as wasm.
//!
//! The bytes are those of `spec/protocol.md`. Everything that is decoded here is taken to be hostile: each length is
//! compared with a limit before memory is taken for it, and nothing panics on any input.
//!
//! A receiver drives two machines. [`Decoder`] turns a delta into a verified file; [`Chunker`] and [`Signature`] describe
//! what is held when the server does not know it. **After each `handle_…` call, poll until nothing new comes.**
//!
//! ```
//! use driblet_core::{Basis, Decoder, EncodeOptions, Encoder, Event, Limits, Version};
//!
//! let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
//! let mut encoder = Encoder::new(&old, &new, EncodeOptions::default());
//! let mut decoder = Decoder::new(Basis::of(&Version::of(&old), old.len() as u64), Limits::default());
//! let mut output = Vec::new();
//! while let Some(piece) = encoder.poll_output()? {
//!     decoder.handle_input(&piece);
//! }
//! decoder.handle_end();
//! loop {
//!     match decoder.poll_event()? {
//!         Event::NeedBasis(range) => decoder.handle_basis(&old[range.start as usize..range.end as usize]),
//!         Event::Output(verified) => output.extend_from_slice(verified),
//!         Event::Done => break,
//!         Event::NeedInput | Event::Same => unreachable!("all input was handed in, and the versions differ"),
//!     }
//! }
//! assert_eq!(output, new);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "browser-sync-stream")]
pub mod browser_sync_stream;
mod delta;
mod in_memory;
mod input;
#[cfg(test)]
#[path = "../tests/support/random.rs"]
mod random;
mod shared_run;
mod signature;
mod verify;
mod version;
mod wire;

pub use delta::{Basis, DecodeError, Decoder, Event, Header, Limit, Limits};
#[cfg(feature = "encode")]
pub use delta::{Codec, EncodeError, EncodeOptions, Encoder, encode_same};
#[cfg(feature = "encode")]
pub use in_memory::diff;
pub use in_memory::{patch, patch_within};
pub use signature::chunk::{Chunk, ChunkId, ChunkSize, UnknownChunkSize, cut};
pub use signature::chunk_sizes::ChunkSizes;
pub use signature::cuts::{Chunker, Cuts};
pub use signature::matched_basis::MatchedBasis;
pub use signature::matching::Matches;
pub use signature::runs::{Runs, RunsError};
pub use signature::tags::{MAX_TAGS, Signature, SignatureError};
pub use verify::group::{GroupSize, chaining_values};
pub use verify::group_verifier::GroupVerifier;
pub use verify::outboard::Outboard;
pub use version::{BadVersion, BasisId, Version, VersionHasher};
