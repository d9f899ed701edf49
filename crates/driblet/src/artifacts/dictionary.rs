//! Encodes files against a version that the client holds: compression dictionaries (RFC 9842).

use driblet_core::Version;

use super::coding::{Effort, compress_zstd};
use super::error::ArtifactError;
use crate::metrics::{EncodeCodec, EncodeMetrics};

/// The first bytes of each form, which the hash of the dictionary follows (RFC 9842, sections 4 and 5).
#[cfg(feature = "shared-brotli")]
const BROTLI_MAGIC: [u8; 4] = [0xff, 0x44, 0x43, 0x42];
const ZSTD_MAGIC: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0];
/// The window that every decoder of `dcz` supports, and the longest one that a long dictionary allows.
const ZSTD_WINDOW: u64 = 8 << 20;
const LONGEST_ZSTD_WINDOW: u64 = 128 << 20;
/// The longest file that is encoded against a dictionary, and the longest dictionary.
const LONGEST: u64 = 64 << 20;
/// The longest file and dictionary that get the best quality of Brotli. It takes some seconds for a megabyte.
#[cfg(feature = "shared-brotli")]
const LONGEST_BEST: usize = 32 << 20;

/// A content coding with a dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum DictionaryCoding {
    #[cfg(feature = "shared-brotli")]
    Brotli,
    Zstd,
}

/// The SHA-256 of a dictionary.
pub(crate) type DictionaryHash = [u8; 32];

impl DictionaryCoding {
    /// The codings, the smaller first.
    pub(crate) const ALL: &[DictionaryCoding] = &[
        #[cfg(feature = "shared-brotli")]
        DictionaryCoding::Brotli,
        DictionaryCoding::Zstd,
    ];

    /// The name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "shared-brotli")]
            DictionaryCoding::Brotli => "dcb",
            DictionaryCoding::Zstd => "dcz",
        }
    }

    /// Whether every decoder can decode a file of this length against a dictionary of this length.
    pub(super) fn allows(self, dictionary: u64, len: u64) -> bool {
        let is_short = dictionary.max(len) <= LONGEST && 0 < dictionary;
        is_short
            && match self {
                #[cfg(feature = "shared-brotli")]
                DictionaryCoding::Brotli => true,
                DictionaryCoding::Zstd => {
                    len <= ZSTD_WINDOW.max(dictionary.saturating_mul(5) / 4).min(LONGEST_ZSTD_WINDOW)
                }
            }
    }

    /// Encodes bytes against a dictionary, and passes the output on piece by piece.
    pub(super) fn compress(
        self,
        effort: Effort,
        (dictionary, hash): (&[u8], &DictionaryHash),
        bytes: &[u8],
        metrics: &EncodeMetrics,
        mut write: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        match self {
            #[cfg(feature = "shared-brotli")]
            DictionaryCoding::Brotli => {
                let quality = match effort {
                    Effort::Interactive => 5,
                    Effort::Background if dictionary.len().max(bytes.len()) <= LONGEST_BEST => 11,
                    Effort::Background => 9,
                };
                write(&[&BROTLI_MAGIC[..], hash].concat())?;
                let compress = || super::shared_brotli::compress(dictionary, bytes, quality, write);
                metrics.time(EncodeCodec::DictionaryBrotli, effort.into(), compress)
            }
            DictionaryCoding::Zstd => {
                let level = if effort == Effort::Interactive { 3 } else { 19 };
                write(&[&ZSTD_MAGIC[..], hash].concat())?;
                let compress = || compress_zstd(bytes, dictionary, level, write);
                metrics.time(EncodeCodec::DictionaryZstd, effort.into(), compress)
            }
        }
    }
}

/// The hash by which a client names a dictionary.
pub(super) fn hash_of(dictionary: &[u8]) -> DictionaryHash {
    use sha2::{Digest, Sha256};
    Sha256::digest(dictionary).into()
}

/// The ETag of a file that was encoded against a dictionary, without its quotes. It begins with the file's version.
pub(super) fn etag(coding: DictionaryCoding, effort: Effort, from: Version, to: Version) -> String {
    let better = if effort == Effort::Background { "-better" } else { "" };
    format!("{to}-{}-{}{better}", coding.name(), &from.to_string()[..16])
}
