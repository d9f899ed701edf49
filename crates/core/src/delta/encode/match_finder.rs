//! Finds runs of bytes that the basis and the target share.
//!
//! The basis is sampled: every `stride`-th window of 16 bytes goes into a hash table. The target's windows are looked
//! up at every position, and each hit is extended byte by byte in both directions. So sampling misses no run that is
//! longer than a stride and a window. (rsync, Tridgell 1999, also looks up one side at every position; bsdiff and
//! HDiffPatch also extend backwards.) The table has one slot for each hash, which keeps the time linear on repetitive
//! input.
//!
//! A look-up misses the processor's caches. If many look-ups in a row find nothing, the finder skips positions, as LZ4
//! does. It looks up `stride` positions in a row, which are called a *row* here, and then skips some rows. Whatever the
//! distance by which bytes moved, one position of each row corresponds to a sampled window.

use crate::shared_run::SharedRun;

/// The length of a window in bytes.
const WINDOW_LEN: usize = 16;
/// The fewest bytes of a shared run that is aligned: as far after the last run in the basis as in the target. Only its
/// lengths must be encoded.
const MIN_ALIGNED: usize = 16;
/// The fewest bytes of any other shared run. It costs more, since its place must be encoded too.
const MIN_MOVED: usize = 32;
/// The most windows in a table. A larger table exceeds the processor's caches, and building it costs more than its
/// matches save.
const MAX_ENTRIES: usize = 4 << 20;
/// The number of bits in a slot that hold the window's number. The other bits hold a part of the hash, so that few
/// look-ups read the basis needlessly.
const NUMBER_BITS: u32 = 23;
/// The number of look-ups without a match before the finder skips positions.
const FREE_MISSES: usize = 4 << 10;
/// The number of further look-ups without a match after which the finder skips one more row between two rows.
const MISSES_PER_STEP: usize = 256;
/// The most rows that the finder skips between two rows.
const MAX_STEP: usize = 128;
/// The number of look-ups without a match that are forgotten for each byte of a shared run that is found.
const MISSES_PER_COPIED_BYTE: usize = 16;

/// Iterates over the shared runs, in target order and without overlap.
pub(crate) struct MatchFinder<'a> {
    basis: &'a [u8],
    target: &'a [u8],
    table: WindowTable,
    /// The end of the last run, in the target and in the basis.
    at: usize,
    position: usize,
    /// Recent look-ups without a match.
    misses: usize,
    /// Look-ups and compared bytes, which take most of the time.
    #[cfg(test)]
    work: std::cell::Cell<usize>,
}

impl<'a> MatchFinder<'a> {
    /// Indexes the basis in at most `budget` bytes of memory. Indexed positions are at least `least_stride` apart.
    pub(crate) fn new(basis: &'a [u8], target: &'a [u8], budget: usize, least_stride: usize) -> MatchFinder<'a> {
        MatchFinder {
            basis,
            target,
            table: WindowTable::build(basis, budget, least_stride),
            at: 0,
            position: 0,
            misses: 0,
            #[cfg(test)]
            work: std::cell::Cell::default(),
        }
    }

    /// The best run at target position `at`.
    fn candidate(&self, at: usize) -> Option<Candidate> {
        self.count(1);
        let window = self.target.get(at..at + WINDOW_LEN)?;
        let aligned = self.position + (at - self.at);
        let aligned = self.grow(at, aligned, window).filter(|found| MIN_ALIGNED <= found.len);
        if aligned.as_ref().is_some_and(|found| 8 * MIN_MOVED <= found.len) {
            return aligned;
        }
        let moved = self.table.look_up(window).and_then(|basis| self.grow(at, basis, window));
        let moved = moved.filter(|found| MIN_MOVED.max(aligned.as_ref().map_or(0, |best| 2 * best.len)) <= found.len);
        moved.or(aligned)
    }

    /// Extends a window that is also at basis position `basis`: forwards to the end of the run, and backwards into the
    /// gap.
    fn grow(&self, at: usize, basis: usize, window: &[u8]) -> Option<Candidate> {
        if self.basis.get(basis..basis + WINDOW_LEN)? != window {
            return None;
        }
        let after = common_prefix(&self.basis[basis + WINDOW_LEN..], &self.target[at + WINDOW_LEN..]);
        let before = common_suffix(&self.basis[..basis], &self.target[self.at..at]);
        self.count(before + after);
        Some(Candidate { target: at - before, basis: basis - before, len: before + WINDOW_LEN + after })
    }

    /// The next shared run. The finder skips more rows the more misses there were.
    fn find(&mut self) -> Option<Candidate> {
        let (row, end) = (self.table.stride, self.target.len() - WINDOW_LEN + 1);
        let mut at = self.at;
        while at < end {
            let until = end.min(at + row);
            if let Some(found) = (at..until).find_map(|at| self.candidate(at)) {
                self.misses = self.misses.saturating_sub(MISSES_PER_COPIED_BYTE * found.len);
                return Some(found);
            }
            self.misses = (self.misses + until - at).min(FREE_MISSES + MAX_STEP * MISSES_PER_STEP);
            at = until + row * (self.misses.saturating_sub(FREE_MISSES) / MISSES_PER_STEP);
        }
        None
    }

    #[cfg(test)]
    fn count(&self, work: usize) {
        self.work.set(self.work.get() + work);
    }

    #[cfg(not(test))]
    fn count(&self, _: usize) {}
}

impl Iterator for MatchFinder<'_> {
    type Item = SharedRun;

    fn next(&mut self) -> Option<SharedRun> {
        if self.basis.len() < WINDOW_LEN || self.target.len() < WINDOW_LEN {
            return None;
        }
        let found = self.find()?;
        self.at = found.target + found.len;
        self.position = found.basis + found.len;
        Some(SharedRun { target: found.target as u64..self.at as u64, basis: found.basis as u64 })
    }
}

struct Candidate {
    target: usize,
    basis: usize,
    len: usize,
}

/// The sampled windows of the basis, by their hash. A slot of 0 is empty.
struct WindowTable {
    slots: Vec<u32>,
    shift: u32,
    stride: usize,
}

impl WindowTable {
    fn build(basis: &[u8], budget: usize, least_stride: usize) -> WindowTable {
        // An entry needs two slots of four bytes. The compressor gets the other half of the budget.
        let entries = (budget / 2 / 8).clamp(1, MAX_ENTRIES);
        let stride = basis.len().div_ceil(entries).next_power_of_two().max(least_stride);
        let slots = (2 * basis.len() / stride).next_power_of_two().max(2);
        let mut table = WindowTable { slots: vec![0; slots], shift: 64 - slots.trailing_zeros(), stride };
        let windows = basis.windows(WINDOW_LEN).step_by(stride);
        for (number, window) in (1..).zip(windows) {
            let hash = hash(window);
            let slot = &mut table.slots[(hash >> table.shift) as usize];
            if *slot == 0 {
                *slot = hash_bits(hash) | number;
            }
        }
        table
    }

    fn look_up(&self, window: &[u8]) -> Option<usize> {
        let hash = hash(window);
        let slot = self.slots[(hash >> self.shift) as usize];
        let number = Some(slot ^ hash_bits(hash)).filter(|number| number >> NUMBER_BITS == 0)?.checked_sub(1)?;
        Some(number as usize * self.stride)
    }
}

/// The part of a hash that a slot holds beside the window's number. The bits above it choose the slot.
fn hash_bits(hash: u64) -> u32 {
    ((hash >> 32) as u32) << NUMBER_BITS
}

fn hash(window: &[u8]) -> u64 {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&window[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let mixed = (word(0) ^ word(8).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ word(8)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (wide_a, wide_b) = (a.chunks_exact(64), b.chunks_exact(64));
    let whole = 64 * wide_a.zip(wide_b).take_while(|(a, b)| a == b).count();
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{random_bytes, random_text};

    fn copies(basis: &[u8], target: &[u8]) -> Vec<SharedRun> {
        let copies: Vec<SharedRun> = MatchFinder::new(basis, target, 1 << 20, 2).collect();
        let mut at = 0;
        for copy in &copies {
            assert!(at <= copy.target.start && copy.target.start < copy.target.end);
            let len = copy.target.end - copy.target.start;
            let from = &basis[copy.basis as usize..(copy.basis + len) as usize];
            assert_eq!(from, &target[copy.target.start as usize..copy.target.end as usize]);
            at = copy.target.end;
        }
        copies
    }

    #[test]
    fn one_edit_leaves_two_maximal_copies() {
        let old = random_bytes(1, 40_000);
        let new = [&old[..12_345], b"an edit", &old[12_360..]].concat();
        let found = copies(&old, &new);
        assert_eq!(found.len(), 2);
        assert!(found[0].target.end - 12_345 < 4, "the copy before the edit is maximal");
        assert!(12_352 - found[1].target.start < 4, "the copy after it too");
    }

    #[test]
    fn a_moved_block_is_found() {
        let old = random_bytes(2, 30_000);
        let new = [&old[20_000..], &old[..20_000]].concat();
        assert_eq!(copies(&old, &new).len(), 2);
    }

    #[test]
    fn repetitive_input_takes_linear_time() {
        let zeros = vec![0; 3_000_000];
        assert_eq!(copies(&zeros, &zeros).len(), 1);
        let lines = b"the same line\n".repeat(200_000);
        assert!(copies(&lines, &lines[3..]).len() <= 2);
        copies(&random_bytes(3, 1_000_000), &zeros);
    }

    /// How many look-ups and compared bytes it takes to find all runs.
    fn work(basis: &[u8], target: &[u8], stride: usize) -> usize {
        let mut finder = MatchFinder::new(basis, target, 256 << 20, stride);
        while finder.next().is_some() {}
        finder.work.get()
    }

    #[test]
    fn unrelated_bytes_take_few_look_ups() {
        const LEN: usize = 2_000_000;
        let all: Vec<u8> = (0..=255).collect();
        let signs = b"abcdefgh(){};,. \n_$=+-*/<>!?&|^%";
        let lines = b"a line that is the same\n".repeat(LEN / 24);
        let (bases, targets) = ([1, 2], [3, 4]);
        let pair = |alphabet: &[u8]| {
            bases
                .map(|number| random_text(number, LEN, alphabet))
                .into_iter()
                .zip(targets.map(|number| random_text(number, LEN, alphabet)))
        };
        let alike = [&all[..], signs, b"ACGT", b"01"].into_iter().flat_map(pair);
        let others = [
            (lines.clone(), random_text(3, LEN, &all)),
            (random_text(3, LEN, &all), lines.clone()),
            (vec![0; LEN], random_text(3, LEN, signs)),
        ];
        for (basis, target) in alike.chain(others) {
            for stride in [2, 8] {
                let work = work(&basis, &target, stride);
                assert!(12 * work < LEN, "{work} for {:?} after {:?}", &target[..20], &basis[..20]);
            }
        }
    }

    #[test]
    fn repetitive_bytes_are_compared_only_a_few_times() {
        const LEN: usize = 2_000_000;
        for period in [1, 2, 3, 7, 16, 24, 64, 300, 1000] {
            let all: Vec<u8> = (0..=255).collect();
            let basis = random_text(period as u64, period, &all).repeat(LEN / period);
            for every in [40, 999, 50_000] {
                let mut target = basis.clone();
                target.iter_mut().step_by(every).for_each(|byte| *byte ^= 0x55);
                for stride in [2, 8] {
                    let work = work(&basis, &target, stride);
                    assert!(work < 8 * LEN, "{work} for a period of {period} with an edit every {every}");
                }
            }
        }
    }

    #[test]
    fn a_run_after_many_random_bytes_is_found() {
        let all: Vec<u8> = (0..=255).collect();
        let old = random_text(1, 300_000, &all);
        let pieces: Vec<Vec<u8>> = old.chunks(200).map(|piece| [piece, b"!"].concat()).collect();
        let new =
            [&random_text(2, 1_000_000, &all)[..], &old, &random_text(3, 1_000_000, &all), &pieces.concat()].concat();
        let found = copies(&old, &new);
        assert_eq!((found[0].target.clone(), found[0].basis), (1_000_000..1_300_000, 0));
        let copied: u64 = found.iter().map(|copy| copy.target.end - copy.target.start).sum();
        assert!(590_000 < copied, "{copied} of 600,000 bytes are found");
    }

    #[test]
    fn short_sides_have_no_copies() {
        assert!(copies(b"", b"").is_empty());
        assert!(copies(&[1; 15], &[1; 900]).is_empty());
        assert!(copies(&[1; 900], &[1; 15]).is_empty());
    }
}
