//! The core of driblet: cuts, hashes, signs, encodes and verifies, without sockets, files, clocks or random numbers.
//! The same code runs natively and in browsers.
//!
//! The formats are those of `spec/protocol.md`. The core trusts no input: it compares each announced length with a
//! limit before it takes memory, and no input makes it panic.
//!
//! [`diff`] makes a delta and [`patch`] applies one, each in one call:
//!
//! ```
//! # #[cfg(feature = "encode")] {
//! use driblet_core::{EncodeOptions, diff, patch};
//!
//! let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
//! let delta = diff(&old, &new, EncodeOptions::new())?;
//! assert_eq!(patch(&old, &delta)?, new);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Long files and slow connections need state machines instead. An [`Encoder`] gives out a delta piece
//! by piece. A [`Decoder`] turns a delta into a verified file. If the server does not know what a receiver holds, a
//! [`Chunker`] and a [`Signature`] describe it. **After each `handle_…` call, poll until nothing new comes.**
//!
//! ```
//! # #[cfg(feature = "encode")] {
//! use driblet_core::{Basis, Decoder, EncodeOptions, Encoder, Event, Limits, Version};
//!
//! let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
//! let mut encoder = Encoder::new(&old, &new, EncodeOptions::new());
//! let mut decoder = Decoder::new(Basis::of(&Version::of(&old), old.len() as u64), Limits::new());
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
//!         Event::NeedInput | Event::Same => unreachable!("the decoder has all input, and the versions differ"),
//!     }
//! }
//! assert_eq!(output, new);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! - `encode` (default): the encoder. Receivers do without it.
//! - `dense` and `containers`, both in `encode`: the codecs that a receiver asks for.
//! - `browser-sync-stream` (default): the protocol of the package browser-sync-stream.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

#[cfg(feature = "browser-sync-stream")]
pub mod browser_sync_stream;
mod delta;
pub mod directory;
mod in_memory;
mod input_buffer;
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
