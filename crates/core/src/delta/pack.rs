//! Compressing one frame of a region, and how patiently.

use zstd_safe::{CCtx, CParameter};

use super::WINDOW_LOG;
use super::encode::EncodeError;

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
    let mut context = CCtx::try_create().ok_or(EncodeError::Zstd { what: "no memory for its context" })?;
    let refused = |code| EncodeError::Zstd { what: zstd_safe::get_error_name(code) };
    let window_log = (bytes.len() + prefix.len()).next_power_of_two().trailing_zeros().clamp(10, WINDOW_LOG);
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window_log),
        CParameter::ContentSizeFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        context.set_parameter(parameter).map_err(refused)?;
    }
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
    if budget < 128 << 20 { by_time.min(6) } else { by_time }
}
