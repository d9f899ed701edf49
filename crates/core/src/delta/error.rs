use std::ops::Range;

use crate::version::{BasisId, Version};
use crate::wire::Stop;

/// Why a delta was refused. The decoder has given out nothing that was not verified.
///
/// ```
/// use driblet_core::{DecodeError, patch};
///
/// let error = patch(b"basis", b"\xdb\x26").unwrap_err();
/// assert!(matches!(error, DecodeError::BadFormat { format: 2, .. }));
/// assert_eq!(error.reason(), "bad-format");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The delta ends before its target is complete.
    #[error("the delta ends after {at} bytes, before its target is complete; resume it or ask again")]
    #[non_exhaustive]
    Truncated {
        /// How many bytes of the delta came.
        at: u64,
    },
    /// Bytes follow the end of the delta.
    #[error("bytes follow the end of the delta, at byte {at}")]
    #[non_exhaustive]
    TrailingBytes {
        /// Where the delta should have ended.
        at: u64,
    },
    /// The first byte is not the first byte of a delta.
    #[error("not a driblet delta: the first byte is {first:#04x}, not 0xdb")]
    #[non_exhaustive]
    BadMagic {
        /// The byte that came first.
        first: u8,
    },
    /// The decoder does not know the delta's format.
    #[error("delta format {format} is not supported, only 1; update the receiver")]
    #[non_exhaustive]
    BadFormat {
        /// The delta's format.
        format: u8,
    },
    /// The exponent of the group size is greater than 6.
    #[error("a group of 2^(18 + {exponent}) bytes; the exponent must be 0 to 6")]
    #[non_exhaustive]
    BadGroup {
        /// The exponent.
        exponent: u8,
    },
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("a number in the delta is not a varint in its shortest form")]
    BadVarint,
    /// A number exceeds its limit. The decoder took no memory for it.
    #[error("{limit}: {value} announced, at most {max} allowed")]
    #[non_exhaustive]
    OverLimit {
        /// The limit.
        limit: Limit,
        /// The announced number.
        value: u64,
        /// The greatest allowed number.
        max: u64,
    },
    /// A zstd frame needs a larger window than the format allows.
    #[error("a zstd frame asks for a window of more than 2^{max_log} bytes")]
    #[non_exhaustive]
    Window {
        /// log2 of the largest window.
        max_log: u32,
    },
    /// The delta was made against another basis.
    #[error("the delta was made against basis {named}…, not {held}…; request one for the held version")]
    #[non_exhaustive]
    WrongBasis {
        /// The basis id in the delta.
        named: BasisId,
        /// The basis id of the basis at hand.
        held: BasisId,
    },
    /// The delta says "same", but the receiver did not name this version.
    #[error("the delta says that version {target} is held already, but it was not named")]
    #[non_exhaustive]
    UnexpectedSame {
        /// The version in the delta.
        target: Version,
    },
    /// The chaining values of the groups do not merge to the target.
    #[error("the groups' chaining values make version {merged}, not the target {target}")]
    #[non_exhaustive]
    BadTree {
        /// The target in the delta.
        target: Version,
        /// The version that the chaining values merge to.
        merged: Version,
    },
    /// The bytes of a group do not have their chaining value.
    #[error("group {index} of the target does not verify: the delta or the basis was changed")]
    #[non_exhaustive]
    BadGroupHash {
        /// The index of the group, from 0.
        index: u64,
    },
    /// The decoder does not know the codec of a region.
    #[error("codec {codec} is not supported; update the receiver")]
    #[non_exhaustive]
    BadCodec {
        /// The codec, with the reserved bit if it is set.
        codec: u8,
    },
    /// The span of a region is empty, or it leaves nothing for the regions after it.
    #[error("a region of {span} bytes, but {left} bytes of the target are missing")]
    #[non_exhaustive]
    BadSpan {
        /// The announced span in bytes.
        span: u64,
        /// How many bytes of the target are missing.
        left: u64,
    },
    /// The ops of a region are malformed.
    #[error("a region's ops are malformed: {what}")]
    #[non_exhaustive]
    BadOps {
        /// What is malformed.
        what: &'static str,
    },
    /// A copy reaches beyond the basis.
    #[error("a copy of {len} bytes from {start} reaches outside the basis of {basis} bytes")]
    #[non_exhaustive]
    CopyOutsideBasis {
        /// Where the copy begins.
        start: i128,
        /// The length of the copy in bytes.
        len: u64,
        /// The length of the basis in bytes.
        basis: u64,
    },
    /// A zstd frame does not decode to the bytes that the region needs.
    #[error("a zstd frame does not decode: {what}")]
    #[non_exhaustive]
    BadZstd {
        /// What zstd or the decoder reports.
        what: &'static str,
    },
    /// The decisions of a dense region are malformed.
    #[error("a dense region does not decode: {what}")]
    #[non_exhaustive]
    BadDense {
        /// What is malformed.
        what: &'static str,
    },
    /// The decisions of a substitution region are malformed.
    #[error("a substitution region does not decode: {what}")]
    #[non_exhaustive]
    BadSubstitution {
        /// What is malformed.
        what: &'static str,
    },
    /// A region of unpacked containers is malformed.
    #[error("a region of unpacked containers does not decode: {what}")]
    #[non_exhaustive]
    BadContainers {
        /// What is malformed.
        what: &'static str,
    },
    /// The caller did not hand in the basis bytes that the decoder asked for.
    #[error("{got} bytes were handed in for basis range {range:?}; the basis was changed")]
    #[non_exhaustive]
    BasisShort {
        /// The range that the decoder asked for.
        range: Range<u64>,
        /// How many bytes the caller handed in.
        got: usize,
    },
}

impl DecodeError {
    /// The name of the reason in `spec/vectors.json`. It does not change between releases.
    pub fn reason(&self) -> &'static str {
        match self {
            DecodeError::Truncated { .. } => "truncated",
            DecodeError::TrailingBytes { .. } => "trailing-bytes",
            DecodeError::BadMagic { .. } => "bad-magic",
            DecodeError::BadFormat { .. } => "bad-format",
            DecodeError::BadGroup { .. } => "bad-group",
            DecodeError::BadVarint => "bad-varint",
            DecodeError::OverLimit { limit, .. } => limit.reason(),
            DecodeError::Window { .. } => "limit-window",
            DecodeError::WrongBasis { .. } => "wrong-basis",
            DecodeError::UnexpectedSame { .. } => "unexpected-same",
            DecodeError::BadTree { .. } => "bad-tree",
            DecodeError::BadGroupHash { .. } => "bad-group-hash",
            DecodeError::BadCodec { .. } => "bad-codec",
            DecodeError::BadSpan { .. } => "bad-span",
            DecodeError::BadOps { .. } => "bad-ops",
            DecodeError::CopyOutsideBasis { .. } => "copy-outside-basis",
            DecodeError::BadZstd { .. } => "bad-zstd",
            DecodeError::BadDense { .. } => "bad-dense",
            DecodeError::BadSubstitution { .. } => "bad-renames",
            DecodeError::BadContainers { .. } => "bad-containers",
            DecodeError::BasisShort { .. } => "basis-short",
        }
    }
}

/// A limit that a delta can exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// The target's length in bytes.
    #[error("the target's length in bytes")]
    Target,
    /// The groups in a header.
    #[error("the number of groups")]
    Groups,
    /// The bytes of a region's ops.
    #[error("the bytes of a region's ops")]
    Ops,
    /// How far a prefix reaches beyond its gap, in bytes.
    #[error("the reach of a prefix in bytes")]
    Reach,
    /// The bytes of a region's prefix.
    #[error("the bytes of a region's prefix")]
    Prefix,
    /// The length of a dense region.
    #[error("the bytes of a dense region")]
    Span,
    /// The bytes of the basis in a dense region's window.
    #[error("the bytes of a dense region's window")]
    DenseWindow,
    /// The bytes of a region's decisions.
    #[error("the bytes of a region's decisions")]
    Packed,
    /// The ops of a substitution region.
    #[error("the ops of a substitution region")]
    SubstitutionOps,
    /// The bytes of basis in one substituted copy.
    #[error("the bytes of one substituted copy")]
    SubstitutedCopy,
    /// The bytes of one side of a region of unpacked containers, packed or unpacked.
    #[error("the bytes of one side of unpacked containers")]
    Unpacked,
    /// The streams on one side of a region of unpacked containers.
    #[error("the number of streams on one side")]
    Streams,
    /// The bytes of the lists of streams.
    #[error("the bytes of the lists of streams")]
    StreamLists,
}

impl Limit {
    fn reason(self) -> &'static str {
        match self {
            Limit::Target => "limit-target",
            Limit::Groups => "limit-groups",
            Limit::Ops => "limit-ops",
            Limit::Reach => "limit-reach",
            Limit::Prefix => "limit-reference",
            Limit::Span => "limit-span",
            Limit::DenseWindow => "limit-dense-window",
            Limit::Packed => "limit-packed",
            Limit::SubstitutionOps => "limit-followed-ops",
            Limit::SubstitutedCopy => "limit-followed",
            Limit::Unpacked => "limit-unpacked",
            Limit::Streams => "limit-streams",
            Limit::StreamLists => "limit-stream-lists",
        }
    }

    /// Returns the value if it is within the limit.
    pub(crate) fn check(self, value: u64, max: u64) -> Result<u64, DecodeError> {
        if value <= max { Ok(value) } else { Err(DecodeError::OverLimit { limit: self, value, max }) }
    }
}

/// Why parsing stopped: bytes are missing, or the delta is refused.
pub(crate) enum Halt {
    Incomplete,
    Refused(DecodeError),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Halt {
        match stop {
            Stop::Incomplete => Halt::Incomplete,
            Stop::BadVarint => Halt::Refused(DecodeError::BadVarint),
        }
    }
}

impl From<DecodeError> for Halt {
    fn from(error: DecodeError) -> Halt {
        Halt::Refused(error)
    }
}
