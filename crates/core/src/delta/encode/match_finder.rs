//! Finding what of the target stands in the basis already.
//!
//! The basis is sampled: a window of 16 bytes at every `stride`-th position goes into a hash table, the target is looked up at every
//! position, and each hit grows both ways byte by byte, so sampling costs nothing of a match that is longer than a stride and a window.
//! (The rsync thesis, Tridgell 1999, looks at every position of one side too; growing backwards is bsdiff's and HDiffPatch's.) One slot for each hash
//! keeps time linear on repetitive input: a match that is refused is short, and one that is taken is never looked at again.
//!
//! A look-up misses the processor's caches, so where many in a row find nothing the steps grow, as LZ4's do. They go from one run of
//! positions to the next, each as long as a stride: one of its positions is beside a sampled window, however far the bytes moved.

use crate::shared_run::SharedRun;

/// Bytes hashed together.
const WINDOW_LEN: usize = 16;
/// A copy from where the last one ended and the target went on: nothing but lengths to code.
const MIN_ALIGNED: usize = 16;
/// A copy from elsewhere costs more to say.
const MIN_MOVED: usize = 32;
/// Entries beyond which a table outgrows the processor's caches so far that building it is slower than what it finds.
const MAX_ENTRIES: usize = 4 << 20;
/// Bits of a slot that say which window it is; the others are bits of its hash, so that few look-ups read the basis in vain.
const NUMBER_BITS: u32 = 23;
/// Look-ups in vain before the steps grow.
const FREE_MISSES: usize = 4 << 10;
/// Look-ups in vain after which a step is longer by one run.
const MISSES_PER_STEP: usize = 256;
/// Runs of positions that one step leaves out at most.
const MAX_STEP: usize = 128;
/// Look-ups in vain that one copied byte makes up for.
const MISSES_PER_COPIED_BYTE: usize = 16;

/// Walks through the target and gives the copies it finds, in order and apart from each other.
pub(crate) struct MatchFinder<'a> {
    basis: &'a [u8],
    target: &'a [u8],
    table: WindowTable,
    /// End of the last copy in the target and in the basis.
    at: usize,
    position: usize,
    /// Look-ups in vain of late.
    misses: usize,
    /// Look-ups and bytes compared: what time is spent on.
    #[cfg(test)]
    work: std::cell::Cell<usize>,
}

impl<'a> MatchFinder<'a> {
    /// Indexes the basis in at most `budget` bytes of memory, every `least_stride`-th position at the most.
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

    /// The candidate at target position `at`: where it begins in the basis.
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

    /// Extends a window that stands at `basis` too, forwards to its end and backwards into the gap.
    fn grow(&self, at: usize, basis: usize, window: &[u8]) -> Option<Candidate> {
        if self.basis.get(basis..basis + WINDOW_LEN)? != window {
            return None;
        }
        let after = common_prefix(&self.basis[basis + WINDOW_LEN..], &self.target[at + WINDOW_LEN..]);
        let before = common_suffix(&self.basis[..basis], &self.target[self.at..at]);
        self.count(before + after);
        Some(Candidate { target: at - before, basis: basis - before, len: before + WINDOW_LEN + after })
    }

    /// The next match, by runs of positions between which the steps are longer the more was in vain.
    fn find(&mut self) -> Option<Candidate> {
        let (run, end) = (self.table.stride, self.target.len() - WINDOW_LEN + 1);
        let mut at = self.at;
        while at < end {
            let until = end.min(at + run);
            if let Some(found) = (at..until).find_map(|at| self.candidate(at)) {
                self.misses = self.misses.saturating_sub(MISSES_PER_COPIED_BYTE * found.len);
                return Some(found);
            }
            self.misses = (self.misses + until - at).min(FREE_MISSES + MAX_STEP * MISSES_PER_STEP);
            at = until + run * (self.misses.saturating_sub(FREE_MISSES) / MISSES_PER_STEP);
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

/// Sampled windows of the basis by their hash; 0 is an empty slot.
struct WindowTable {
    slots: Vec<u32>,
    shift: u32,
    stride: usize,
}

impl WindowTable {
    fn build(basis: &[u8], budget: usize, least_stride: usize) -> WindowTable {
        // Two slots an entry, four bytes each; half the budget is left to the compressor.
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

/// The bits of a hash that a slot holds besides its number: below those that choose the slot.
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

    /// Look-ups and bytes compared until all copies are found.
    fn work(basis: &[u8], target: &[u8], stride: usize) -> usize {
        let mut finder = MatchFinder::new(basis, target, 256 << 20, stride);
        while finder.next().is_some() {}
        finder.work.get()
    }

    #[test]
    fn what_has_nothing_of_the_basis_takes_few_look_ups() {
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
    fn what_repeats_is_compared_a_few_times_at_most() {
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
    fn what_comes_after_long_noise_is_found() {
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
