//! Where there is time: following the basis besides copying from it, and keeping what costs less.
//!
//! Files that fit the dense codec's window are seen whole, and each codec is tried. Longer ones are seen region by region, each beside the
//! part of the basis that most of it stands in; renames are tried there, where enough is new.

use std::ops::Range;

use super::{BasisBytes, Codec, Copies, ESTIMATE_LEVEL, EncodeError, Encoder, MAX_GAP_BYTES, MAX_OPS};
use crate::delta::dense::encode::encode as encode_dense;
use crate::delta::encode::compress::{LONG_FRAME, pack};
use crate::delta::format::{CODEC_DENSE, CODEC_SUBSTITUTION, LAST_REGION, MAX_DENSE};
use crate::delta::ops::{self, Op};
use crate::delta::sequence_alignment::{SequenceAlignment, align_sequences};
use crate::delta::substitution::script::{self, Stretches, SubstitutionScript};
use crate::wire::put_varint;

/// Working memory of the encoders that follow the basis, besides their plan.
const TABLES: usize = 40 << 20;
/// What a followed stretch must bring to be followed, in bytes: tried in turn, as long as each takes less than the last.
const LEAST_FOLLOWED: [i32; 3] = [32, 200, 600];
/// What the shortest copy of a region may be, besides what the finder finds.
const LEAST_COPIES: [u64; 3] = [64, 512, 1024];
/// Where the fast delta is more than this part of the target, little of the basis is left to follow, and the dense codec is slow.
const FAR_FROM_BASIS: usize = 5;
/// Bytes up to which such a delta is tried all the same where the smallest is asked for.
const FEW_FAR_BYTES: usize = 1 << 20;
/// A fast delta of more bytes than this has so many new ones that the dense codec takes half a minute for them, on both sides.
const TOO_MANY_BYTES: usize = 2 << 20;
/// The zstd level by which scripts that follow the basis are compared among each other.
const RANK_LEVEL: i32 = 6;

/// Bytes of a longer target that are seen at once, and how much further the part of the basis reaches to both sides.
const PART_LEN: u64 = 16 << 20;
const PART_MARGIN: u64 = 2 << 20;
/// Where new bytes are less than this part of such a region, copies say it all, and following is not worth its time.
const LEAST_NEW: u64 = 64;
/// The longest basis whose places the decisions can tell apart.
const MAX_SUBSTITUTION_BASIS: u64 = 1 << 31;

/// What a region makes of the target, and the basis position before it.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    position: u64,
}

const BEGINNING: Span = Span { start: 0, position: 0 };

impl<'a> Encoder<'a> {
    /// The basis, where there is time to follow it.
    pub(super) fn followable(&self) -> Option<&'a [u8]> {
        let BasisBytes::Whole(basis) = self.basis else { return None };
        let wanted = self.options.thorough || self.options.codec != Codec::Fast;
        let can_be = !basis.is_empty() && (basis.len() as u64) < MAX_SUBSTITUTION_BASIS;
        (wanted && can_be).then_some(basis)
    }

    /// The next regions: all, of files that are seen whole.
    pub(super) fn next_followed(&mut self, basis: &'a [u8]) -> Result<Vec<u8>, EncodeError> {
        if MAX_DENSE < basis.len().max(self.target.len()) as u64 {
            return self.next_window(basis);
        }
        if self.at == 0 && self.fits(basis, self.target) { self.whole(basis) } else { self.next_fast() }
    }

    fn fits(&self, basis: &[u8], target: &[u8]) -> bool {
        script::memory(basis, target) + TABLES <= self.options.budget
    }

    fn link(&self) -> Option<u64> {
        match self.options.codec {
            Codec::Auto { bits_per_second } => Some(u64::from(bits_per_second.max(1))),
            Codec::Fast | Codec::Dense => None,
        }
    }

    /// The next region of a longer file.
    fn next_window(&mut self, basis: &'a [u8]) -> Result<Vec<u8>, EncodeError> {
        let span = Span { start: self.at, position: self.position };
        let mut found = self.next_ops(usize::MAX, PART_LEN);
        let window = window(&found, span.start, self.at, basis.len() as u64);
        for least in LEAST_COPIES {
            if MAX_OPS < found.len() {
                found = ops::without_short(&found, least, span.position);
            }
        }
        let target = &self.target[span.start as usize..self.at as usize];
        let new = ops::gap_bytes(&found);
        if LEAST_NEW * new < target.len() as u64 || new == target.len() as u64 {
            return self.fast(found, span.start, span.position);
        }
        let part = &basis[window.start as usize..window.end as usize];
        if !self.fits(part, target) {
            return self.fast(found, span.start, span.position);
        }
        let seen = AlignedPart { basis: part, from: window.start, target };
        let Some(followed) = self.followed(&seen, &align_sequences(part, target), span)? else {
            return self.fast(found, span.start, span.position);
        };
        let link = self.link();
        let glance = self.estimate(&found, span.start, span.position, ESTIMATE_LEVEL)?;
        if followed.is_clearly_better(glance, link) {
            return Ok(self.renames(followed, span)?.bytes);
        }
        let copies = self.worthwhile(found, span.start, span.position)?;
        Ok(self.better(followed, copies, span, link)?.bytes)
    }

    /// All regions at once, each codec tried.
    fn whole(&mut self, basis: &'a [u8]) -> Result<Vec<u8>, EncodeError> {
        let link = self.link();
        let alignment = align_sequences(basis, self.target);
        if self.options.codec == Codec::Dense && !self.options.thorough {
            let Some(dense) = self.dense(basis, &alignment) else { return self.next_fast() };
            self.at = self.target.len() as u64;
            return Ok(dense.bytes);
        }
        let seen = AlignedPart { basis, from: 0, target: self.target };
        let followed = self.followed(&seen, &alignment, BEGINNING)?;
        let found = self.next_ops(MAX_OPS, u64::MAX);
        let glance = self.estimate(&found, 0, 0, ESTIMATE_LEVEL)? as u64 * self.target.len() as u64 / self.at.max(1);
        let mut best = match followed {
            Some(followed) if followed.is_clearly_better(glance as usize, link) => self.all_renames(followed)?,
            None => {
                let copies = self.worthwhile(found, 0, 0)?;
                self.all_copies(copies)?
            }
            Some(followed) => {
                let copies = self.worthwhile(found, 0, 0)?;
                let at = self.at;
                if at == self.target.len() as u64 {
                    self.better(followed, copies, BEGINNING, link)?
                } else {
                    let renames = self.all_renames(followed)?;
                    self.at = at;
                    self.all_copies(copies)?.or(renames, link)
                }
            }
        };
        let is_far = TOO_MANY_BYTES < best.bytes.len()
            || self.target.len() < best.bytes.len() * FAR_FROM_BASIS
                && (link.is_some() || FEW_FAR_BYTES < best.bytes.len());
        self.at = self.target.len() as u64;
        if self.options.codec != Codec::Fast
            && !is_far
            && let Some(dense) = self.dense(basis, &alignment)
        {
            best = best.or(dense, link);
        }
        Ok(best.bytes)
    }

    /// Renames or copies of one region, by a closer look at both.
    fn better(
        &mut self,
        followed: Followed,
        copies: Copies,
        span: Span,
        link: Option<u64>,
    ) -> Result<Whole, EncodeError> {
        let estimate = self.script_len(&followed.script, span.position, self.quick())?;
        let followed = Followed { estimate, ..followed };
        if followed.cost(link) < cost(copies.estimate, 0, link) {
            return self.renames(followed, span);
        }
        self.position = copies.ops.last().map_or(span.position, |op| op.copy.end);
        Ok(Whole { bytes: self.region(&copies.ops, span.start, span.position)?, nanoseconds: 0 })
    }

    /// The whole target in the dense codec, if that can be worth its time.
    fn dense(&self, basis: &[u8], alignment: &SequenceAlignment) -> Option<Whole> {
        let dense = encode_dense(basis, self.target, alignment)?;
        let bytes = [&[CODEC_DENSE | LAST_REGION], dense.bytes.as_slice()].concat();
        Some(Whole { bytes, nanoseconds: dense.nanoseconds })
    }

    /// How to follow the basis in one region; `None` where that is more than the format takes.
    fn followed(
        &self,
        seen: &AlignedPart<'_>,
        alignment: &SequenceAlignment,
        Span { position, .. }: Span,
    ) -> Result<Option<Followed>, EncodeError> {
        let Some(plan) = Stretches::new(seen.basis, seen.target, alignment) else { return Ok(None) };
        let mut best: Option<Followed> = None;
        for script in LEAST_FOLLOWED.into_iter().filter_map(|least| plan.script(least, seen.from, position)) {
            let level = if LONG_FRAME < script.frame.len() { ESTIMATE_LEVEL } else { RANK_LEVEL };
            let estimate = self.script_len(&script, position, level)?;
            if best.as_ref().is_some_and(|best| best.estimate <= estimate) {
                break;
            }
            best = Some(Followed { estimate, script });
        }
        Ok(best)
    }

    /// About how many bytes a script takes.
    fn script_len(&self, script: &SubstitutionScript, position: u64, level: i32) -> Result<usize, EncodeError> {
        let (_, prefix) = self.reference(&script.ops, position, script.gap_bytes as u64);
        Ok(script.decisions.len() + pack(&script.frame, &prefix, level)?.len())
    }

    /// The region up to where the encoder is.
    fn renames(&mut self, Followed { script, .. }: Followed, span: Span) -> Result<Whole, EncodeError> {
        let (reach, prefix) = self.reference(&script.ops, span.position, script.gap_bytes as u64);
        let mut bytes = self.begin(CODEC_SUBSTITUTION, span.start);
        bytes.push(script.shape());
        put_varint(&mut bytes, reach);
        put_varint(&mut bytes, script.decisions.len() as u64);
        bytes.extend_from_slice(&script.decisions);
        if script.has_frame() {
            bytes.extend(pack(&script.frame, &prefix, self.level(script.gap_bytes, prefix.len()))?);
        }
        self.position = script.ops.last().map_or(span.position, |op| op.copy.end);
        Ok(Whole { bytes, nanoseconds: script.nanoseconds() })
    }

    /// The whole target as one region.
    fn all_renames(&mut self, followed: Followed) -> Result<Whole, EncodeError> {
        self.at = self.target.len() as u64;
        self.renames(followed, BEGINNING)
    }

    /// All regions, of which the first copies so.
    fn all_copies(&mut self, first: Copies) -> Result<Whole, EncodeError> {
        self.position = first.ops.last().map_or(0, |op| op.copy.end);
        let mut bytes = self.region(&first.ops, 0, 0)?;
        while self.at < self.target.len() as u64 {
            bytes.extend(self.next_fast()?);
        }
        Ok(Whole { bytes, nanoseconds: 0 })
    }

    /// The ops without the copies that cost more than they save: a short copy takes some bytes to say, and cuts in two what the
    /// compressor, which sees the basis too, would have said as one. Each length is tried with a quick compressor.
    pub(super) fn worthwhile(&self, found: Vec<Op>, start: u64, position: u64) -> Result<Copies, EncodeError> {
        let quick = self.quick();
        let mut best = Copies { estimate: self.estimate(&found, start, position, quick)?, ops: found };
        for least in LEAST_COPIES {
            let ops = ops::without_short(&best.ops, least, position);
            if ops.len() == best.ops.len() {
                continue;
            }
            if MAX_GAP_BYTES < ops::gap_bytes(&ops) {
                break;
            }
            let estimate = self.estimate(&ops, start, position, quick)?;
            if estimate < best.estimate {
                best = Copies { estimate, ops };
            }
        }
        Ok(best)
    }
}

/// What is aligned: a part of the basis, from where on, and a part of the target.
struct AlignedPart<'a> {
    basis: &'a [u8],
    from: u64,
    target: &'a [u8],
}

/// The part of the basis beside which a region from `start` to `end` of the target stands: along the diagonal of most of its copies.
fn window(ops: &[Op], start: u64, end: u64, basis_len: u64) -> Range<u64> {
    let mut at = start;
    let mut diagonals = Vec::with_capacity(ops.len());
    for op in ops {
        at += op.gap;
        diagonals.push((op.copy.start as i64 - at as i64, op.copy_len()));
        at += op.copy_len();
    }
    diagonals.sort_unstable();
    let mut left = diagonals.iter().map(|(_, len)| len).sum::<u64>() / 2;
    let middle = diagonals.iter().find(|(_, len)| {
        let is_middle = left <= *len;
        left = left.saturating_sub(*len);
        is_middle
    });
    let diagonal = middle.map_or(0, |(diagonal, _)| *diagonal);
    let from = start.saturating_add_signed(diagonal).saturating_sub(PART_MARGIN).min(basis_len);
    from..end.saturating_add_signed(diagonal).saturating_add(PART_MARGIN).clamp(from, basis_len)
}

/// A script that follows the basis, and about how many bytes it takes.
struct Followed {
    script: SubstitutionScript,
    estimate: usize,
}

impl Followed {
    fn cost(&self, link: Option<u64>) -> u64 {
        cost(self.estimate, self.script.nanoseconds(), link)
    }

    /// Whether copies that take about so many bytes, by a glance, are not worth more time.
    fn is_clearly_better(&self, copies: usize, link: Option<u64>) -> bool {
        5 * self.cost(link) < 4 * cost(copies, 0, link)
    }
}

/// All regions of a delta, and what decoding them takes a browser beyond copying.
struct Whole {
    bytes: Vec<u8>,
    nanoseconds: u64,
}

impl Whole {
    fn cost(&self, link: Option<u64>) -> u64 {
        cost(self.bytes.len(), self.nanoseconds, link)
    }

    /// The one that costs less.
    fn or(self, other: Whole, link: Option<u64>) -> Whole {
        if other.cost(link) < self.cost(link) { other } else { self }
    }
}

/// Nanoseconds until so many bytes have come over a link of so many bits in a second and are decoded; without one, the bytes.
fn cost(len: usize, nanoseconds: u64, link: Option<u64>) -> u64 {
    link.map_or(len as u64, |link| len as u64 * 8 * 1_000_000_000 / link + nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(gap: u64, copy: Range<u64>) -> Op {
        Op { gap, copy, substituted: false }
    }

    #[test]
    fn a_window_lies_along_the_diagonal_of_most_bytes() {
        let start = 100 << 20;
        let ops = [op(10, 5_000..5_100), op(0, start + 60_010..start + 960_000), op(9, 0..300), op(7, 0..0)];
        let found = window(&ops, start, start + 900_416, 1 << 30);
        assert_eq!(found, start + 59_900 - PART_MARGIN..start + 960_316 + PART_MARGIN);
    }

    #[test]
    fn a_window_stays_inside_the_basis() {
        assert_eq!(window(&[op(0, 0..50)], 0, 60, 1 << 10), 0..1 << 10);
        assert_eq!(window(&[op(0, 0..50)], 1 << 30, (1 << 30) + 60, 1 << 10), 0..1 << 10);
        assert_eq!(window(&[op(9, 7..7)], 1 << 30, (1 << 30) + 9, 1 << 10), 0..1 << 10);
    }
}
