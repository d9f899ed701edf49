use std::ops::Range;

use crate::version::{BasisId, Version};
use crate::wire::Stop;

/// Why a delta was refused. Nothing that was not verified has been given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The delta ends before its target is complete.
    #[error("the delta ends after {at} bytes, before its target is complete; resume it or ask again")]
    Truncated {
        /// Bytes of the delta that came.
        at: u64,
    },
    /// Bytes follow the end of the delta.
    #[error("bytes follow the end of the delta, at byte {at}")]
    TrailingBytes {
        /// Where the delta should have ended.
        at: u64,
    },
    /// The first byte is not a delta's.
    #[error("not a driblet delta: it begins with byte {first:#04x}, a delta with 0xdb")]
    BadMagic {
        /// The byte that came first.
        first: u8,
    },
    /// The delta is in a format this decoder does not know.
    #[error("delta format {format} is not known here, only 1; update the receiver")]
    BadFormat {
        /// The format named.
        format: u8,
    },
    /// The group's exponent is none of 0 to 6.
    #[error("a group of 2^(18 + {exponent}) bytes; the exponent is 0 to 6")]
    BadGroup {
        /// The exponent named.
        exponent: u8,
    },
    /// An integer is not in its shortest form or beyond 64 bits.
    #[error("a number of the delta is not a varint in its shortest form")]
    BadVarint,
    /// A number exceeds its limit. No memory was taken for it.
    #[error("{limit}: {value} announced, at most {max} allowed")]
    OverLimit {
        /// Which limit.
        limit: Limit,
        /// What the delta announced.
        value: u64,
        /// What is allowed.
        max: u64,
    },
    /// A zstd frame asks for a larger window than any may.
    #[error("a zstd frame asks for a window of more than 2^{max_log} bytes")]
    Window {
        /// log2 of the largest window.
        max_log: u32,
    },
    /// The delta was made against other bytes.
    #[error("the delta was made against basis {named}…, here is {held}…; ask for the version that is held")]
    WrongBasis {
        /// What the delta names.
        named: BasisId,
        /// What is at hand.
        held: BasisId,
    },
    /// The delta says "same" of a version that was not named.
    #[error("the delta says that {target} is what is held already, which it is not")]
    UnexpectedSame {
        /// The version it says so of.
        target: Version,
    },
    /// The groups' chaining values do not make the target.
    #[error("the groups' chaining values make version {merged}, not the target {target}")]
    BadTree {
        /// What the delta says it makes.
        target: Version,
        /// What the values merge to.
        merged: Version,
    },
    /// A group's bytes do not hash to its chaining value.
    #[error("group {index} of the target does not verify: the delta, or the basis on this side, was changed")]
    BadGroupHash {
        /// The group, from 0.
        index: u64,
    },
    /// A region is in a codec this decoder does not know.
    #[error("codec {codec} is not known here; update the receiver")]
    BadCodec {
        /// The region's codec, with the reserved bit if it is set.
        codec: u8,
    },
    /// A region's span is empty or leaves nothing to the next.
    #[error("a region of {span} bytes where {left} bytes of the target are left")]
    BadSpan {
        /// What the region announces.
        span: u64,
        /// What is left of the target.
        left: u64,
    },
    /// A region's ops do not add up.
    #[error("a region's ops are malformed: {what}")]
    BadOps {
        /// What does not add up.
        what: &'static str,
    },
    /// A copy reaches beyond the basis.
    #[error("a copy of {len} bytes from {start} reaches outside the basis of {basis} bytes")]
    CopyOutsideBasis {
        /// Where it would begin.
        start: i128,
        /// How long it would be.
        len: u64,
        /// The basis' length.
        basis: u64,
    },
    /// A zstd frame does not decode to what the region needs.
    #[error("a zstd frame does not decode: {what}")]
    BadZstd {
        /// What zstd, or the count of its bytes, says.
        what: &'static str,
    },
    /// A dense region's decisions do not make sense.
    #[error("a dense region does not decode: {what}")]
    BadDense {
        /// What does not.
        what: &'static str,
    },
    /// What a followed copy became does not make sense.
    #[error("a followed copy does not decode: {what}")]
    BadSubstitution {
        /// What does not.
        what: &'static str,
    },
    /// The driver did not hand in the basis bytes asked for.
    #[error("{got} bytes of the basis were handed in for range {range:?}; the basis changed under the decoder")]
    BasisShort {
        /// The range asked for.
        range: Range<u64>,
        /// How many bytes came.
        got: usize,
    },
}

impl DecodeError {
    /// The reason's name in `spec/vectors.json`; stable, fit for code that must tell reasons apart.
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
            DecodeError::BasisShort { .. } => "basis-short",
        }
    }
}

/// A limit that a delta can exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// How far a reference reaches beyond its gap, in bytes.
    #[error("the reach of a reference in bytes")]
    Reach,
    /// The bytes of a region's reference.
    #[error("the bytes of a region's reference")]
    Reference,
    /// The bytes of a dense region.
    #[error("the bytes of a dense region")]
    Span,
    /// The bytes of basis that a dense region looks at.
    #[error("the bytes of a dense region's window")]
    DenseWindow,
    /// The bytes of a region's decisions.
    #[error("the bytes of a region's decisions")]
    Packed,
    /// The ops of a region with followed copies.
    #[error("the ops of a region with followed copies")]
    SubstitutionOps,
    /// The bytes of basis that one copy follows.
    #[error("the bytes of basis that one copy follows")]
    SubstitutedCopy,
}

impl Limit {
    fn reason(self) -> &'static str {
        match self {
            Limit::Target => "limit-target",
            Limit::Groups => "limit-groups",
            Limit::Ops => "limit-ops",
            Limit::Reach => "limit-reach",
            Limit::Reference => "limit-reference",
            Limit::Span => "limit-span",
            Limit::DenseWindow => "limit-dense-window",
            Limit::Packed => "limit-packed",
            Limit::SubstitutionOps => "limit-followed-ops",
            Limit::SubstitutedCopy => "limit-followed",
        }
    }

    /// Passes a value that is within the limit.
    pub(crate) fn check(self, value: u64, max: u64) -> Result<u64, DecodeError> {
        if value <= max { Ok(value) } else { Err(DecodeError::OverLimit { limit: self, value, max }) }
    }
}

/// Why parsing stopped: bytes are missing, or what is there is refused.
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
