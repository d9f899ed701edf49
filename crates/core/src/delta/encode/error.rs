/// Why an encoder could not make a delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The target is longer than the format can describe.
    #[error("the target has {len} bytes; a delta can describe at most {max}")]
    #[non_exhaustive]
    TooLong {
        /// The target's length in bytes.
        len: u64,
        /// The format's limit in bytes.
        max: u64,
    },
    /// The compressor failed.
    #[error("zstd cannot compress: {what}")]
    #[non_exhaustive]
    Zstd {
        /// What zstd reports.
        what: &'static str,
    },
}
