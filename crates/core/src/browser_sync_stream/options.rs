/// The longest chunk that may be cut, in bytes, and the longest that a receiver need take: 16 MiB.
///
/// A chunk is verified as a whole, so this is what a receiver must be able to hold.
pub const MAX_CHUNK: u32 = 16 << 20;

/// How a file is cut: the options of npm `rabin`. Like there, 0 means the default.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RabinOptions {
    /// log2 of the number of bytes after which a cut is found on average, beyond `min`. Default: 12.
    pub bits: u32,
    /// The least length of a chunk but the last, in bytes. Default: 8,192.
    pub min: u32,
    /// The greatest length of a chunk, in bytes. Default: 32,768.
    pub max: u32,
}

/// Options that can be cut by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CutRule {
    /// A fingerprint that has none of these bits ends a chunk.
    pub(super) mask: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

impl CutRule {
    pub(super) fn new(options: RabinOptions) -> Result<CutRule, BadOptions> {
        let or = |option: u32, default: u32| if option == 0 { default } else { option };
        let (bits, min, max) = (or(options.bits, 12), or(options.min, 8 << 10), or(options.max, 32 << 10));
        // npm rabin computes its mask as a C int, which has room for so many.
        if 30 < bits {
            return Err(BadOptions::TooManyBits { bits });
        }
        if MAX_CHUNK < max {
            return Err(BadOptions::MaxTooLong { max });
        }
        Ok(CutRule { mask: (1 << bits) - 1, min: min.into(), max: max.into() })
    }
}

impl RabinOptions {
    /// Says whether a file can be cut like this.
    pub fn check(self) -> Result<(), BadOptions> {
        CutRule::new(self).map(drop)
    }
}

/// Why nothing can be cut by some [`RabinOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOptions {
    /// The average is beyond what npm `rabin` can do.
    #[error("an average of 2^{bits} bytes is more than chunks can have; bits are at most 30")]
    TooManyBits {
        /// The option.
        bits: u32,
    },
    /// Receivers would have to hold too much.
    #[error("chunks of {max} bytes are more than receivers take; max is at most {MAX_CHUNK}")]
    MaxTooLong {
        /// The option.
        max: u32,
    },
}
