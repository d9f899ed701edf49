//! Compressing one frame of a region, and how patiently.

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::delta::encode::encoder::EncodeError;
use crate::delta::format::WINDOW_LOG;

/// The level that makes the fewest bytes.
const BEST: i32 = 19;
/// What is mostly zeros, as differences are, takes that level long: above this length it is content with a match of so many bytes.
/// (Measured on sql.js: 126 ms where it took 208, for 5 % more bytes; on frames of text nothing changes.)
pub(super) const LONG_FRAME: usize = 256 << 10;
const SUFFICIENT: u32 = 96;

/// Levels above this are for what can be compressed; whether it can, the lowest shows, which sees what comes again from far as well.
const CHEAP: i32 = 4;
const LOWEST: i32 = 1;
/// Bytes from which on that is looked at first.
const LONG: usize = 64 << 10;
/// Where it leaves out less than this part of the bytes, no level finds much.
const LEAST_SAVED: usize = 256;
/// Bytes that a [`Stream`] takes at once, and gives at most.
const STREAM_PIECE: usize = 128 << 10;
/// The budget from which on every level fits.
const AMPLE: usize = 128 << 20;
/// Levels and the nanoseconds they take for each byte on a normal core, the best first. (Measured on typescript.js.)
const LEVEL_COSTS: [(i32, u64); 7] = [(19, 570), (18, 500), (15, 285), (12, 45), (9, 17), (6, 9), (5, 5)];

/// One frame without content size, checksum or dictionary id: the delta says all that is needed.
pub(super) fn pack(bytes: &[u8], prefix: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    if CHEAP < level && LONG <= bytes.len() {
        let glance = pack_at(bytes, prefix, LOWEST)?;
        if bytes.len() - bytes.len() / LEAST_SAVED <= glance.len() {
            return Ok(glance);
        }
    }
    pack_at(bytes, prefix, level)
}

fn pack_at(bytes: &[u8], prefix: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    let mut context = context(bytes.len() + prefix.len(), level)?;
    if level == LOWEST {
        context.set_parameter(CParameter::EnableLongDistanceMatching(true)).map_err(refused)?;
    }
    if level == BEST && LONG_FRAME < bytes.len() {
        context.set_parameter(CParameter::TargetLength(SUFFICIENT)).map_err(refused)?;
    }
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(refused)?;
    }
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).map_err(refused)?;
    Ok(out)
}

/// A frame that is compressed and given out piece by piece, as [`pack`] would make it.
pub(super) struct FrameStream {
    context: CCtx<'static>,
    at: usize,
    ended: bool,
}

impl FrameStream {
    /// A frame of so many bytes, without a prefix.
    pub(super) fn new(len: usize, level: i32) -> Result<FrameStream, EncodeError> {
        let mut context = context(len, level)?;
        context.set_pledged_src_size(Some(len as u64)).map_err(refused)?;
        Ok(FrameStream { context, at: 0, ended: false })
    }

    /// The next part of the frame of `bytes`, the same in each call; `None` after its end.
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

/// A compressor for frames of so many bytes, their prefix included.
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

/// The zstd level for a target of so many bytes that somebody waits for from nothing: some 5 ns a byte on a normal core, more for what
/// is short. (Measured on typescript.js: level 5 takes 5 ns a byte, a tenth fewer bytes than level 3 and half the time of level 6.)
pub(super) fn level_from_nothing(len: usize) -> i32 {
    match len {
        0..=0xffff => 9,
        0x1_0000..=0x7_ffff => 6,
        _ => 5,
    }
}

/// The zstd level for a target of so many bytes from nothing where nobody waits: some seconds on one core for the longest that is
/// [`BEST`], half a minute for 512 MiB.
pub(super) fn level_from_nothing_at_leisure(len: usize, budget: usize) -> i32 {
    let by_time = if len <= 16 << 20 { BEST } else { 12 };
    if budget < AMPLE { by_time.min(6) } else { by_time }
}

/// The best zstd level that compresses `len` bytes behind a prefix in the time that a receiver may wait for a region of `span` bytes:
/// 10 ns a byte, and 20 ms for what is short.
pub(super) fn level_within(span: u64, len: usize, prefix: usize, budget: usize) -> i32 {
    let allowed = 10 * span + 20_000_000;
    // What is looked back at is indexed, which takes a part of the time that compressing it would.
    let bytes = (len + prefix / 4) as u64;
    let fits = |(_, cost): &&(i32, u64)| bytes * cost <= allowed;
    let level = LEVEL_COSTS.iter().find(fits).map_or(4, |(level, _)| *level);
    if budget < AMPLE { level.min(6) } else { level }
}

/// The zstd level for so many new bytes of a delta that somebody waits for, while a better one is made.
pub(super) fn level_at_once(len: usize) -> i32 {
    match len {
        0..=0xffff => 9,
        0x1_0000..=0x7_ffff => 6,
        _ => 4,
    }
}

/// The most that it may be after so many bytes of the same delta: many regions get little more time than one.
pub(super) fn level_after(len: usize) -> i32 {
    match len {
        0..=0x3f_ffff => BEST,
        0x40_0000..=0x13f_ffff => 12,
        _ => 6,
    }
}

/// The zstd level that takes about a second for this many bytes on one core, and fits the budget.
pub(super) fn level(len: usize, budget: usize) -> i32 {
    let by_time = match len {
        0..=0x3f_ffff => BEST,
        0x40_0000..=0xff_ffff => 12,
        _ => 6,
    };
    if budget < AMPLE { by_time.min(6) } else { by_time }
}
