//! The numbers of the delta format.

/// The region's bytes stand as they are.
pub(crate) const CODEC_STORED: u8 = 0;
/// Copies, and a zstd frame of what lies between them.
pub(crate) const CODEC_ZSTD: u8 = 1;
/// Decisions of an arithmetic coder whose model follows the basis.
pub(crate) const CODEC_DENSE: u8 = 2;
/// As [`CODEC_ZSTD`], with copies in which tokens became others.
pub(crate) const CODEC_SUBSTITUTION: u8 = 3;
/// The bit of a region's first byte that says it is the last.
pub(crate) const LAST_REGION: u8 = 0x80;

/// log2 of the largest window that a zstd frame may ask for.
pub(crate) const WINDOW_LOG: u32 = 23;
/// The most bytes that a region's ops may take.
pub(crate) const MAX_OPS_LEN: u64 = 1 << 20;
/// How far beyond a gap its reference may reach.
pub(crate) const MAX_REACH: u64 = 1 << 20;
/// The most bytes of basis that one region's reference may hold.
pub(crate) const MAX_REFERENCE: u64 = 8 << 20;
/// The most bytes that a dense region may make, may look at in the basis, and may take packed: what bounds a receiver's memory.
pub(crate) const MAX_DENSE: u64 = 32 << 20;
/// The most ops of a region with followed copies.
pub(crate) const MAX_SUBSTITUTION_OPS: usize = 1 << 16;
/// The most bytes of basis that one copy follows.
pub(crate) const MAX_SUBSTITUTED: usize = 1 << 16;
/// The longest file the format can describe: what a JavaScript number still counts exactly.
pub(crate) const MAX_TARGET: u64 = (1 << 53) - 1;
/// The most chaining values a header may carry.
pub(crate) const MAX_GROUPS: u64 = 1 << 16;
