//! Compresses the frames of a region with zstd.

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use super::error::EncodeError;
use crate::delta::format::WINDOW_LOG;

/// The fastest level. With long-distance matching it shows whether bytes can be compressed at all.
const FASTEST: i32 = 1;
/// The fewest bytes of a frame for which a trial by the fastest level shows whether a better level is worth its time.
const LEAST_TRIED: usize = 64 << 10;
/// The highest level without a trial. Levels up to it take hardly longer than the trial.
const CHEAP: i32 = 4;
/// The frame of the trial is kept if the trial saves less than a 256th of the bytes. No level saves much then.
const LEAST_SAVED: usize = 256;
/// A level that takes a tenth of the time of the levels above it.
const MIDDLE: i32 = 10;
/// The frame of [`MIDDLE`] is kept if it saves at least a 16th of the bytes, and less than a 64th of the trial's. Such
/// bytes are found in the prefix, or are noise, and the levels above save nothing. They do save something where nearly
/// all bytes are packed ones.
const LEAST_FOUND: usize = 16;
const LEAST_GAINED: usize = 64;
/// The most bytes that a [`FrameStream`] compresses, or gives out, in one step.
const STREAM_PIECE: usize = 128 << 10;

/// Compresses bytes into one frame, without content size, checksum and dictionary id.
pub(super) fn compress(bytes: &[u8], prefix: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    if CHEAP < level && LEAST_TRIED <= bytes.len() {
        let trial = compress_at(bytes, prefix, FASTEST)?;
        if bytes.len() - bytes.len() / LEAST_SAVED <= trial.len() {
            return Ok(trial);
        }
        if MIDDLE < level {
            let middle = compress_at(bytes, prefix, MIDDLE)?;
            let is_packed = bytes.len() - bytes.len() / LEAST_FOUND <= middle.len();
            if !is_packed && (trial.len() - trial.len() / LEAST_GAINED..=trial.len()).contains(&middle.len()) {
                return Ok(middle);
            }
        }
    }
    compress_at(bytes, prefix, level)
}

fn compress_at(bytes: &[u8], prefix: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    let mut context = context(bytes.len() + prefix.len(), level)?;
    if level == FASTEST {
        context.set_parameter(CParameter::EnableLongDistanceMatching(true)).map_err(refused)?;
    }
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(refused)?;
    }
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).map_err(refused)?;
    Ok(out)
}

/// Makes a frame piece by piece. Unlike [`compress`], it makes no trial first.
pub(super) struct FrameStream {
    context: CCtx<'static>,
    at: usize,
    ended: bool,
}

impl FrameStream {
    /// A frame of `len` bytes, without a prefix.
    pub(super) fn new(len: usize, level: i32) -> Result<FrameStream, EncodeError> {
        let mut context = context(len, level)?;
        context.set_pledged_src_size(Some(len as u64)).map_err(refused)?;
        Ok(FrameStream { context, at: 0, ended: false })
    }

    /// The next piece of the frame; `None` after its end. Every call must get the same `bytes`.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, EncodeError> {
        let mut out = Vec::with_capacity(STREAM_PIECE);
        while out.is_empty() && !self.ended {
            let end = (self.at + STREAM_PIECE).min(bytes.len());
            let is_last = end == bytes.len();
            let directive = if is_last { ZSTD_EndDirective::ZSTD_e_end } else { ZSTD_EndDirective::ZSTD_e_continue };
            let mut input = InBuffer::around(&bytes[self.at..end]);
            let mut output = OutBuffer::around(&mut out);
            let left = self.context.compress_stream2(&mut output, &mut input, directive).map_err(refused)?;
            self.at += input.pos();
            self.ended = is_last && left == 0;
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

/// A compressor for frames of `len` bytes, including their prefix.
fn context(len: usize, level: i32) -> Result<CCtx<'static>, EncodeError> {
    let mut context = CCtx::try_create().ok_or(EncodeError::Zstd { what: "no memory for its context" })?;
    let window_log = len.next_power_of_two().trailing_zeros().clamp(10, WINDOW_LOG);
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window_log),
        CParameter::ContentSizeFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        context.set_parameter(parameter).map_err(refused)?;
    }
    Ok(context)
}

fn refused(code: usize) -> EncodeError {
    EncodeError::Zstd { what: zstd_safe::get_error_name(code) }
}
