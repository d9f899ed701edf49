//! What callers choose about a delta.

/// The codecs that a delta may use. The receiver must have said that it decodes them.
///
/// ```
/// use driblet_core::{Codec, EncodeOptions, diff};
///
/// let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
/// let fast = diff(&old, &new, EncodeOptions::new().thorough(true))?;
/// let dense = diff(&old, &new, EncodeOptions::new().codec(Codec::Dense).thorough(true))?;
/// assert!(dense.len() <= fast.len());
/// # Ok::<(), driblet_core::EncodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Codec {
    /// The codecs that every receiver decodes: copies from the basis, and compressed new bytes. If
    /// [`thorough`](EncodeOptions::thorough) is set, copies can also have some words or numbers replaced.
    #[default]
    Fast,
    /// The encoder also tries the dense codec, whose model predicts each byte from the basis, and keeps the smallest
    /// result. Receivers decode some megabytes of changes per second in this codec. It is not tried for files above 32
    /// MiB, nor where little of the basis is used. Without [`thorough`](EncodeOptions::thorough) it is tried first, and
    /// copies only if it cannot be worth its time.
    Dense,
    /// As `Dense`, but the encoder keeps the result that is transferred and decoded soonest over a link with this
    /// bandwidth, by its estimates.
    Auto {
        /// The bandwidth of the link, in bits per second.
        bits_per_second: u32,
    },
}

/// How an [`Encoder`](crate::Encoder) may spend memory and time.
///
/// ```
/// use driblet_core::{Codec, EncodeOptions};
///
/// let options = EncodeOptions::new().codec(Codec::Dense).budget(64 << 20).thorough(true);
/// assert_eq!(options.budget, 64 << 20);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// The codecs that the delta may use. Default: [`Codec::Fast`].
    pub codec: Codec,
    /// Bytes of working memory, without the basis and the target themselves. Default: 512 MiB.
    ///
    /// The index of the basis gets half of the budget; a large basis is sampled more coarsely to fit. The compressor
    /// gets the rest.
    pub budget: usize,
    /// Whether the encoder makes several plans for each region, by the methods that [`codec`](EncodeOptions::codec)
    /// allows, and keeps the one that costs least. Set it where nobody waits for the delta: the encoder then processes
    /// some megabytes per second. Default: `false`.
    pub thorough: bool,
    /// Whether a [thorough](EncodeOptions::thorough) encoder also looks through base64, and through deflate as in gzip and
    /// zip files, on both sides. The receiver must have said that it decodes codec 4. Default: `false`.
    pub containers: bool,
    /// Whether a [thorough](EncodeOptions::thorough) encoder also tries codec 5, in which a model predicts the new bytes
    /// from the basis bytes near them. The receiver must have said that it decodes codec 5. Default: `false`.
    pub predicted: bool,
}

impl EncodeOptions {
    /// The default options.
    pub fn new() -> EncodeOptions {
        EncodeOptions { codec: Codec::Fast, budget: 512 << 20, thorough: false, containers: false, predicted: false }
    }

    /// Sets [`codec`](EncodeOptions::codec).
    #[must_use]
    pub fn codec(self, codec: Codec) -> EncodeOptions {
        EncodeOptions { codec, ..self }
    }

    /// Sets [`budget`](EncodeOptions::budget), in bytes.
    #[must_use]
    pub fn budget(self, budget: usize) -> EncodeOptions {
        EncodeOptions { budget, ..self }
    }

    /// Sets [`thorough`](EncodeOptions::thorough).
    #[must_use]
    pub fn thorough(self, thorough: bool) -> EncodeOptions {
        EncodeOptions { thorough, ..self }
    }

    /// Sets [`containers`](EncodeOptions::containers).
    #[must_use]
    pub fn containers(self, containers: bool) -> EncodeOptions {
        EncodeOptions { containers, ..self }
    }

    /// Sets [`predicted`](EncodeOptions::predicted).
    #[must_use]
    pub fn predicted(self, predicted: bool) -> EncodeOptions {
        EncodeOptions { predicted, ..self }
    }
}

impl Default for EncodeOptions {
    fn default() -> EncodeOptions {
        EncodeOptions::new()
    }
}
