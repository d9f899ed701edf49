//! The constants of the delta format: codecs and limits.

/// The region's bytes, without any encoding.
pub(crate) const CODEC_STORED: u8 = 0;
/// Copies from the basis, and a zstd frame with the new bytes.
pub(crate) const CODEC_ZSTD: u8 = 1;
/// The dense codec: decisions of an arithmetic coder, whose model predicts each byte from the basis.
pub(crate) const CODEC_DENSE: u8 = 2;
/// As [`CODEC_ZSTD`], and tokens in copies can be replaced by others.
pub(crate) const CODEC_SUBSTITUTION: u8 = 3;
/// Streams of both sides are unpacked, and regions in other codecs make the unpacked target.
pub(crate) const CODEC_CONTAINERS: u8 = 4;
/// As [`CODEC_SUBSTITUTION`], and the new bytes are decisions of a model that predicts them.
pub(crate) const CODEC_PREDICTED: u8 = 5;
/// This bit of a region's first byte marks the last region.
pub(crate) const LAST_REGION: u8 = 0x80;

/// The most basis bytes that a decoder asks for at once.
pub(crate) const BASIS_PIECE: u64 = 1 << 20;
/// log2 of the largest window that a zstd frame may need.
pub(crate) const WINDOW_LOG: u32 = 23;
/// The most bytes that a region's ops may take.
pub(crate) const MAX_OPS_LEN: u64 = 1 << 20;
/// The most bytes by which a region's prefix may reach beyond a gap.
pub(crate) const MAX_REACH: u64 = 1 << 20;
/// The most basis bytes in one region's prefix.
pub(crate) const MAX_PREFIX: u64 = 8 << 20;
/// The most basis bytes in the prefix of a region in codec 5, whose receiver learns from each of them.
pub(crate) const MAX_LEARNED: u64 = 1 << 20;
/// The most bytes of a dense region, of its window, and of its packed decisions. This bounds a receiver's memory.
pub(crate) const MAX_DENSE: u64 = 32 << 20;
/// The most ops of a substitution region.
pub(crate) const MAX_SUBSTITUTION_OPS: usize = 1 << 16;
/// The most basis bytes in one substituted copy.
pub(crate) const MAX_SUBSTITUTED: usize = 1 << 16;
/// The most bytes of each side of a region in codec 4, packed and unpacked. This bounds a receiver's memory.
#[cfg(feature = "containers")]
pub(crate) const MAX_UNPACKED: u64 = 64 << 20;
/// The most streams on each side of a region in codec 4.
#[cfg(feature = "containers")]
pub(crate) const MAX_STREAMS: u64 = 1 << 16;
/// The most bytes of the lists of streams.
#[cfg(feature = "containers")]
pub(crate) const MAX_STREAM_LISTS: u64 = 1 << 20;
/// How often a region can be unpacked: base64 in a zip file, for instance.
#[cfg(feature = "containers")]
pub(crate) const MAX_UNPACKINGS: u32 = 2;
/// The longest file that a delta can make: the greatest integer that JavaScript numbers hold exactly.
pub(crate) const MAX_TARGET: u64 = (1 << 53) - 1;
/// The most chaining values in a header.
pub(crate) const MAX_GROUPS: u64 = 1 << 16;

/// The bit of a dense region's shape that says that the target is followed word by word.
#[cfg(feature = "dense")]
pub(crate) const DENSE_WORDS: u64 = 1;
/// The bit of a dense region's shape that says that the window is a part of the basis.
#[cfg(feature = "dense")]
pub(crate) const DENSE_PART: u64 = 2;
/// The bit of a dense region's shape that says that the region is read as WebAssembly.
#[cfg(feature = "dense")]
pub(crate) const DENSE_WASM: u64 = 64;
/// The bit of a substitution region's shape that says that its tokens are words.
pub(crate) const SUBSTITUTION_WORDS: u8 = 1;
