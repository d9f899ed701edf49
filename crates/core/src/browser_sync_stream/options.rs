use std::str::FromStr;

/// The longest chunk that can be cut, in bytes: 16 MiB. Every receiver must accept chunks of this length.
///
/// A receiver verifies a chunk as a whole, so it must be able to hold the chunk in memory.
pub const MAX_CHUNK: u32 = 16 << 20;

/// How a file is cut: the options of npm `rabin`. As in that package, 0 means the default.
///
/// In text the options are three numbers, `BITS,MIN,MAX`.
///
/// ```
/// use driblet_core::browser_sync_stream::RabinOptions;
///
/// let options = RabinOptions::new().bits(10).min(1 << 10).max(1 << 14);
/// assert!(options.check().is_ok());
/// assert_eq!("10,1024,16384".parse(), Ok(options));
/// assert!(RabinOptions::new().bits(31).check().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct RabinOptions {
    /// log2 of the average number of bytes from `min` to the next cut. Default: 12.
    pub bits: u32,
    /// The least length of a chunk in bytes. Only the last chunk can be shorter. Default: 8,192.
    pub min: u32,
    /// The greatest length of a chunk, in bytes. Default: 32,768.
    pub max: u32,
}

/// Options that were checked, without defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CutRule {
    /// A chunk can end where the fingerprint has none of these bits.
    pub(super) mask: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

impl CutRule {
    pub(super) fn new(options: RabinOptions) -> Result<CutRule, BadOptions> {
        let or = |option: u32, default: u32| if option == 0 { default } else { option };
        let (bits, min, max) = (or(options.bits, 12), or(options.min, 8 << 10), or(options.max, 32 << 10));
        // npm rabin computes its mask in a C int, which has no more bits.
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
    /// The default options.
    pub const fn new() -> RabinOptions {
        RabinOptions { bits: 0, min: 0, max: 0 }
    }

    /// Sets [`bits`](RabinOptions::bits).
    #[must_use]
    pub const fn bits(self, bits: u32) -> RabinOptions {
        RabinOptions { bits, ..self }
    }

    /// Sets [`min`](RabinOptions::min), in bytes.
    #[must_use]
    pub const fn min(self, min: u32) -> RabinOptions {
        RabinOptions { min, ..self }
    }

    /// Sets [`max`](RabinOptions::max), in bytes.
    #[must_use]
    pub const fn max(self, max: u32) -> RabinOptions {
        RabinOptions { max, ..self }
    }

    /// Checks whether files can be cut by these options.
    pub fn check(self) -> Result<(), BadOptions> {
        CutRule::new(self).map(drop)
    }
}

impl FromStr for RabinOptions {
    type Err = BadOptions;

    /// Reads `BITS,MIN,MAX`, and checks the options.
    fn from_str(text: &str) -> Result<RabinOptions, BadOptions> {
        let numbers: Result<Vec<u32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        let Ok([bits, min, max]) = numbers.as_deref() else { return Err(BadOptions::NotThreeNumbers) };
        let options = RabinOptions { bits: *bits, min: *min, max: *max };
        options.check().map(|()| options)
    }
}

/// Why files cannot be cut by some [`RabinOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadOptions {
    /// A text does not have the form `BITS,MIN,MAX`.
    #[error("the options must be three whole numbers, such as 9,1024,4096")]
    NotThreeNumbers,
    /// The average chunk is longer than npm `rabin` allows.
    #[error("an average of 2^{bits} bytes is more than chunks can have; bits are at most 30")]
    #[non_exhaustive]
    TooManyBits {
        /// The value of the option.
        bits: u32,
    },
    /// A chunk could be longer than receivers accept.
    #[error("chunks of {max} bytes are more than receivers take; max is at most {MAX_CHUNK}")]
    #[non_exhaustive]
    MaxTooLong {
        /// The value of the option.
        max: u32,
    },
}
