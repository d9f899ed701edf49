//! Which zstd level a frame gets, by how long somebody may wait for it.

/// The highest zstd level that is used. It makes the fewest bytes.
pub(super) const BEST: i32 = 19;
/// The budget in bytes from which on every level has enough memory.
const AMPLE: usize = 128 << 20;
/// The highest level for a budget below [`AMPLE`].
const FRUGAL: i32 = 6;
/// Levels and the nanoseconds that they take for each byte on a server's core, the best level first.
const LEVEL_COSTS: [(i32, u64); 7] = [(19, 570), (18, 500), (15, 285), (12, 45), (9, 17), (6, 9), (5, 5)];

/// The level for a first sync of `len` bytes that somebody waits for: some 5 ns a byte, and more for short targets.
pub(super) fn first_sync(len: usize) -> i32 {
    match len {
        0..=0xffff => 9,
        0x1_0000..=0x7_ffff => 6,
        _ => 5,
    }
}

/// The level for a target of `len` bytes that nobody waits for and many receivers get: all that hold nothing, or all that
/// hold the same unknown version. It takes up to 40 s.
pub(super) fn shared(len: usize, budget: usize) -> i32 {
    within_budget(if len <= 64 << 20 { BEST } else { 12 }, budget)
}

/// The level for `len` new bytes of a delta that somebody waits for. A better delta is made afterwards.
pub(super) fn interactive(len: usize) -> i32 {
    match len {
        0..=0xffff => 9,
        0x1_0000..=0x7_ffff => 6,
        _ => 4,
    }
}

/// The level for `len` bytes after a prefix in a matched delta, whose receiver waits: the best level that takes 10 ns for
/// each byte that the region covers, and 20 ms more.
pub(super) fn matched(span: u64, len: usize, prefix: usize, budget: usize) -> i32 {
    let allowed = 10 * span + 20_000_000;
    let bytes = work(len, prefix) as u64;
    let fits = |(_, cost): &&(i32, u64)| bytes * cost <= allowed;
    within_budget(LEVEL_COSTS.iter().find(fits).map_or(4, |(level, _)| *level), budget)
}

/// The level for bytes of a delta that nobody waits for, of which a compressor compresses `len` and indexes `prefix`. It
/// takes some seconds.
pub(super) fn thorough(len: usize, prefix: usize, budget: usize) -> i32 {
    let level = match work(len, prefix) {
        0..=0x7f_ffff => BEST,
        0x80_0000..=0x1ff_ffff => 12,
        _ => 6,
    };
    within_budget(level, budget)
}

/// The highest level after so much [`work`] for the same delta, so that many regions take little more time than
/// one.
pub(super) fn after(work: usize) -> i32 {
    match work {
        0..=0xbf_ffff => BEST,
        0xc0_0000..=0x27f_ffff => 12,
        _ => 6,
    }
}

/// What it takes to compress `len` bytes after a prefix, in bytes without one: the compressor only indexes the prefix.
pub(super) fn work(len: usize, prefix: usize) -> usize {
    len + prefix / 4
}

fn within_budget(level: i32, budget: usize) -> i32 {
    if budget < AMPLE { level.min(FRUGAL) } else { level }
}
