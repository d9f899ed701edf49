//! The model that both sides run: step by step it predicts, codes what is so, and learns.

use super::binary::Coder;
use super::follow::{Follower, Renames, is_word_byte, kind};
use super::mix::{CURVES, Correction, Curves, Mixture, hash};
use super::numbers::Numbers;
use super::recall::{Recall, agreed_class};

/// Zeros before everything, so that each byte has some before it.
pub(crate) const MARGIN: usize = 16;
const FLAGS: usize = 9;
const LITERALS: usize = 13;
const BLOCKS: usize = 5;
/// Hits after which a whole block may be said to be as expected.
const CALM: u32 = 16;
/// Bytes to code one by one after a miss, in text and elsewhere.
const DOUBT: [u32; 2] = [24, 256];
const MAX_BLOCK_LEVEL: u32 = 12;
/// Bytes that agree before the recall's byte is expected instead of an unsure one.
const SURE: usize = 24;
/// Bytes that a text's pointer may be near its place before it is made to jump there.
const PATIENT: u32 = 12;
/// Pages of the window are shown to the literals' contexts when misses fall into them.
const PAGE: usize = 1024;
const PAGE_MISSES: u8 = 2;
/// How far around itself the pointer looks for its place after misses.
const RESYNC: usize = 32;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutsideWindow;

/// A buffer with room for a window and a target, and the margin in it.
pub(crate) fn buffer(window: usize, span: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(MARGIN + window + span);
    buffer.resize(MARGIN, 0);
    buffer
}

pub(crate) struct Model {
    /// A margin, the window, then the target as far as it stands.
    buffer: Vec<u8>,
    window_end: usize,
    end: usize,
    words: bool,
    curves: &'static Curves,
    follower: Follower,
    renames: Renames,
    recall: Recall,
    flag: Mixture<FLAGS, { 2 * FLAGS + 2 }>,
    flag_corrections: [Correction; 2],
    literal: Mixture<LITERALS, { 2 * LITERALS + 6 }>,
    literal_correction: Correction,
    numbers: Numbers,
    blocks: Mixture<BLOCKS, { 2 * BLOCKS + 2 }>,
    /// One bit for each block tried: whether it held.
    outcomes: u32,
    /// Bytes since the last jump, and from the one before to that.
    since_jump: u32,
    gap: u32,
    last_distance: i64,
    level: u32,
    /// Bytes to code one by one before a block is tried again.
    patience: u32,
    /// One bit for each byte: whether it was a miss; the latest lowest.
    misses: u32,
    hits: u32,
    new_word: u32,
    difference: u8,
    differences: u32,
    anchor: usize,
    page_misses: Vec<u8>,
    primes_left: u32,
    astray: u32,
    jumped: bool,
    followed: u64,
    decisions: u64,
}

impl Model {
    /// A model before the first byte of a target of `span` bytes; the buffer is one of [`buffer`]'s with the window in it.
    ///
    /// `memory` scales the tables and the pages that are primed, so that a small delta need not pay for large ones; with 0 the
    /// window is not indexed either.
    pub(crate) fn new(buffer: Vec<u8>, span: usize, words: bool, memory: u32) -> Model {
        let curves = &*CURVES;
        let window_end = buffer.len();
        let mut recall = Recall::new((10 + memory).min(20));
        if memory != 0 {
            (MARGIN..window_end).for_each(|at| recall.remember(&buffer, at));
        }
        Model {
            window_end,
            end: window_end + span,
            words,
            curves,
            follower: Follower::new(MARGIN),
            renames: Renames::new(),
            recall,
            flag: Mixture::new((8 + memory).min(16), 1, [kind::COUNT * 3, 256, 64]),
            flag_corrections: [Correction::new(curves, 1 << 12), Correction::new(curves, 1 << 12)],
            literal: Mixture::new((10 + memory).min(18), 4, [256, kind::COUNT * 64, 256]),
            literal_correction: Correction::new(curves, 1 << 14),
            numbers: Numbers::new(),
            blocks: Mixture::new(12, 1, [16, 64, 256]),
            outcomes: 0,
            since_jump: 0,
            gap: 0,
            last_distance: 0,
            level: 0,
            patience: CALM,
            misses: 0,
            hits: 0,
            new_word: 0,
            difference: 0,
            differences: 0,
            anchor: MARGIN,
            page_misses: vec![0; (window_end - MARGIN) / PAGE + 1],
            primes_left: (1 << memory) >> 1,
            astray: 0,
            jumped: false,
            followed: 0,
            decisions: 0,
            buffer,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.buffer.len() == self.end
    }

    /// Bytes that were as expected.
    pub(crate) fn followed(&self) -> u64 {
        self.followed
    }

    /// Decisions of the mixtures so far.
    #[cfg(feature = "encode")]
    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    /// The target as far as it stands.
    pub(crate) fn target(&self) -> &[u8] {
        &self.buffer[self.window_end..]
    }

    /// Codes the next byte, block or jump.
    pub(crate) fn step(&mut self, coder: &mut impl Coder) -> Result<(), OutsideWindow> {
        let jump = self.scripted_jump(coder);
        if self.patience == 0 && self.follower.at < self.window_end && self.block(coder, jump) {
            return Ok(());
        }
        self.patience = self.patience.saturating_sub(1);
        self.byte(coder, jump)
    }

    /// Where the encoder wants the pointer to be now, if it is not there and will not find the way by itself.
    fn scripted_jump(&mut self, coder: &impl Coder) -> Option<usize> {
        let script = coder.script().filter(|_| !self.jumped)?;
        let at = self.buffer.len() - self.window_end;
        let wanted = MARGIN + script.guide[at].checked_add(1)? as usize - 1;
        if wanted == self.follower.at {
            self.astray = 0;
            return None;
        }
        self.astray += 1;
        let near = self.words && wanted.abs_diff(self.follower.at) < RESYNC;
        if near && self.astray <= PATIENT {
            return None;
        }
        let agreed = |place: usize| {
            self.buffer[place..self.window_end]
                .iter()
                .zip(&script.target[at..])
                .take(64)
                .take_while(|(a, b)| a == b)
                .count()
        };
        let there = agreed(wanted);
        (if self.words { 8 } else { 4 } <= there && agreed(self.follower.at) < there).then_some(wanted)
    }

    /// Says of a whole block whether it is as expected; if so it is done.
    fn block(&mut self, coder: &mut impl Coder, jump: Option<usize>) -> bool {
        let start = self.buffer.len();
        let len = ((CALM as usize) << self.level).min(self.end - start);
        let before = self.follower.clone();
        self.follow(len);
        if self.buffer.len() < start + CALM as usize {
            self.buffer.truncate(start);
            self.follower = before;
            self.patience = 1;
            return false;
        }
        let (from, to) = (start - self.window_end, self.buffer.len() - self.window_end);
        let holds =
            coder.script().is_some_and(|script| jump.is_none() && script.target[from..to] == self.buffer[start..]);
        let said = self.block_flag(coder, start, holds);
        if said {
            self.level = (self.level + 1).min(MAX_BLOCK_LEVEL);
            self.misses = 0;
            self.hits = self.hits.saturating_add((to - from) as u32);
            self.since_jump = self.since_jump.saturating_add((to - from) as u32);
            self.followed += (to - from) as u64;
            self.new_word = 0;
            self.recall.forget_place();
        } else {
            self.buffer.truncate(start);
            self.follower = before;
            self.level /= 2;
            self.patience = CALM;
        }
        said
    }

    /// Codes whether the block that stands from `start` holds.
    fn block_flag(&mut self, coder: &mut impl Coder, start: usize, holds: bool) -> bool {
        let b = &self.buffer;
        let recent = (self.misses >> 16).count_ones().min(3) | self.level << 2;
        let calm = self.hits.checked_ilog2().map_or(0, |log| log + 1);
        let next = u32::from_le_bytes([b[start], b[start + 1], b[start + 2], b[start + 3]]);
        let contexts = [
            hash(1, recent),
            hash(2, self.outcomes & 0xff | self.level << 8),
            hash(3, self.level << 8 | calm),
            hash(hash(4, self.level), next & 0xffff | u32::from(b[start - 1]) << 16),
            hash(hash(5, self.level), self.outcomes & 3 | ((b.len() - start) as u32) << 4),
        ];
        self.blocks.find(&contexts);
        let sets = [self.level as usize, (self.outcomes & 63) as usize, b[start - 1] as usize];
        let stretch = self.blocks.predict(self.curves, 1, &[256], sets);
        let said = coder.code(self.curves.squash(stretch) as u16, holds);
        self.blocks.learn(self.curves, said);
        self.outcomes = self.outcomes << 1 | u32::from(said);
        said
    }

    /// Appends what is expected, without learning, up to a word that is in doubt.
    fn follow(&mut self, len: usize) {
        for _ in 0..len {
            if self.words {
                self.follower.enter(&self.buffer, self.window_end, &self.renames);
                if self.follower.word.as_ref().is_some_and(|word| word.doubted) {
                    break;
                }
            }
            let (byte, _) = self.follower.expected(&self.buffer, self.window_end);
            self.buffer.push(byte);
            self.follower.advance(&self.buffer, self.window_end, None);
        }
    }

    fn byte(&mut self, coder: &mut impl Coder, jump: Option<usize>) -> Result<(), OutsideWindow> {
        if self.words {
            self.follower.enter(&self.buffer, self.window_end, &self.renames);
        }
        let i = self.buffer.len();
        let wanted = coder.script().map(|script| script.target[i - self.window_end]);
        let seen = self.look();
        let hit = wanted == Some(seen.expected) && jump.is_none();
        let hit = self.flag(coder, &seen, hit);
        if !hit {
            let due = u32::from(self.since_jump == self.gap);
            let context = u32::from(seen.is_word) | seen.agreement << 1 | due << 3;
            // One jump at a place is enough; more would let a delta go on for ever.
            if !self.jumped && self.numbers.jump(coder, self.curves, context, jump.is_some()) {
                return self.jump(coder, jump.unwrap_or(0));
            }
            if 4 <= self.hits || self.misses == 0 {
                self.anchor = self.follower.at;
            }
            self.note_miss();
        }
        let byte = if hit { seen.expected } else { self.literal(coder, &seen, wanted.unwrap_or(0)) };
        self.followed += u64::from(hit);
        self.decisions += if hit { 1 } else { 9 };
        self.jumped = false;
        self.buffer.push(byte);
        self.advance(&seen, byte);
        Ok(())
    }

    #[inline]
    fn look(&self) -> Seen {
        let b = &self.buffer;
        let i = b.len();
        let at = self.follower.at;
        let window = |at: usize| if at < self.window_end { b[at] } else { 0 };
        let (mut expected, mut kind) = self.follower.expected(b, self.window_end);
        let recalled = self.recall.expected(b);
        if kind::UNKNOWN_WORD <= kind && SURE <= self.recall.agreed && self.hits < 4 {
            (expected, kind) = (recalled.unwrap_or(0), kind::RECALLED);
        }
        let agreement = match recalled {
            None => 0,
            Some(byte) if byte == expected => 1,
            Some(_) => 2,
        };
        Seen {
            expected,
            kind,
            recalled,
            agreement,
            in_word: self.follower.in_word(b).min(48) as u32,
            is_word: self.follower.word.is_some(),
            window: window(at),
            after: window(at + 1),
            before: b[at - 1],
            last: u32::from_le_bytes([b[i - 1], b[i - 2], b[i - 3], b[i - 4]]),
        }
    }

    #[inline]
    fn flag(&mut self, coder: &mut impl Coder, seen: &Seen, hit: bool) -> bool {
        let (e, k) = (u32::from(seen.expected), u32::from(seen.kind));
        let last = seen.last;
        let calm = self.hits.checked_ilog2().map_or(0, |log| log + 1).min(7);
        let agreed = agreed_class(self.recall.agreed);
        let in_word = seen.in_word.min(3) * u32::from(seen.is_word);
        let keys = self.follower.word.as_ref().map(|word| word.keys);
        let pair = |table: usize, other: u32| keys.map_or(other, |keys| hash(keys[table], seen.in_word | k << 8));
        let contexts = [
            hash(1, e | (last & 255) << 8 | k << 16),
            hash(hash(2, k | calm << 8 | (self.misses & 15) << 12), seen.agreement | in_word << 4),
            hash(4, pair(0, e | 1 << 20)),
            hash(hash(6, e | u32::from(seen.after) << 8 | u32::from(seen.before) << 16 | last << 24), k),
            hash(hash(7, seen.agreement | agreed << 4 | calm << 8), k | e << 8),
            hash(hash(8, e | last << 8), seen.in_word | u32::from(seen.is_word) << 8),
            hash(hash(13, self.since_jump.min(255) | self.gap.min(255) << 8), k),
            hash(hash(10, self.differences), e | (self.misses & 3) << 8),
            hash(hash(12, u32::from(seen.recalled.unwrap_or(0)) | agreed << 8), e | k << 8),
        ];
        self.flag.find(&contexts);
        let sets = [(k * 3 + seen.agreement) as usize, (self.misses & 255) as usize, (calm * 8 + agreed) as usize];
        let stretch = self.flag.predict(self.curves, 1, &[256], sets);
        let first = self.flag_corrections[0].refine(stretch, (hash(e | k << 8 | last << 16, 5) >> 20) as usize);
        let second = self.flag_corrections[1].refine(stretch, (contexts[2] >> 20) as usize);
        let p = (2 * self.curves.squash(stretch) + first + second) >> 2;
        let hit = coder.code(p.clamp(1, 65_535) as u16, hit);
        self.flag.learn(self.curves, hit);
        self.flag_corrections.iter_mut().for_each(|correction| correction.learn(hit));
        hit
    }

    fn literal(&mut self, coder: &mut impl Coder, seen: &Seen, wanted: u8) -> u8 {
        let (e, k) = (u32::from(seen.expected), u32::from(seen.kind));
        let (last, window) = (seen.last, u32::from(seen.window));
        let in_word = seen.in_word.min(3) * u32::from(seen.is_word);
        let word = self.follower.word.as_ref();
        let word_end =
            word.filter(|word| word.end < self.window_end).map_or(256, |word| u32::from(self.buffer[word.end]));
        let recalled = u32::from(seen.recalled.unwrap_or(0));
        let shifted = u32::from(seen.window.wrapping_add(self.difference));
        let apart = window | u32::from(seen.before) << 8 | 1 << 30;
        let other = self.follower.otherwise(&self.buffer, self.window_end, seen.expected);
        let contexts = [
            hash(1, self.misses & 255),
            order(1, last),
            order(2, last),
            order(3, last),
            order(4, last),
            hash(hash(6, window | e << 8), k),
            hash(hash(7, window | (last & 255) << 8 | u32::from(seen.before) << 16), u32::from(seen.after)),
            hash(hash(8, word.map_or(window | 1 << 30, |word| word.hash)), self.new_word),
            hash(hash(9, other.map_or(apart, |(byte, kind)| u32::from(byte) | u32::from(kind) << 8)), e | k << 8),
            hash(hash(10, recalled | agreed_class(self.recall.agreed) << 8), window),
            hash(hash(11, shifted), self.misses & 7 | (last & 255) << 8),
            hash(hash(12, self.new_word), word_end | in_word << 16 | u32::from(seen.is_word) << 20),
            hash(hash(13, e), self.differences & 0xffff),
        ];
        let mut node = 1u32;
        let (mut as_recalled, mut as_expected, mut as_shifted, mut as_other) =
            (seen.recalled.is_some(), true, self.difference != 0, other.is_some());
        let other = other.map_or(0, |(byte, _)| u32::from(byte));
        let agreed = self.recall.agreed.min(32) as i32;
        for at in (0..8).rev() {
            if at == 7 || at == 3 {
                self.literal.find(&contexts.map(|context| hash(context, node)));
            }
            let within = if 4 <= at { node } else { node & ((1 << (3 - at)) - 1) | 1 << (3 - at) };
            let signed = |holds: bool, byte: u32, weight: i32| match (holds, byte >> at & 1) {
                (false, _) => 0,
                (true, 1) => weight,
                (true, _) => -weight,
            };
            let extra = [
                signed(as_recalled, recalled, 64 + agreed * 16),
                signed(as_expected, e, -96 - (7 - at) * 60),
                signed(as_shifted, shifted, 100),
                signed(as_other, other, 150),
                256,
            ];
            let holding = u32::from(as_recalled)
                | u32::from(as_expected) << 1
                | u32::from(as_shifted) << 2
                | u32::from(as_other) << 3;
            let sets = [(node & 255) as usize, (k << 6 | holding << 2 | at as u32 & 3) as usize, (last & 255) as usize];
            let stretch = self.literal.predict(self.curves, within as usize, &extra, sets);
            let context = hash(hash(e | k << 8, node), last & 255) >> 18;
            let p = (self.curves.squash(stretch) + self.literal_correction.refine(stretch, context as usize)) >> 1;
            let bit = coder.code(p.clamp(32, 65_504) as u16, wanted >> at & 1 == 1);
            self.literal.learn(self.curves, bit);
            self.literal_correction.learn(bit);
            as_recalled &= (recalled >> at & 1 == 1) == bit;
            as_expected &= (e >> at & 1 == 1) == bit;
            as_other &= (other >> at & 1 == 1) == bit;
            as_shifted &= (shifted >> at & 1 == 1) == bit;
            node = node << 1 | u32::from(bit);
        }
        node as u8
    }

    fn jump(&mut self, coder: &mut impl Coder, wanted: usize) -> Result<(), OutsideWindow> {
        let due = self.since_jump == self.gap;
        let again = self.follower.at as i64 + self.last_distance;
        let to = if self.numbers.again[usize::from(due)].code(self.curves, coder, wanted as i64 == again) {
            again
        } else {
            let recalled = if self.recall.agreed == 0 { self.follower.at } else { self.recall.position() };
            let bases = [self.follower.at, self.anchor, recalled];
            let nearest = (0..3).min_by_key(|base| bases[*base].abs_diff(wanted)).unwrap_or(0);
            let base = self.numbers.base(coder, self.curves, self.recall.agreed, nearest);
            let distance = self.numbers.distance(coder, self.curves, base, wanted as i64 - bases[base] as i64);
            self.last_distance = distance + bases[base] as i64 - self.follower.at as i64;
            bases[base] as i64 + distance
        };
        if to < MARGIN as i64 || (self.window_end as i64) < to {
            return Err(OutsideWindow);
        }
        self.follower.jump(to as usize);
        self.jumped = true;
        (self.gap, self.since_jump) = (self.since_jump, 0);
        self.misses = self.misses << 1 | 1;
        self.hits = 0;
        self.patience = CALM;
        Ok(())
    }

    fn advance(&mut self, seen: &Seen, byte: u8) {
        let hit = byte == seen.expected;
        self.misses = self.misses << 1 | u32::from(!hit);
        self.hits = if hit { self.hits.saturating_add(1) } else { 0 };
        if !hit {
            self.patience = DOUBT[usize::from(!self.words)];
            if !seen.is_word && self.follower.at < self.window_end {
                self.difference = byte.wrapping_sub(seen.window);
                self.differences = self.differences << 8 | u32::from(self.difference);
            }
        }
        self.since_jump = self.since_jump.saturating_add(1);
        self.new_word = if is_word_byte(byte) { hash(self.new_word.wrapping_add(1), u32::from(byte)) } else { 0 };
        self.follower.advance(&self.buffer, self.window_end, Some(&mut self.renames));
        self.recall.advance(&self.buffer);
        if self.misses & 0xff != 0 {
            self.recall.search(&self.buffer);
            self.recall.remember(&self.buffer, self.buffer.len());
        }
        if self.words && self.follower.word.is_none() && self.misses & 15 != 0 {
            self.resync();
        }
    }

    /// Puts the pointer where, near it, the most of the last bytes agree.
    fn resync(&mut self) {
        let b = &self.buffer;
        let at = self.follower.at;
        let near =
            (0..2 * RESYNC).map(|step| if step % 2 == 0 { at + step / 2 } else { at.wrapping_sub(step.div_ceil(2)) });
        let mut best = (0, at);
        for (step, place) in near.enumerate().filter(|(_, place)| (MARGIN..self.window_end).contains(place)) {
            let agreed = (0..16).take_while(|back| b[place - 1 - back] == b[b.len() - 1 - back]).count();
            let score = 4 * agreed as i32 - step as i32 / 16;
            if 4 <= agreed && best.0 < score {
                best = (score, place);
            }
        }
        self.follower.at = best.1;
    }

    fn note_miss(&mut self) {
        let page = (self.follower.at - MARGIN) / PAGE;
        if self.primes_left == 0 || self.page_misses[page] == u8::MAX {
            return;
        }
        self.page_misses[page] += 1;
        if self.page_misses[page] == PAGE_MISSES {
            self.page_misses[page] = u8::MAX;
            self.primes_left -= 1;
            self.prime(page);
        }
    }

    /// Shows a page of the window to the literals' contexts and to the recall.
    fn prime(&mut self, page: usize) {
        let start = MARGIN + page * PAGE;
        let b = &self.buffer;
        for i in start..(start + PAGE).min(self.window_end) {
            let last = u32::from_le_bytes([b[i - 1], b[i - 2], b[i - 3], b[i - 4]]);
            let byte = u32::from(b[i]);
            for len in 1..=4 {
                let context = order(len, last);
                let nodes = |from: u32| {
                    (0..4).map(move |at| (((1 << at) | (from >> (4 - at))) as usize, from >> (3 - at) & 1 == 1))
                };
                self.literal.prime(self.curves, len as usize, hash(context, 1), nodes(byte >> 4));
                self.literal.prime(self.curves, len as usize, hash(context, 16 | byte >> 4), nodes(byte & 15));
            }
            self.recall.remember(b, i);
        }
    }
}

/// The hash of the last bytes, at most four.
#[inline]
fn order(len: u32, last: u32) -> u32 {
    hash(16 + len, last & (u32::MAX >> (32 - 8 * len)))
}

/// What stands around the next byte.
struct Seen {
    expected: u8,
    kind: u8,
    recalled: Option<u8>,
    /// 0 nothing recalled, 1 the byte that is expected too, 2 another.
    agreement: u32,
    in_word: u32,
    is_word: bool,
    window: u8,
    after: u8,
    before: u8,
    last: u32,
}
