use driblet::Codec;

/// The flags that choose a codec.
#[derive(clap::Args)]
pub(crate) struct CodecArgs {
    /// The codec of deltas
    #[arg(long, value_enum, default_value_t = CodecChoice::Auto)]
    codec: CodecChoice,
    /// The link for --codec auto, in Mbit/s
    #[arg(long, value_name = "MBITS", default_value_t = 20)]
    link: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CodecChoice {
    /// Copies, substituted copies and zstd: decodes 100 MB a second and more
    Fast,
    /// Fast, or a model of every changed byte: the smallest deltas, decodes some MB of changes a second
    Dense,
    /// The codec whose delta is verified sooner over the link
    Auto,
}

impl CodecArgs {
    /// The codec that the flags choose.
    pub(crate) fn codec(&self) -> Codec {
        match self.codec {
            CodecChoice::Fast => Codec::Fast,
            CodecChoice::Dense => Codec::Dense,
            CodecChoice::Auto => Codec::Auto { bits_per_second: self.link.saturating_mul(1_000_000) },
        }
    }
}
