//! What a receiver says of itself when it asks for a delta.

use driblet_core::Codec;

/// The codecs that a receiver decodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accepted {
    /// Those that every receiver decodes.
    Basic,
    /// All codecs. The best one depends on the receiver's link.
    All(Link),
}

/// How a receiver's link compares with the one that the server expects. There are few classes, so that most receivers
/// share their deltas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    Slow,
    Usual,
    Fast,
}

impl Link {
    /// The codec for this link in place of the one for the expected link, which is ten times slower or faster.
    pub(super) fn codec(self, expected: Codec) -> Codec {
        match (expected, self) {
            (Codec::Auto { bits_per_second }, Link::Slow) => Codec::Auto { bits_per_second: bits_per_second / 10 },
            (Codec::Auto { bits_per_second }, Link::Fast) => {
                Codec::Auto { bits_per_second: bits_per_second.saturating_mul(10) }
            }
            _ => expected,
        }
    }
}
