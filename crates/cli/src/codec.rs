use driblet::Codec;

/// The codec of deltas.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CodecChoice {
    /// Copies, substituted copies and zstd: decodes 100 MB a second and more
    Fast,
    /// Fast, or a model of every changed byte: the smallest deltas, decodes some MB of changes a second
    Dense,
    /// The codec whose delta is verified sooner over the link
    Auto,
}

impl CodecChoice {
    /// The codec for a link of this many Mbit/s.
    pub(crate) fn over(self, megabits: u32) -> Codec {
        match self {
            CodecChoice::Fast => Codec::Fast,
            CodecChoice::Dense => Codec::Dense,
            CodecChoice::Auto => Codec::Auto { bits_per_second: megabits.saturating_mul(1_000_000) },
        }
    }
}
