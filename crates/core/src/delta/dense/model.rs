//! The model of the dense codec. Both sides run it: step by step it predicts, codes a decision, and learns.

use std::ops::Range;

use super::buffer::MARGIN;
use super::follower::{Follower, WordTables, kind};
use super::guide::GuidedCoder;
use super::jumps::{JumpBases, Jumps, OutsideWindow, resync};
use super::mix::{Correction, Mixture};
use super::primed_pages::{PAGE, PrimedPages};
use super::recall::{Recall, agreed_class};
use super::situation::{Situation, extend_word_hash, last_bytes_hash};
use super::tokens::{Followed, Tokens};
use crate::delta::adaptive::hash;
use crate::delta::curves::{CURVES, Curves};
use crate::delta::wasm::{Part, WasmReader};

/// Contexts of the flag that says whether a byte or a word is as predicted.
const FLAGS: usize = 7;
/// Contexts of the bits of a literal, which is a byte that was not as predicted.
const LITERALS: usize = 11;
/// Further contexts of the bits of a literal, if the region is read as WebAssembly.
const WASM_LITERALS: usize = 2;
/// Contexts of the flag that says whether a block is as predicted.
const BLOCKS: usize = 5;
/// The first weights of the flags: the medians of the weights at the end of many deltas. The weights of the model's own
/// inputs come first, then for each context those of its probability and of its history.
const FLAG_WEIGHTS: [i16; 1 + 2 * FLAGS] =
    [-3700, 5950, 4350, 800, 750, 2600, 750, 2100, 800, 3000, 2050, 550, 1850, 2500, 1100];
/// The first weights of the literals.
const LITERAL_WEIGHTS: [i16; 5 + 2 * (LITERALS + WASM_LITERALS)] = [
    8950, 3550, 1350, 2300, 950, 900, 850, 3200, 2650, 2400, 2200, 1450, 850, 1100, 900, 2500, 1850, 2300, 2500, 1750,
    1550, 2350, 1900, 1000, 850, 1550, 1500, 2000, 1500, 2000, 1500,
];
/// The first weights of the blocks.
const BLOCK_WEIGHTS: [i16; 1 + 2 * BLOCKS] = [1750, -400, 800, 3200, 1800, 4400, 1950, 1500, 1750, 1750, 1150];
/// The bytes of a block at level 0. Each level doubles them.
const MIN_BLOCK: u32 = 16;
/// Steps after a failed block or a jump before the next block is tried.
const BLOCK_DELAY: u32 = 16;
/// Steps after a miss before the next block is tried, if words or numbers are followed.
const DELAY_IN_WORDS: u32 = 32;
/// Steps after a miss before the next block is tried, if the window is followed byte by byte.
const DELAY_IN_BYTES: u32 = 256;
/// The highest level of a block.
const MAX_LEVEL: u32 = 12;
/// The most bits by which a predicted word shifts `misses`.
const MAX_WORD_HITS: u32 = 8;
/// A recalled byte replaces a prediction without a guess if at least this many bytes before it agree, and fewer than
/// [`UNSURE_HITS`] hits came since the last miss.
const SURE_AGREED: usize = 24;
/// See [`SURE_AGREED`].
const UNSURE_HITS: u32 = 4;
/// A miss moves the anchor of jumps if at least this many hits came before it.
const ANCHOR_HITS: u32 = 4;
/// Stride, in bytes, between the window positions that the recall tables index.
const RECALL_STRIDE: usize = 2;

/// The state of both sides after the bytes so far.
pub(crate) struct Model {
    /// The margin, the window, and the target so far.
    buffer: Vec<u8>,
    /// Where the window ends in the buffer, and the target begins.
    window_end: usize,
    /// Where the target ends in the buffer when it is complete.
    end: usize,
    tokens: Tokens,
    curves: &'static Curves,
    follower: Follower,
    tables: WordTables,
    recall: Recall,
    flags: Mixture,
    flag_corrections: [Correction; 2],
    literals: Mixture,
    literal_correction: Correction,
    jumps: Jumps,
    blocks: Mixture,
    /// One bit for each block that was tried: whether it was as predicted.
    block_outcomes: u32,
    /// log2 of the next block's length in units of [`MIN_BLOCK`].
    block_level: u32,
    /// How many bytes are coded one by one before a block is tried again.
    block_delay: u32,
    /// One bit for each byte: whether it was a miss. The latest byte is the lowest bit.
    misses: u32,
    /// Predicted bytes since the last miss.
    hits: u32,
    /// The hash of the target's current word so far.
    target_word: u32,
    /// By how much the last literal outside of words differed from the window's byte.
    difference: u8,
    /// The last four such differences, the latest lowest.
    differences: u32,
    pages: PrimedPages,
    /// Bytes that were as predicted.
    followed: u64,
    /// Decisions of the mixtures, and bytes that they were taught.
    decisions: u64,
}

impl Model {
    /// A model before the first byte of a target of `span` bytes. The buffer holds the margin and the window.
    ///
    /// `memory` scales the tables and the number of primed pages, so that a small delta needs no large tables. With 0
    /// the window is not indexed.
    pub(crate) fn new(buffer: Vec<u8>, span: usize, followed: Followed, memory: u32) -> Model {
        let curves = &*CURVES;
        let window_end = buffer.len();
        let mut recall = Recall::new((10 + memory).min(20));
        if memory != 0 {
            (MARGIN..window_end).step_by(RECALL_STRIDE).for_each(|at| recall.remember(&buffer, at));
        }
        let (literals, most_bits) = if followed.wasm { (LITERALS + WASM_LITERALS, 19) } else { (LITERALS, 18) };
        let literals = Mixture::new(
            literals,
            (10 + memory).min(most_bits),
            4,
            [256, kind::COUNT * 64, 256],
            &LITERAL_WEIGHTS[..5 + 2 * literals],
        );
        Model {
            window_end,
            end: window_end + span,
            tokens: Tokens::new(followed, &buffer),
            curves,
            follower: Follower::new(MARGIN),
            tables: WordTables::new(),
            recall,
            flags: Mixture::new(FLAGS, (8 + memory).min(16), 1, [kind::ALL * 3, 256, 64], &FLAG_WEIGHTS),
            flag_corrections: [Correction::new(curves, 1 << 12), Correction::new(curves, 1 << 12)],
            literals,
            literal_correction: Correction::new(curves, 1 << 14),
            jumps: Jumps::new(),
            blocks: Mixture::new(BLOCKS, 12, 1, [16, 64, 256], &BLOCK_WEIGHTS),
            block_outcomes: 0,
            block_level: 0,
            block_delay: BLOCK_DELAY,
            misses: 0,
            hits: 0,
            target_word: 0,
            difference: 0,
            differences: 0,
            pages: PrimedPages::new(window_end - MARGIN, (1 << memory) >> 1),
            followed: 0,
            decisions: 0,
            buffer,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.buffer.len() == self.end
    }

    /// How many bytes were as predicted.
    pub(crate) fn followed(&self) -> u64 {
        self.followed
    }

    /// How many decisions the mixtures have made so far, and how many bytes they were taught, which takes as long.
    #[cfg(feature = "encode")]
    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    /// The target so far.
    pub(crate) fn target(&self) -> &[u8] {
        &self.buffer[self.window_end..]
    }

    /// Codes the next byte, word, block or jump.
    pub(crate) fn step(&mut self, coder: &mut impl GuidedCoder) -> Result<(), OutsideWindow> {
        let jump =
            self.jumps.wanted(coder, self.follower.pointer, &self.buffer, self.window_end, self.tokens.are_followed());
        if self.block_delay == 0
            && self.follower.word.is_none()
            && self.follower.pointer < self.window_end
            && self.try_block(coder, jump)
        {
            return Ok(());
        }
        self.block_delay = self.block_delay.saturating_sub(1);
        self.byte(coder, jump)
    }

    /// Codes whether a whole block is as predicted. If so, appends the block.
    fn try_block(&mut self, coder: &mut impl GuidedCoder, jump: Option<usize>) -> bool {
        let start = self.buffer.len();
        let left = self.end - start;
        let len = ((MIN_BLOCK as usize) << self.block_level).min(left);
        let follower = if self.tokens.are_followed() {
            self.follower.stride(&self.buffer, self.window_end, &self.tokens, &self.tables, len, left)
        } else {
            self.follower.moved(self.window_end.min(self.follower.pointer + len))
        };
        if follower.pointer < self.follower.pointer + MIN_BLOCK as usize {
            self.block_delay = 1;
            return false;
        }
        self.buffer.extend_from_within(self.follower.pointer..follower.pointer);
        let (from, to) = (start - self.window_end, self.buffer.len() - self.window_end);
        let holds = coder.guide().is_some_and(|guide| jump.is_none() && guide.target[from..to] == self.buffer[start..]);
        let said = self.block_flag(coder, start, holds);
        if said {
            self.tokens.read(&self.buffer[start..]);
            self.block_level = (self.block_level + 1).min(MAX_LEVEL);
            self.misses = 0;
            self.hits = self.hits.saturating_add((to - from) as u32);
            self.jumps.advance((to - from) as u32);
            self.followed += (to - from) as u64;
            self.target_word = 0;
            self.follower = follower;
            self.recall.forget_place();
        } else {
            self.buffer.truncate(start);
            self.block_level /= 2;
            self.block_delay = BLOCK_DELAY;
        }
        said
    }

    /// Codes whether the block that begins at `start` is as predicted.
    fn block_flag(&mut self, coder: &mut impl GuidedCoder, start: usize, holds: bool) -> bool {
        let b = &self.buffer;
        let recent = (self.misses >> 16).count_ones().min(3) | self.block_level << 2;
        let hits_class = self.hits.checked_ilog2().map_or(0, |log| log + 1);
        let next = u32::from_le_bytes([b[start], b[start + 1], b[start + 2], b[start + 3]]);
        let contexts = [
            hash(1, recent),
            hash(2, self.block_outcomes & 0xff | self.block_level << 8),
            hash(3, self.block_level << 8 | hits_class),
            hash(hash(4, self.block_level), next & 0xffff | u32::from(b[start - 1]) << 16),
            hash(hash(5, self.block_level), self.block_outcomes & 3 | ((b.len() - start) as u32) << 4),
        ];
        self.blocks.find(&contexts);
        let sets = [self.block_level as usize, (self.block_outcomes & 63) as usize, b[start - 1] as usize];
        let stretch = self.blocks.predict(self.curves, 1, &[256], sets);
        let said = coder.code(self.curves.squash(stretch) as u16, holds);
        self.blocks.learn(said);
        self.block_outcomes = self.block_outcomes << 1 | u32::from(said);
        said
    }

    fn byte(&mut self, coder: &mut impl GuidedCoder, jump: Option<usize>) -> Result<(), OutsideWindow> {
        if self.tokens.are_followed() {
            self.follower.enter(&self.buffer, self.window_end, &self.tokens, &self.tables);
        }
        let i = self.buffer.len();
        if self.try_word(coder, jump) {
            return Ok(());
        }
        let wanted = coder.guide().map(|guide| guide.target[i - self.window_end]);
        let seen = self.look();
        let hit = wanted == Some(seen.expected) && jump.is_none();
        let hit = self.flag(coder, &seen, hit);
        if !hit {
            let context = u32::from(seen.in_word) | seen.agreement << 1;
            if self.jumps.flag(coder, context, jump.is_some()) {
                return self.jump(coder, jump.unwrap_or(0));
            }
            if ANCHOR_HITS <= self.hits || self.misses == 0 {
                self.jumps.set_anchor(self.follower.pointer);
            }
            if let Some(page) = self.pages.miss(self.follower.pointer - MARGIN) {
                self.prime(page);
            }
        }
        let byte = if hit { seen.expected } else { self.literal(coder, &seen, wanted.unwrap_or(0)) };
        self.followed += u64::from(hit);
        self.decisions += if hit { 1 } else { 9 };
        self.jumps.allow();
        self.buffer.push(byte);
        self.advance(&seen, byte);
        Ok(())
    }

    /// Codes a jump of the pointer.
    fn jump(&mut self, coder: &mut impl GuidedCoder, wanted: usize) -> Result<(), OutsideWindow> {
        let from =
            JumpBases { pointer: self.follower.pointer, recalled: self.recall.position(), agreed: self.recall.agreed };
        let to = self.jumps.jump(coder, &from, self.window_end, wanted)?;
        self.follower.jump(to);
        self.misses = self.misses << 1 | 1;
        self.hits = 0;
        self.block_delay = BLOCK_DELAY;
        Ok(())
    }

    /// Codes whether a whole word and the byte after it are as predicted. If so, appends them.
    fn try_word(&mut self, coder: &mut impl GuidedCoder, jump: Option<usize>) -> bool {
        let Some((start, len, end)) = self.follower.whole(&self.buffer, self.window_end) else { return false };
        let i = self.buffer.len();
        if self.end - i <= len {
            return false;
        }
        let at = i - self.window_end;
        let holds = coder.guide().is_some_and(|guide| {
            jump.is_none()
                && guide.target[at..at + len] == self.buffer[start..start + len]
                && guide.target[at + len] == self.buffer[end]
        });
        let mut seen = self.look();
        seen.kind += kind::WHOLE_WORD;
        seen.after_byte = self.buffer[end];
        self.decisions += 1;
        let holds = self.flag(coder, &seen, holds);
        if !holds {
            self.follower.refuse();
            return false;
        }
        let taken = len as u32 + 1;
        self.buffer.extend_from_within(start..start + len);
        self.buffer.push(self.buffer[end]);
        self.followed += u64::from(taken);
        self.hits = self.hits.saturating_add(taken);
        self.jumps.advance(taken);
        self.misses <<= MAX_WORD_HITS.min(taken);
        self.target_word = 0;
        self.jumps.allow();
        self.tokens.read(&self.buffer[i..]);
        self.follower.advance(&self.buffer, self.window_end, &self.tokens, Some(&mut self.tables));
        self.recall.skip(&self.buffer, taken as usize);
        self.find_places();
        true
    }

    #[inline]
    fn look(&self) -> Situation {
        let b = &self.buffer;
        let i = b.len();
        let at = self.follower.pointer;
        let window = |at: usize| if at < self.window_end { b[at] } else { 0 };
        let (mut expected, mut kind) = self.follower.expect(b, self.window_end);
        let recalled = self.recall.expected(b);
        if (kind::NO_GUESS..=kind::WINDOW_END).contains(&kind)
            && SURE_AGREED <= self.recall.agreed
            && self.hits < UNSURE_HITS
        {
            (expected, kind) = (recalled.unwrap_or(0), kind::RECALLED);
        }
        let agreement = match recalled {
            None => 0,
            Some(byte) if byte == expected => 1,
            Some(_) => 2,
        };
        Situation {
            expected,
            kind,
            recalled,
            agreement,
            word_bytes: self.follower.word_bytes(b).min(48) as u32,
            in_word: self.follower.word.is_some(),
            at_byte: window(at),
            after_byte: window(at + 1),
            before_byte: b[at - 1],
            last4: u32::from_le_bytes([b[i - 1], b[i - 2], b[i - 3], b[i - 4]]),
        }
    }

    #[inline]
    fn flag(&mut self, coder: &mut impl GuidedCoder, seen: &Situation, hit: bool) -> bool {
        let (e, k) = (u32::from(seen.expected), u32::from(seen.kind));
        let last = seen.last4;
        let hits_class = self.hits.checked_ilog2().map_or(0, |log| log + 1).min(7);
        let agreed = agreed_class(self.recall.agreed);
        let in_word = seen.word_bytes.min(3) * u32::from(seen.in_word);
        let word = self.follower.word.as_ref();
        let refused = u32::from(word.is_some_and(|word| word.refused));
        let word = word.map_or(e | 1 << 20, |word| hash(word.keys[0], seen.word_bytes | k << 8 | refused << 16));
        let (since_jump, jump_gap) = self.jumps.distances();
        let mut contexts = [
            hash(hash(2, k | hits_class << 8 | (self.misses & 15) << 12), seen.agreement | in_word << 4 | refused << 8),
            hash(4, word),
            hash(hash(6, e | u32::from(seen.after_byte) << 8 | u32::from(seen.before_byte) << 16 | last << 24), k),
            hash(1, e | (last & 255) << 8 | k << 16),
            hash(hash(8, e | last << 8), seen.word_bytes | u32::from(seen.in_word) << 8 | refused << 9),
            hash(hash(13, since_jump | jump_gap << 8), k),
            hash(hash(10, self.differences), e | (self.misses & 3) << 8),
        ];
        let mut situation = self.misses & 255;
        if let Some(module) = self.tokens.module() {
            situation = module.place();
            contexts[1] = hash(hash(20, module.context()), e);
            contexts[4] = hash(hash(21, module.place()), e | module.opcodes << 8);
        }
        self.flags.find(&contexts);
        let sets = [(k * 3 + seen.agreement) as usize, situation as usize, (hits_class * 8 + agreed) as usize];
        let stretch = self.flags.predict(self.curves, 1, &[256], sets);
        let first = self.flag_corrections[0].refine(stretch, (hash(e | k << 8 | last << 16, 5) >> 20) as usize);
        let second = self.flag_corrections[1].refine(stretch, (contexts[1] >> 20) as usize);
        let p = (2 * self.curves.squash(stretch) + first + second) >> 2;
        let hit = coder.code(p.clamp(1, 65_535) as u16, hit);
        self.flags.learn(hit);
        self.flag_corrections.iter_mut().for_each(|correction| correction.learn(hit));
        hit
    }

    fn literal(&mut self, coder: &mut impl GuidedCoder, seen: &Situation, wanted: u8) -> u8 {
        let (e, k) = (u32::from(seen.expected), u32::from(seen.kind));
        let (last, window) = (seen.last4, u32::from(seen.at_byte));
        let word = self.follower.word.as_ref();
        let recalled = u32::from(seen.recalled.unwrap_or(0));
        let shifted = u32::from(seen.at_byte.wrapping_add(self.difference));
        let other = self.follower.alternative(&self.buffer, self.window_end, seen.expected);
        let outside = if self.tokens.are_followed() { 0 } else { window | 1 << 30 };
        let mut contexts = [
            hash(1, self.misses & 255),
            last_bytes_hash(2, last),
            last_bytes_hash(3, last),
            hash(hash(6, window | e << 8), k),
            hash(hash(7, window | (last & 255) << 8 | u32::from(seen.before_byte) << 16), u32::from(seen.after_byte)),
            last_bytes_hash(1, last),
            last_bytes_hash(4, last),
            hash(hash(8, word.map_or(outside, |word| word.hash)), self.target_word),
            hash(hash(10, recalled | agreed_class(self.recall.agreed) << 8), window),
            hash(hash(11, shifted), self.misses & 7 | (last & 255) << 8),
            hash(hash(13, e), self.differences & 0xffff),
            0,
            0,
        ];
        let (mut count, mut before) = (LITERALS, last & 255);
        if let Some(reader) = self.tokens.reader() {
            count += WASM_LITERALS;
            for (k, context) in module_contexts(reader, last) {
                if LITERALS <= k || reader.is_inside() {
                    contexts[k] = context;
                }
            }
        }
        if let Some(module) = self.tokens.module() {
            before = module.place();
            contexts[7] = match word {
                Some(word) => hash(hash(24, word.hash), module.so_far()),
                None => hash(hash(24, module.context()), window | e << 8),
            };
            if module.part != Part::Opaque {
                contexts[5] = hash(hash(27, module.context()), module.number as u32);
                let numbers = hash(module.before[0], module.before[1]);
                contexts[6] = hash(hash(28, module.place()), hash(module.opcodes & 0xff_ffff, numbers));
            }
        }
        let mut node = 1u32;
        let (mut as_recalled, mut as_expected, mut as_shifted, mut as_other) =
            (seen.recalled.is_some(), true, self.difference != 0, other.is_some());
        let other = other.map_or(0, |(byte, _)| u32::from(byte));
        let agreed = self.recall.agreed.min(32) as i16;
        for at in (0..8).rev() {
            if at == 7 || at == 3 {
                self.literals.find(&contexts.map(|context| hash(context, node))[..count]);
            }
            let within = if 4 <= at { node } else { node & ((1 << (3 - at)) - 1) | 1 << (3 - at) };
            let signed = |holds: bool, byte: u32, weight: i16| match (holds, byte >> at & 1) {
                (false, _) => 0,
                (true, 1) => weight,
                (true, _) => -weight,
            };
            let extra = [
                signed(as_recalled, recalled, 64 + agreed * 16),
                signed(as_expected, e, -96 - (7 - at as i16) * 60),
                signed(as_shifted, shifted, 100),
                signed(as_other, other, 150),
                256,
            ];
            let holding = u32::from(as_recalled)
                | u32::from(as_expected) << 1
                | u32::from(as_shifted) << 2
                | u32::from(as_other) << 3;
            let among = (k % kind::COUNT as u32) << 6 | holding << 2 | at as u32 & 3;
            let sets = [(node & 255) as usize, among as usize, before as usize];
            let stretch = self.literals.predict(self.curves, within as usize, &extra, sets);
            let context = hash(hash(e | k << 8, node), last & 255) >> 18;
            let p = (self.curves.squash(stretch) + self.literal_correction.refine(stretch, context as usize)) >> 1;
            let bit = coder.code(p.clamp(32, 65_504) as u16, wanted >> at & 1 == 1);
            self.literals.learn(bit);
            self.literal_correction.learn(bit);
            as_recalled &= (recalled >> at & 1 == 1) == bit;
            as_expected &= (e >> at & 1 == 1) == bit;
            as_other &= (other >> at & 1 == 1) == bit;
            as_shifted &= (shifted >> at & 1 == 1) == bit;
            node = node << 1 | u32::from(bit);
        }
        node as u8
    }

    fn advance(&mut self, seen: &Situation, byte: u8) {
        let hit = byte == seen.expected;
        self.misses = self.misses << 1 | u32::from(!hit);
        self.hits = if hit { self.hits.saturating_add(1) } else { 0 };
        if !hit {
            self.block_delay = if self.tokens.are_followed() { DELAY_IN_WORDS } else { DELAY_IN_BYTES };
            if !seen.in_word && self.follower.pointer < self.window_end {
                self.difference = byte.wrapping_sub(seen.at_byte);
                self.differences = self.differences << 8 | u32::from(self.difference);
            }
        }
        self.jumps.advance(1);
        self.target_word = extend_word_hash(self.target_word, byte);
        self.tokens.read(&[byte]);
        self.follower.advance(&self.buffer, self.window_end, &self.tokens, Some(&mut self.tables));
        self.recall.advance(&self.buffer);
        self.find_places();
    }

    /// After misses, looks for a recalled place, and for a better place of the pointer near it.
    fn find_places(&mut self) {
        if self.misses & 0xff != 0 {
            self.recall.refresh(&self.buffer);
        }
        if self.tokens.are_followed() && self.follower.word.is_none() && self.misses & 15 != 0 {
            self.follower.pointer = resync(&self.buffer, self.window_end, self.follower.pointer);
        }
    }

    /// Teaches a page of the window to the literals' contexts and to the recall.
    fn prime(&mut self, page: Range<usize>) {
        let b = &self.buffer;
        let (start, end) = (MARGIN + page.start, (MARGIN + page.end).min(self.window_end));
        self.decisions += (end - start) as u64;
        let mut word = 0;
        let mut reader = self.tokens.at_page(page.start / PAGE);
        for i in start..end {
            let last = u32::from_le_bytes([b[i - 1], b[i - 2], b[i - 3], b[i - 4]]);
            let byte = b[i];
            let contexts = [
                (5, last_bytes_hash(1, last)),
                (1, last_bytes_hash(2, last)),
                (6, last_bytes_hash(4, last)),
                (7, hash(hash(8, 0), word)),
            ];
            for (node, bits) in [(1, byte >> 4), (16 | byte >> 4, byte & 15)] {
                self.literals.show(contexts.map(|(k, context)| (k, hash(context, u32::from(node)))), bits);
            }
            if let Some(reader) = &mut reader {
                if reader.is_inside() {
                    let contexts = module_contexts(reader, last);
                    for (node, bits) in [(1, byte >> 4), (16 | byte >> 4, byte & 15)] {
                        self.literals.show(contexts.map(|(k, context)| (k, hash(context, u32::from(node)))), bits);
                    }
                }
                reader.read(byte);
            }
            word = extend_word_hash(word, byte);
            self.recall.remember(b, i);
        }
    }
}

/// The contexts of literals, by their number, that the reader of WebAssembly and the last bytes alone give.
#[inline]
fn module_contexts(reader: &WasmReader, last: u32) -> [(usize, u32); 4] {
    [
        (0, hash(hash(25, reader.place()), hash(reader.latest(), reader.so_far()))),
        (2, hash(hash(26, reader.context()), hash(reader.opcodes & 0xffff, reader.before[0]))),
        (11, hash(hash(22, reader.context()), last & 255)),
        (12, hash(hash(23, reader.place()), reader.opcodes)),
    ]
}
