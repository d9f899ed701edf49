//! Makes the script of a substitution region from an alignment. The encoder is free to choose other scripts.

use std::ops::Range;

use super::coder::TokenCoder;
use super::token::{MAX_WORD_TOKEN, TokenKind};
use crate::delta::arithmetic::DecisionWriter;
use crate::delta::format::{MAX_SUBSTITUTED, MAX_SUBSTITUTION_OPS};
use crate::delta::op_coder::OpCoder;
use crate::delta::ops::Op;
use crate::delta::sequence_alignment::{self, Grain, SequenceAlignment};
use crate::delta::words::is_word_byte;

/// The fewest equal bytes in a row that get an exact copy of their own inside a stretch. Fewer are part of a
/// substituted copy.
const LEAST_EXACT: usize = 4096;

/// There is no script if the changes are more than `MANY_CHANGES` plus a sixth of the target's bytes
/// ([`BYTES_A_CHANGE`]). The basis and the target have too little in common then.
const MANY_CHANGES: usize = 1 << 16;
/// See [`MANY_CHANGES`].
const BYTES_A_CHANGE: usize = 6;

/// The nanoseconds that a browser needs to set up the tables.
const SETUP_NANOSECONDS: u64 = 250_000;
/// The nanoseconds that a browser needs for an op, as measured in Chromium on a server with two cores.
const OP_NANOSECONDS: u64 = 700;
/// The nanoseconds that a browser needs for each byte of decisions besides: what could not be foreseen, the processor
/// could not foresee either.
const DECIDED_NANOSECONDS: u64 = 60;

/// The stretches of a target that are aligned with the basis.
pub(crate) struct Stretches<'a> {
    basis: &'a [u8],
    target: &'a [u8],
    tokens: TokenKind,
    stretches: Vec<Stretch>,
}

/// A stretch of the target that equals a stretch of the basis except for some tokens. If tokens are numbers, other
/// bytes can differ too.
struct Stretch {
    target: Range<usize>,
    basis: Range<usize>,
    /// About how many bytes a copy of the stretch saves.
    score: i32,
    changes: Vec<Change>,
}

/// A difference in a stretch: a word or one byte, at these positions and with these lengths.
struct Change {
    target: u32,
    basis: u32,
    new: u8,
    old: u8,
}

/// One copy of a script.
struct Piece {
    target: Range<usize>,
    basis: Range<usize>,
    substituted: bool,
}

/// What a substitution region encodes: its ops, the decisions, and its new bytes.
pub(crate) struct SubstitutionScript {
    pub(crate) tokens: TokenKind,
    /// The last op copies nothing.
    pub(crate) ops: Vec<Op>,
    /// How many bytes of the target each op's copy makes.
    pub(crate) made: Vec<usize>,
    pub(crate) decisions: Vec<u8>,
    /// The new bytes, in the order in which the ops need them.
    pub(crate) gaps: Vec<u8>,
    /// About how many nanoseconds a browser needs to decode the substituted copies.
    pub(crate) nanoseconds: u64,
}

/// Bytes of memory that making a script takes.
pub(crate) fn memory(basis: &[u8], target: &[u8], grain: Grain) -> usize {
    sequence_alignment::memory(basis, target, grain) + target.len() * size_of::<Change>() * 2 / BYTES_A_CHANGE
}

impl<'a> Stretches<'a> {
    /// Finds the stretches; `None` if too many tokens differ.
    pub(crate) fn new(basis: &'a [u8], target: &'a [u8], alignment: &SequenceAlignment) -> Option<Stretches<'a>> {
        let tokens = if alignment.words { TokenKind::Words } else { TokenKind::Numbers };
        let starts = &alignment.starts;
        let mut plan = Stretches { basis, target, tokens, stretches: Vec::new() };
        let mut changes = 0;
        for (place, (at, from)) in starts.iter().enumerate() {
            let known = plan.stretches.len();
            let end = starts.get(place + 1).map_or(target.len(), |next| next.0 as usize);
            match tokens {
                TokenKind::Words => plan.walk_words(*at as usize, *from as usize, end),
                TokenKind::Numbers => plan.walk_bytes(*at as usize, *from as usize, end),
            }
            changes += plan.stretches[known..].iter().map(|stretch| stretch.changes.len()).sum::<usize>();
            if target.len() / BYTES_A_CHANGE + MANY_CHANGES < changes {
                return None;
            }
        }
        Some(plan)
    }

    /// Adds the stretches between which more than short words differs.
    fn walk_words(&mut self, mut at: usize, mut from: usize, end: usize) {
        let mut open: Option<Stretch> = None;
        while at < end && from < self.basis.len() && is_word_byte(self.target[at]) == is_word_byte(self.basis[from]) {
            let (new, old) = (self.run(self.target, at), self.run(self.basis, from));
            if end < at + new {
                break;
            }
            let is_word = is_word_byte(self.target[at]);
            if self.target[at..at + new] == self.basis[from..from + old] {
                let stretch = open.get_or_insert_with(|| Stretch::at(at, from));
                stretch.score += if is_word { 2 * new as i32 } else { 1 };
                (stretch.target.end, stretch.basis.end) = (at + new, from + old);
            } else if !(is_word && new <= MAX_WORD_TOKEN && old <= MAX_WORD_TOKEN) {
                self.stretches.extend(open.take());
            } else if let Some(stretch) = &mut open {
                stretch.score -= 2;
                stretch.changes.push(Change { target: at as u32, basis: from as u32, new: new as u8, old: old as u8 });
                (stretch.target.end, stretch.basis.end) = (at + new, from + old);
            }
            (at, from) = (at + new, from + old);
        }
        self.stretches.extend(open);
    }

    /// The length of the word at a position, or 1 between words.
    fn run(&self, bytes: &[u8], at: usize) -> usize {
        bytes[at..].iter().take_while(|byte| is_word_byte(**byte)).count().max(1)
    }

    /// Adds one stretch in which most bytes are equal.
    fn walk_bytes(&mut self, at: usize, from: usize, end: usize) {
        let (mut score, mut changes, mut kept) = (0, Vec::new(), 0);
        let mut stretch = Stretch::at(at, from);
        for (place, (new, old)) in self.target[at..end].iter().zip(&self.basis[from..]).enumerate() {
            if new == old {
                score += 1;
            } else {
                score -= 1;
                changes.push(Change { target: (at + place) as u32, basis: (from + place) as u32, new: 1, old: 1 });
            }
            if stretch.score < score {
                stretch.score = score;
                (stretch.target.end, stretch.basis.end) = (at + place + 1, from + place + 1);
                kept = changes.len();
            }
        }
        changes.truncate(kept);
        stretch.changes = changes;
        self.stretches.push(stretch);
    }

    /// The script that copies the stretches that save at least `least` bytes; `None` if it exceeds the format's limits.
    /// `from` is where the aligned part begins in the basis, `position` is the basis position before the region.
    pub(crate) fn script(&self, least: i32, from: u64, position: u64) -> Option<SubstitutionScript> {
        let mut pieces = Vec::new();
        self.stretches.iter().filter(|stretch| least <= stretch.score).for_each(|stretch| stretch.pieces(&mut pieces));
        if MAX_SUBSTITUTION_OPS <= pieces.len() {
            return None;
        }
        let (mut ops, mut at, mut end) = (Vec::with_capacity(pieces.len() + 1), 0, position);
        for piece in &pieces {
            let gap = (piece.target.start - at) as u64;
            let copy = from + piece.basis.start as u64..from + piece.basis.end as u64;
            (at, end) = (piece.target.end, copy.end);
            ops.push(Op { gap, copy, substituted: piece.substituted });
        }
        ops.push(Op { gap: (self.target.len() - at) as u64, copy: end..end, substituted: false });

        let mut writer = DecisionWriter::new();
        OpCoder::new().write(&mut writer, &ops, position);
        let mut coder = TokenCoder::new(self.tokens);
        let (mut gaps, mut at) = (Vec::new(), 0);
        for piece in &pieces {
            gaps.extend_from_slice(&self.target[at..piece.target.start]);
            at = piece.target.end;
            if piece.substituted {
                let target = &self.target[piece.target.clone()];
                let made = coder.substitute(&mut writer, &self.basis[piece.basis.clone()], Some(target)).ok()?;
                if made.bytes != target {
                    return None;
                }
            }
        }
        gaps.extend_from_slice(&self.target[at..]);
        let decisions = writer.finish();
        let nanoseconds = SETUP_NANOSECONDS
            + coder.nanoseconds()
            + ops.len() as u64 * OP_NANOSECONDS
            + decisions.len() as u64 * DECIDED_NANOSECONDS;
        let made = pieces.iter().map(|piece| piece.target.len()).chain([0]).collect();
        Some(SubstitutionScript { tokens: self.tokens, ops, made, decisions, gaps, nanoseconds })
    }
}

impl Stretch {
    fn at(target: usize, basis: usize) -> Stretch {
        Stretch { target: target..target, basis: basis..basis, score: 0, changes: Vec::new() }
    }

    /// Splits the stretch into exact copies, where many bytes in a row are equal, and substituted copies between them.
    /// No copy exceeds the format's limit.
    fn pieces(&self, out: &mut Vec<Piece>) {
        let ends = Change { target: self.target.end as u32, basis: self.basis.end as u32, new: 0, old: 0 };
        let (mut at, mut from) = (self.target.start, self.basis.start);
        let (mut open_at, mut open_from) = (at, from);
        for change in self.changes.iter().chain([&ends]) {
            let (target, basis) = (change.target as usize, change.basis as usize);
            let (target_end, basis_end) = (target + usize::from(change.new), basis + usize::from(change.old));
            if LEAST_EXACT <= target - at {
                push(out, open_at..at, open_from..from, true);
                push(out, at..target, from..basis, false);
                (open_at, open_from) = (target, basis);
            } else if MAX_SUBSTITUTED <= basis_end - open_from {
                // The bytes before this change fit into one copy, since less than an exact copy lies between two
                // changes.
                push(out, open_at..at, open_from..from, true);
                (open_at, open_from) = (at, from);
            }
            (at, from) = (target_end, basis_end);
        }
        push(out, open_at..at, open_from..from, true);
    }
}

fn push(out: &mut Vec<Piece>, target: Range<usize>, basis: Range<usize>, substituted: bool) {
    if !basis.is_empty() {
        out.push(Piece { target, basis, substituted });
    }
}
