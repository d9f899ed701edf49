//! The bytes between the numbers of a substituted copy. Most runs of them stay as they are, which one decision says. In
//! the other runs, decisions say of each byte what it became. Any change in this file changes the format.

use super::token::{LETTER_LIMIT, MAX_CONFIDENCE};
use crate::delta::adaptive::{Counter, code_tree, hash};
use crate::delta::arithmetic::DecisionCoder;

/// The most bytes of a run.
const MAX_RUN: usize = 32;
/// The outcomes of the last runs and bytes that are contexts: their number is log2 of these.
const LAST_RUNS: usize = 1 << 4;
const LAST_BYTES: usize = 1 << 3;
/// The number of values of log2 of a run's length.
const RUN_LENS: usize = 8;

/// Remembers what runs and bytes became, and how the decisions about them came out.
pub(super) struct ByteCoder {
    runs: Vec<LearnedRun>,
    run_counters: Vec<Counter>,
    /// One bit for each of the last runs: whether it changed. The latest is the lowest.
    run_outcomes: usize,
    /// What bytes became: by the byte with the one before it, and with the three before it.
    tables: [Vec<LearnedByte>; 2],
    first_counters: Vec<Counter>,
    /// For the byte of the first table, and for the byte as it is.
    other_counters: [Vec<Counter>; 2],
    difference_counters: Vec<Counter>,
    /// One bit for each of the last bytes in runs that changed: whether it changed. The latest is the lowest.
    byte_outcomes: usize,
    /// Runs, and bytes in runs that changed, so far.
    pub(super) run_count: u64,
    pub(super) byte_count: u64,
}

/// Whether a run changed when it was seen last. From the low bits up: 1 if it stayed and 2 if it changed, and six bits of
/// the key. 0 means no entry.
#[derive(Clone, Copy, Default)]
struct LearnedRun(u8);

impl LearnedRun {
    #[inline]
    fn seen(self, key: u32) -> usize {
        if u32::from(self.0 >> 2) == key & 63 { usize::from(self.0 & 3) } else { 0 }
    }

    #[inline]
    fn new(key: u32, changed: bool) -> LearnedRun {
        LearnedRun((key as u8 & 63) << 2 | if changed { 2 } else { 1 })
    }
}

/// What a byte became. From the low bits up: the new byte, two bits of confidence, and from bit 16 on the lower half of
/// the key, whose lowest bit is set. 0 means no entry.
#[derive(Clone, Copy, Default)]
struct LearnedByte(u32);

impl LearnedByte {
    #[inline]
    fn seen(self, key: u32) -> Option<(u8, usize)> {
        (self.0 >> 16 == key & 0xffff | 1).then_some((self.0 as u8, (self.0 >> 8 & 3) as usize))
    }

    #[inline]
    fn learn(&mut self, key: u32, byte: u8) {
        let confidence = match self.seen(key) {
            Some((same, confidence)) if same == byte => (confidence + 1).min(MAX_CONFIDENCE),
            _ => 0,
        };
        self.0 = (key & 0xffff | 1) << 16 | (confidence as u32) << 8 | u32::from(byte);
    }
}

/// The upper half of a key: its place in a table.
#[inline]
fn place(key: u32) -> usize {
    (key >> 16) as usize
}

impl ByteCoder {
    pub(super) fn new() -> ByteCoder {
        ByteCoder {
            runs: vec![LearnedRun::default(); 1 << 16],
            run_counters: vec![Counter::EVEN; 3 * LAST_RUNS * RUN_LENS],
            run_outcomes: 0,
            tables: [(); 2].map(|()| vec![LearnedByte::default(); 1 << 16]),
            first_counters: vec![Counter::EVEN; 100 * LAST_BYTES],
            other_counters: [(); 2].map(|()| vec![Counter::EVEN; 25]),
            difference_counters: vec![Counter::EVEN; 256],
            byte_outcomes: 0,
            run_count: 0,
            byte_count: 0,
        }
    }

    /// Appends what the bytes from `at` on became, which are the last of these bytes of the basis. An encoder passes the
    /// bytes that it wants. Returns how many bytes stayed as they are.
    #[inline]
    pub(super) fn change(
        &mut self,
        coder: &mut impl DecisionCoder,
        from: &[u8],
        at: usize,
        wanted: Option<&[u8]>,
        made: &mut Vec<u8>,
    ) -> u64 {
        let (mut at, mut kept) = (at, 0);
        while at < from.len() {
            let run = &from[at..from.len().min(at + MAX_RUN)];
            let wanted = wanted.map(|wanted| wanted.get(made.len()..made.len() + run.len()).unwrap_or(run));
            if self.run(coder, run, wanted) {
                for (place, own) in run.iter().enumerate() {
                    let wanted = wanted.map_or(0, |wanted| wanted[place]);
                    let new = self.byte(coder, *own, keys(&from[..=at + place]), wanted);
                    kept += u64::from(new == *own);
                    made.push(new);
                }
            } else {
                kept += run.len() as u64;
                made.extend_from_slice(run);
            }
            at += run.len();
        }
        kept
    }

    /// Codes whether a run changed.
    #[inline]
    fn run(&mut self, coder: &mut impl DecisionCoder, run: &[u8], wanted: Option<&[u8]>) -> bool {
        let key = run_key(run);
        let seen = self.runs[place(key)].seen(key);
        let last = self.run_outcomes % LAST_RUNS;
        let context = (seen * LAST_RUNS + last) * RUN_LENS + run.len().ilog2() as usize;
        let changed = self.run_counters[context].code(coder, wanted.is_some_and(|wanted| wanted != run));
        self.runs[place(key)] = LearnedRun::new(key, changed);
        self.run_outcomes = self.run_outcomes << 1 | usize::from(changed);
        self.run_count += 1;
        changed
    }

    /// Codes what one byte became.
    fn byte(&mut self, coder: &mut impl DecisionCoder, own: u8, keys: [u32; 2], wanted: u8) -> u8 {
        let seen = [self.tables[0][place(keys[0])].seen(keys[0]), self.tables[1][place(keys[1])].seen(keys[1])];
        let said = |seen: Option<(u8, usize)>| (seen.map(|(byte, _)| byte), seen.map_or(0, |(_, trust)| trust + 1));
        let ((short, trust), (long, long_trust)) = (said(seen[0]), said(seen[1]));
        let trust = long_trust * 5 + trust;
        let first = long.or(short).unwrap_or(own);
        let context = (trust * 2 + usize::from(short == long)) * 2 + usize::from(first == own);
        let context = context * LAST_BYTES + self.byte_outcomes % LAST_BYTES;
        let new = if self.first_counters[context].code(coder, wanted == first) {
            first
        } else {
            self.other(coder, own, first, short.unwrap_or(first), trust, wanted)
        };
        for (table, key) in self.tables.iter_mut().zip(keys) {
            table[place(key)].learn(key, new);
        }
        self.byte_outcomes = self.byte_outcomes << 1 | usize::from(new != own);
        self.byte_count += 1;
        new
    }

    /// Codes a byte that is not the first offer: the offer of the shorter key, the byte as it is, or a difference.
    #[cold]
    fn other(&mut self, coder: &mut impl DecisionCoder, own: u8, first: u8, short: u8, trust: usize, wanted: u8) -> u8 {
        let [by_table, unchanged] = &mut self.other_counters;
        if short != first && by_table[trust].code(coder, wanted == short) {
            return short;
        }
        if own != first && own != short && unchanged[trust].code(coder, wanted == own) {
            return own;
        }
        let difference = wanted.wrapping_sub(own).into();
        let said = code_tree(coder, &mut self.difference_counters, 8, difference, LETTER_LIMIT);
        own.wrapping_add(said as u8)
    }
}

/// The key of a run: its length and its bytes, four at a time.
#[inline]
fn run_key(run: &[u8]) -> u32 {
    let (fours, rest) = run.as_chunks::<4>();
    let key = fours.iter().fold(hash(run.len() as u32, 0), |key, four| hash(key, u32::from_le_bytes(*four)));
    if rest.is_empty() { key } else { hash(key, rest.iter().rev().fold(0, |four, byte| four << 8 | u32::from(*byte))) }
}

/// The keys of the last byte: with the one before it, and with the three before it.
#[inline]
fn keys(bytes: &[u8]) -> [u32; 2] {
    let back = |count: usize| bytes.len().checked_sub(count + 1).map_or(0, |at| u32::from(bytes[at]));
    let short = hash(back(0) | back(1) << 8, 0);
    [short, hash(short, back(2) | back(3) << 8)]
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;
    use crate::delta::arithmetic::{DecisionReader, DecisionWriter};

    /// Checks both ways: the decoder makes what the encoder coded. Returns the length of the decisions.
    fn goes_both_ways(pairs: &[(Vec<u8>, Vec<u8>)]) -> usize {
        let (mut writer, mut bytes) = (DecisionWriter::new(), ByteCoder::new());
        let kept: Vec<u64> =
            pairs.iter().map(|(from, to)| bytes.change(&mut writer, from, 0, Some(to), &mut Vec::new())).collect();
        let packed = writer.finish();
        let (mut reader, mut bytes) = (DecisionReader::new(packed.clone()), ByteCoder::new());
        for ((from, to), kept) in pairs.iter().zip(kept) {
            let mut made = Vec::new();
            assert_eq!(bytes.change(&mut reader, from, 0, None, &mut made), kept);
            assert_eq!(&made, to);
            assert_eq!(from.iter().zip(to).filter(|(old, new)| old == new).count() as u64, kept);
        }
        assert!(reader.is_spent() && !reader.is_overdrawn());
        packed.len()
    }

    #[test]
    fn runs_of_all_lengths_stay_and_change() {
        let pairs = |change: fn(u8) -> u8| {
            (0..100u8)
                .map(|len| {
                    let from: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(77)).collect();
                    let mut to = from.clone();
                    to.iter_mut().step_by(9).for_each(|byte| *byte = change(*byte));
                    (from, to)
                })
                .collect::<Vec<_>>()
        };
        assert!(goes_both_ways(&pairs(|byte| byte)) < 30, "5,000 bytes that stay");
        goes_both_ways(&pairs(|byte| byte.wrapping_add(1)));
        goes_both_ways(&pairs(|byte| byte ^ 0xa5));
    }

    #[test]
    fn what_a_byte_became_is_learned_by_the_bytes_before_it() {
        // `local.get 5` becomes `local.get 6` everywhere, and a 5 behind another byte stays.
        let code = |local: u8| [0x20, local, 0x6a, 0x0f, 5, 0x0b].repeat(1000);
        let len = goes_both_ways(&[(code(5), code(6))]);
        assert!(len < 100, "{len} bytes");
    }
}
