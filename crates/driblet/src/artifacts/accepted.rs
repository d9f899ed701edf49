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
    /// The codecs for such a receiver, the best first: the one for its own link, and those for the others. A slow link
    /// has a tenth of the expected one's bandwidth, a fast link ten times as much.
    pub(super) fn codecs(self, expected: Codec) -> Vec<Codec> {
        let Codec::Auto { bits_per_second } = expected else { return vec![expected] };
        let auto = |bits_per_second| Codec::Auto { bits_per_second };
        let (slow, fast) = (auto(bits_per_second / 10), auto(bits_per_second.saturating_mul(10)));
        match self {
            Link::Slow => vec![slow, expected, fast],
            Link::Usual => vec![expected, slow, fast],
            Link::Fast => vec![fast, expected, slow],
        }
    }
}
