//! The delta: what turns a basis into a version. One format, one encoder, one decoder.
//!
//! `header` and `ops` are the format itself, `reference` the rule by which both sides find the bytes that the compressor may look
//! back at; `dense` and `renames` are the models of those codecs, on `binary` and `adaptive`. `decode` is the receiver's push machine; `find`, `align` and `encode` are the server's side.

mod adaptive;
#[cfg(feature = "encode")]
mod align;
mod binary;
mod decode;
mod dense;
#[cfg(feature = "encode")]
mod encode;
mod error;
#[cfg(feature = "encode")]
mod find;
mod frame;
mod header;
mod ops;
#[cfg(feature = "encode")]
mod pack;
mod reference;
mod region;
mod renames;
mod verify;

pub use decode::{Decoder, Event};
#[cfg(feature = "encode")]
pub use encode::{Codec, EncodeError, EncodeOptions, Encoder, encode_same};
pub use error::{DecodeError, Limit};
pub use header::{Basis, Header, Limits};

/// The region's bytes stand as they are.
const CODEC_STORED: u8 = 0;
/// Copies, and a zstd frame of what lies between them.
const CODEC_ZSTD: u8 = 1;
/// Decisions of an arithmetic coder whose model follows the basis.
const CODEC_DENSE: u8 = 2;
/// As [`CODEC_ZSTD`], with copies in which tokens became others.
const CODEC_RENAMES: u8 = 3;
/// The bit of a region's first byte that says it is the last.
const LAST_REGION: u8 = 0x80;

/// log2 of the largest window that a zstd frame may ask for.
const WINDOW_LOG: u32 = 23;
/// The most bytes that a region's ops may take.
const MAX_OPS_LEN: u64 = 1 << 20;
/// How far beyond a gap its reference may reach.
const MAX_REACH: u64 = 1 << 20;
/// The most bytes of basis that one region's reference may hold.
const MAX_REFERENCE: u64 = 8 << 20;
/// The most bytes that a dense region may make, may look at in the basis, and may take packed: what bounds a receiver's memory.
const MAX_DENSE: u64 = 32 << 20;
/// The most ops of a region with followed copies.
const MAX_FOLLOWED_OPS: usize = 1 << 16;
/// The most bytes of basis that one copy follows.
const MAX_FOLLOWED: usize = 1 << 16;
/// The longest file the format can describe: what a JavaScript number still counts exactly.
const MAX_TARGET: u64 = (1 << 53) - 1;
/// The most chaining values a header may carry.
const MAX_GROUPS: u64 = 1 << 16;
