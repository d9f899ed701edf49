//! Sequence alignment: which positions of a window correspond to which positions of the target. The encoder is free to
//! choose other alignments.
//!
//! Both sides are split into tokens: words, or bytes between words. Where two tokens differ, the alignment continues on
//! the same diagonal if that soon pays. Otherwise a gapped extension looks for small insertions and deletions (X-drop,
//! as in BLAST, Altschul et al. 1997), and an index of token windows looks for another place to continue. In the index
//! all short words are equal, so that it finds renamed code. Gains are estimates of the saved bits.
//!
//! In WebAssembly modules the tokens are the numbers that compilers and linkers move, and bytes between them. A second
//! index there takes all numbers of one meaning for equal. Small insertions are looked for in their data, not in their code.

mod gapped;
mod samples;
mod tokens;
mod window_index;

use samples::is_text;
pub(crate) use samples::{has_code, has_lists, is_mostly_modules};
use tokens::{NUMBER, TokenSequence, shape};
use window_index::{MAX_BUCKET_BITS, WindowIndex};

use crate::delta::words::is_word_byte;

/// The cost, in bits, of moving the pointer to another place.
const JUMP: i32 = 16;
/// The loss from its best gain, in bits, at which an extension without gaps ends.
const STRAIGHT_DROP: i32 = 24;
/// The number of tokens ahead in which a search looks for an indexed window.
const LOOK_AHEAD: usize = 64;
/// The number of tokens after a find in which a search still looks for a better one.
const BETTER: usize = 12;
/// The most bytes of a window with modules that has a second index, for which there is no memory in a longer one.
const LONG_MODULE: usize = 12 << 20;
/// The number of searches that do not pay before the alignment skips tokens.
const FREE_MISSES: usize = 256;
/// The number of further searches that do not pay after which the alignment skips one more step.
const MISSES_PER_STEP: usize = 8;
/// The most steps that the alignment skips at once. A step is [`LOOK_AHEAD`] tokens.
const MAX_STEP: usize = 32;
/// The least gain of a search that pays, in jumps. It must also gain one for each token that it looked at.
const LEAST_JUMPS: i32 = 3;
/// The number of equal tokens that make up for one search that did not pay.
const TOKENS_PER_MISS: usize = 8;

/// Which parts of the target correspond to which parts of the window.
pub(crate) struct SequenceAlignment {
    /// What the two sides were split into.
    pub(crate) grain: Grain,
    /// Whether most of the target is text, and is split into words.
    pub(crate) words: bool,
    /// Pairs of positions, in the target and in the window, from which both continue together. Target positions ascend,
    /// and no two are equal.
    pub(crate) starts: Vec<(u32, u32)>,
    /// How many searches were made.
    #[cfg(test)]
    searches: usize,
}

/// What the two sides are split into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grain {
    /// Words, if most of the target is text, else bytes.
    Words,
    /// Bytes, in text too.
    Bytes,
    /// The numbers of modules, and words outside of them.
    Modules {
        /// The cost, in bits, of moving the pointer to another place in a module. Bytes and numbers often are equal by
        /// chance there.
        jump: i32,
    },
}

impl Grain {
    /// Whether text is split into words, if the target is text.
    fn has_words(self, target: &[u8]) -> bool {
        self != Grain::Bytes && is_text(target)
    }

    /// Whether there is a second index, in which tokens of one shape are equal.
    fn has_shapes(self, words: bool, window: usize) -> bool {
        words || matches!(self, Grain::Modules { .. }) && window <= LONG_MODULE
    }
}

pub(crate) fn align_sequences(window: &[u8], target: &[u8], grain: Grain) -> SequenceAlignment {
    let words = grain.has_words(target);
    let (has_modules, module_jump) = match grain {
        Grain::Words | Grain::Bytes => (false, JUMP),
        Grain::Modules { jump } => (true, jump),
    };
    let tokenized = words || has_modules;
    let sequence =
        |bytes| if tokenized { TokenSequence::of_tokens(bytes, has_modules) } else { TokenSequence::of_bytes(bytes) };
    let (old, new) = (sequence(window), sequence(target));
    let mut indexes = vec![WindowIndex::new(&old, 8, |code| code)];
    if grain.has_shapes(words, window.len()) {
        indexes.push(WindowIndex::new(&old, 12, shape));
    }
    let aligner = Aligner { old, new, indexes, module_jump };
    let mut starts = vec![(0, 0)];
    let (mut i, mut j) = (0, 0);
    // Recent searches that did not pay; equal tokens since the last search; and the end of the aligned part of the
    // target.
    let (mut misses, mut since, mut done) = (0usize, 0, 0);
    #[cfg(test)]
    let mut searches = 0;
    while i < aligner.new.codes.len() {
        let in_module = aligner.new.is_of_module(i);
        // Bytes of code often are equal by chance, so that small insertions are not looked for.
        let has_gaps = tokenized && (!in_module || aligner.new.is_data(i));
        let jump = aligner.jump(i);
        let gain = aligner.pair(i, j).unwrap_or(-1);
        let straight = if gain < 0 { aligner.straight(i, j, LOOK_AHEAD) } else { 0 };
        let is_between_words = tokenized && !in_module && aligner.new.len(i) == 0;
        let goes_on = 0 <= gain || (gain != -1 && LEAST_JUMPS * jump <= straight && !is_between_words);
        if goes_on {
            (i, j) = (i + 1, j + 1);
            since += 1;
            continue;
        }
        if 0 < since {
            done = i;
            misses = misses.saturating_sub(since / TOKENS_PER_MISS);
            since = 0;
        }
        #[cfg(test)]
        {
            searches += 1;
        }
        let stay = if has_gaps { aligner.gapped(i, j) } else { Extension::straight(straight) };
        let sought = if stay.settled { None } else { aligner.seek(i, j, done, stay.gain + jump / 2, tokenized) };
        let gain = sought.as_ref().map_or(stay.gain, |sought| sought.gain);
        let worth = (LEAST_JUMPS * jump).max(stay.looked_at as i32);
        misses = if worth <= gain { misses.saturating_sub(MISSES_PER_STEP) } else { misses + 1 }
            .min(FREE_MISSES + MISSES_PER_STEP * MAX_STEP);
        let step = if worth <= gain { 0 } else { LOOK_AHEAD * (misses.saturating_sub(FREE_MISSES) / MISSES_PER_STEP) };
        if let Some(Restart { target, window, .. }) = sought {
            starts.push((target, window));
            (i, j) = (target + 1, window + 1);
            done = i;
        } else if 0 < stay.gain {
            starts.extend(stay.starts);
            (i, j) = (i + stay.target, j + stay.window);
            done = i;
            (i, j) = (i + step, j + step);
        } else {
            i += LOOK_AHEAD + step;
        }
    }
    SequenceAlignment {
        grain,
        words,
        starts: aligner.diagonals(&starts),
        #[cfg(test)]
        searches,
    }
}

/// Bytes of memory that an alignment takes.
pub(crate) fn memory(window: &[u8], target: &[u8], grain: Grain) -> usize {
    let words = grain.has_words(target);
    let count = |bytes: &[u8]| {
        let within = |pair: &[u8]| is_word_byte(pair[0]) && is_word_byte(pair[1]);
        if words { bytes.len() - bytes.windows(2).filter(|pair| within(pair)).count() } else { bytes.len() }
    };
    let (old, new) = (count(window), count(target));
    let (index, making) = (4 * old + (8 * old).min(4 << MAX_BUCKET_BITS), 6 * old);
    let indexes = if grain.has_shapes(words, window.len()) { 2 * index } else { index };
    4 * (old + new) + indexes + making
}

/// A continuation from one place, and what it gains.
struct Extension {
    gain: i32,
    /// Whether so many tokens are equal that no other place needs to be tried.
    settled: bool,
    /// How many tokens of the target were looked at.
    looked_at: usize,
    /// How many tokens of each side the continuation covers.
    target: usize,
    window: usize,
    starts: Vec<(usize, usize)>,
}

impl Extension {
    fn straight(gain: i32) -> Extension {
        Extension { gain, settled: false, looked_at: 0, target: 1, window: 1, starts: Vec::new() }
    }
}

/// Another place to continue from.
struct Restart {
    gain: i32,
    target: usize,
    window: usize,
}

struct Aligner {
    old: TokenSequence,
    new: TokenSequence,
    indexes: Vec<WindowIndex>,
    module_jump: i32,
}

impl Aligner {
    /// The cost of moving the pointer at a token of the target.
    fn jump(&self, i: usize) -> i32 {
        if self.new.is_of_module(i) { self.module_jump } else { JUMP }
    }

    /// The positions of the starts, and of what follows a number that became longer or shorter.
    fn diagonals(&self, starts: &[(usize, usize)]) -> Vec<(u32, u32)> {
        let mut found = Vec::with_capacity(starts.len());
        for (place, (i, j)) in starts.iter().enumerate() {
            found.push((self.new.start(*i), self.old.start(*j)));
            let end = starts.get(place + 1).map_or(self.new.codes.len(), |next| next.0);
            if end == *i {
                // The pointer moves again before the first token.
                found.pop();
            }
            for step in 1..(end - i).min(self.old.codes.len() - j) {
                let (new, old) = (self.new.len(i + step - 1), self.old.len(j + step - 1));
                if new != old && NUMBER <= new.min(old) {
                    found.push((self.new.start(i + step), self.old.start(j + step)));
                }
            }
        }
        found
    }

    /// The gain of pairing two tokens; `None` if the pointer would lose its place.
    #[inline]
    fn pair(&self, i: usize, j: usize) -> Option<i32> {
        let (new, old) = (self.new.codes[i], *self.old.codes.get(j)?);
        match (new >> 26, old >> 26) {
            (0, 0) => Some(if new == old { 3 } else { -4 }),
            (0, _) | (_, 0) => None,
            (len, _) if new == old => {
                let len = len.checked_sub(NUMBER).unwrap_or(len.min(12));
                Some(2 + 2 * len as i32)
            }
            _ => Some(-2),
        }
    }

    /// The greatest gain of up to `len` tokens without a gap.
    fn straight(&self, i: usize, j: usize, len: usize) -> i32 {
        let (mut sum, mut best) = (0, 0);
        for step in 0..len.min(self.new.codes.len() - i) {
            let Some(gain) = self.pair(i + step, j + step) else { break };
            sum += gain;
            best = best.max(sum);
            if sum < best - STRAIGHT_DROP {
                break;
            }
        }
        best
    }

    /// The best other place to continue from, if it gains more than `least`. The target is aligned up to `done`.
    fn seek(&self, i: usize, j: usize, done: usize, least: i32, words: bool) -> Option<Restart> {
        let jump = self.jump(i);
        let (mut best, mut found) = (least, None);
        let mut until = LOOK_AHEAD.min(self.new.codes.len() - i);
        let mut ahead = 0;
        while ahead < until {
            let codes = &self.new.codes[i + ahead..];
            for place in self.indexes.iter().flat_map(|index| index.near(codes, j + ahead)) {
                let place = *place as usize;
                let distance = place.abs_diff(j + ahead).min(place.abs_diff(j));
                let cost = jump + (distance + 1).ilog2() as i32;
                let gain = self.straight(i + ahead, place, if words { 4 * LOOK_AHEAD } else { LOOK_AHEAD }) - cost;
                if best < gain {
                    (best, found) = (gain, Some((i + ahead, place)));
                    until = until.min(ahead + BETTER);
                }
            }
            ahead += 1;
        }
        found.map(|(to, place)| {
            let same = |back: &usize| self.new.codes[to - back] == self.old.codes[place - back];
            let back = (1..=place.min(to - done)).take_while(same).count();
            Restart { gain: best, target: to - back, window: place - back }
        })
    }
}

#[cfg(test)]
mod tests;
