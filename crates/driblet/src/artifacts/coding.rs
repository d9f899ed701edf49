//! Encodes files for clients that send `Accept-Encoding`.

use std::io::{self, Read};

use super::error::ArtifactError;
use crate::metrics::{EncodeCodec, EncodeEffort, EncodeMetrics};

/// A content coding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    /// For clients that know nothing else.
    Gzip,
}

/// How much time goes into an artifact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Effort {
    /// A request waits for the first bytes.
    Interactive,
    /// No request waits.
    Background,
}

impl From<Effort> for EncodeEffort {
    fn from(effort: Effort) -> EncodeEffort {
        match effort {
            Effort::Interactive => EncodeEffort::Interactive,
            Effort::Background => EncodeEffort::Background,
        }
    }
}

/// Bytes of one sample.
const SAMPLE: usize = 32 << 10;
/// The most samples of a file.
const SAMPLES: usize = 4;
/// Files up to this length are compressed at a slower level while a request waits.
const SHORT: usize = 64 << 10;
/// The longest window of zstd, without and with a prefix: log2 of its bytes.
const WINDOW: u32 = 23;
const LONGEST_WINDOW: u32 = 27;

impl Coding {
    /// The name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The extension of a file in this coding, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zst",
            Coding::Gzip => "gz",
        }
    }

    /// The compression level for a file of this many bytes: some 10 ns a byte for interactive work on long files, some
    /// seconds a file in the background.
    fn level(self, effort: Effort, len: usize) -> i32 {
        match (self, effort) {
            (Coding::Brotli, Effort::Interactive) if len <= SHORT => 5,
            (Coding::Brotli, Effort::Interactive) => 3,
            (Coding::Brotli, Effort::Background) if len <= 2 << 20 => 11,
            (Coding::Brotli, Effort::Background) => 9,
            (Coding::Zstd, Effort::Interactive) if len <= SHORT => 6,
            (Coding::Zstd, Effort::Interactive) => 5,
            (Coding::Zstd, Effort::Background) if len <= 16 << 20 => 19,
            (Coding::Zstd, Effort::Background) => 12,
            (Coding::Gzip, Effort::Interactive) => 4,
            (Coding::Gzip, Effort::Background) => 9,
        }
    }

    /// Compresses bytes, and passes the output on piece by piece.
    pub(super) fn compress(
        self,
        effort: Effort,
        bytes: &[u8],
        metrics: &EncodeMetrics,
        write: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let level = self.level(effort, bytes.len());
        let effort = effort.into();
        match self {
            // A window of 4 MiB covers most bundles.
            Coding::Brotli => metrics.time(EncodeCodec::Brotli, effort, || {
                drain(brotli::CompressorReader::new(bytes, 64 << 10, level as u32, 22), write)
            }),
            Coding::Zstd => metrics.time(EncodeCodec::Zstd, effort, || compress_zstd(bytes, &[], level, write)),
            Coding::Gzip => metrics.time(EncodeCodec::Gzip, effort, || {
                drain(flate2::bufread::GzEncoder::new(bytes, flate2::Compression::new(level as u32)), write)
            }),
        }
    }
}

/// Whether samples of a file shrink enough that encoding the file is worth it.
pub(super) fn sample_shrinks(bytes: &[u8]) -> bool {
    let step = (bytes.len() / SAMPLES).max(SAMPLE);
    let samples = bytes.chunks(step).take(SAMPLES).map(|part| &part[..part.len().min(SAMPLE)]);
    let (mut sampled, mut packed) = (0, 0);
    for sample in samples {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(sample.len()));
        sampled += sample.len();
        packed += zstd_safe::compress(&mut out, sample, 1).unwrap_or(sample.len());
    }
    is_worth_it(packed as u64, sampled as u64)
}

/// Whether an encoding is shorter than the file by at least a tenth.
pub(super) fn is_worth_it(encoded: u64, len: u64) -> bool {
    encoded < len * 9 / 10
}

/// Passes on all that a compressing reader gives, piece by piece.
fn drain(
    mut reader: impl Read,
    mut write: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            read => write(&piece[..read])?,
        }
    }
}

/// Compresses after a prefix that the decoder has too. Without one, the window has at most 8 MiB, which RFC 8878 asks
/// every decoder to support. With one, it has all of both.
pub(super) fn compress_zstd(
    bytes: &[u8],
    prefix: &[u8],
    level: i32,
    mut write: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective};
    let failed = |code| io::Error::other(zstd_safe::get_error_name(code));
    let mut context = CCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let has_prefix = !prefix.is_empty();
    let longest = if has_prefix { LONGEST_WINDOW } else { WINDOW };
    let window_log = (prefix.len() + bytes.len()).next_power_of_two().trailing_zeros().clamp(10, longest);
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    context.set_parameter(CParameter::WindowLog(window_log)).map_err(failed)?;
    context.set_parameter(CParameter::EnableLongDistanceMatching(has_prefix)).map_err(failed)?;
    context.set_pledged_src_size(Some(bytes.len() as u64)).map_err(failed)?;
    if has_prefix {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    let mut input = InBuffer::around(bytes);
    let mut piece = vec![0; 64 << 10];
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let end = ZSTD_EndDirective::ZSTD_e_end;
        let left = context.compress_stream2(&mut output, &mut input, end).map_err(failed)?;
        write(output.as_slice())?;
        if left == 0 {
            return Ok(());
        }
    }
}
