//! The regions of a delta, one after the other: which methods the encoder tries for each, and which one it keeps.
//!
//! If there is time, the encoder also tries copies with substitutions and the dense codec. Files that fit the dense
//! codec's window are encoded whole, by each method. Longer files are encoded region by region, each with the part of
//! the basis that most of its bytes come from; the encoder tries substitutions where enough bytes are new.

use super::basis_bytes::BasisBytes;
use super::context::{Context, ESTIMATE_LEVEL};
use super::error::EncodeError;
use super::op_source::{OpSource, RegionLimits};
use super::options::{Codec, EncodeOptions};
use super::plan::{Encoded, Goal, HasCost, RankedPlan, RegionCost, RegionPlan, Span};
use super::planner::{self, AlignedPart, LEAST_COPIES};
use super::region_writer;
use crate::delta::containers::encode as containers;
use crate::delta::format::{MAX_DENSE, MAX_UNPACKINGS};
use crate::delta::ops::{self, Op};
use crate::delta::sequence_alignment::{Grain, SequenceAlignment, align_sequences, has_lists};
use crate::delta::substitution::script;

/// The most ops in one region. An op takes at most 20 bytes, so the ops keep the format's limit of 1 MiB.
const MAX_OPS: usize = 50_000;
/// The bytes of working memory that the dense and the substitution encoder need beside the alignment and the script.
const TABLES: usize = 40 << 20;
/// A delta is *far* from its basis if the target has fewer than five times the bytes of the delta that the other
/// methods make. The encoder does not try the dense codec for a far delta, because little of the basis is used and the
/// dense codec is slow. [`MAX_FAR_DELTA`] has the exception.
const FAR_RATIO: usize = 5;
/// The most bytes of a far delta for which the dense codec is tried nevertheless, if the smallest delta is wanted.
const MAX_FAR_DELTA: usize = 1 << 20;
/// The most bytes of a delta for which the dense codec is tried. For a longer one, encoding and decoding would each
/// take half a minute.
const MAX_DELTA_FOR_DENSE: usize = 2 << 20;
/// The most bytes of a delta, by an estimate, for which copies and substitutions are both written.
const SHORT: u64 = 64 << 10;
/// The length in bytes of a region, if the target or the basis is too long for the dense codec. The last region can be
/// shorter.
const PART_LEN: u64 = 16 << 20;
/// Substitutions are tried only if at least a 64th of a region's bytes is new.
const LEAST_NEW: u64 = 64;
/// A basis of this length or longer is not tried with substitutions: not all of its positions fit the numbers of a
/// substitution region.
const MAX_SUBSTITUTION_BASIS: u64 = 1 << 31;

/// Encodes one region after the other.
pub(super) struct Regions<'a> {
    context: Context<'a>,
    source: OpSource<'a>,
    /// The target position up to which regions were written.
    at: u64,
    /// The basis position after the last copy.
    position: u64,
}

impl<'a> Regions<'a> {
    pub(super) fn new(context: Context<'a>, source: OpSource<'a>) -> Regions<'a> {
        Regions { context, source, at: 0, position: 0 }
    }

    /// The next region, or all of them for a target that is encoded whole; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Encoded>, EncodeError> {
        if self.at == self.context.target_len() {
            return Ok(None);
        }
        if let Some(unpacked) = self.unpacked()? {
            return Ok(Some(unpacked));
        }
        let encoded = match self.substitution_basis() {
            None => self.next_copies(),
            Some(basis) if MAX_DENSE < basis.len().max(self.context.target.len()) as u64 => self.next_part(basis),
            Some(basis) if self.at == 0 && self.fits(basis, self.context.target, Grain::Words) => self.whole(basis),
            Some(_) => self.next_copies(),
        };
        encoded.map(Some)
    }

    /// All regions at once.
    fn all_of(context: Context<'a>, basis: &'a [u8]) -> Result<Encoded, EncodeError> {
        let source = OpSource::between(basis, context.target, context.options);
        let mut regions = Regions::new(context, source);
        let mut all = Encoded { bytes: Vec::new(), nanoseconds: 0, compressed: 0 };
        while let Some(next) = regions.next()? {
            all.bytes.extend(next.bytes);
            all.nanoseconds += next.nanoseconds;
        }
        Ok(all)
    }

    /// All regions of the target: one in codec 4, or without it, whichever is better. `None` if there is nothing to look
    /// through.
    fn unpacked(&mut self) -> Result<Option<Encoded>, EncodeError> {
        let Context { basis: BasisBytes::Whole(basis), target, options, depth, .. } = self.context else {
            return Ok(None);
        };
        let is_tried = self.at == 0 && options.thorough && options.containers && depth < MAX_UNPACKINGS;
        let Some(unpacked) = is_tried.then(|| containers::unpack(basis, target, options.budget)).flatten() else {
            return Ok(None);
        };
        let inside = Context {
            basis: BasisBytes::Whole(&unpacked.basis),
            target: &unpacked.target,
            options,
            compressed: 0,
            depth: depth + 1,
        };
        let through = Regions::all_of(inside, &unpacked.basis)?;
        let bytes = region_writer::write_containers(&unpacked.lists, &through.bytes, self.all())?;
        let nanoseconds = through.nanoseconds + unpacked.nanoseconds;
        let through = Encoded { bytes, nanoseconds, compressed: 0 };
        // A quick look at the files as they are shows whether a closer one is worth its time.
        let as_is = |options| {
            let context = Context { basis: BasisBytes::Whole(basis), target, options, compressed: 0, depth };
            Regions::all_of(context, basis)
        };
        let quick = as_is(EncodeOptions::new().budget(options.budget))?;
        let goal = self.goal();
        self.at = self.context.target_len();
        if unpacked.is_much && goal.clearly_prefers(through.cost(), quick.cost()) {
            return Ok(Some(through));
        }
        Ok(Some(goal.better_of(as_is(options.containers(false))?, through)))
    }

    /// The basis, if there is time to try substitutions or the dense codec with it.
    fn substitution_basis(&self) -> Option<&'a [u8]> {
        let BasisBytes::Whole(basis) = self.context.basis else { return None };
        let options = &self.context.options;
        let is_wanted = options.thorough || options.codec != Codec::Fast;
        let is_possible = !basis.is_empty() && (basis.len() as u64) < MAX_SUBSTITUTION_BASIS;
        (is_wanted && is_possible).then_some(basis)
    }

    /// Whether aligning the two sides fits the budget.
    fn fits(&self, basis: &[u8], target: &[u8], grain: Grain) -> bool {
        script::memory(basis, target, grain) + TABLES <= self.context.options.budget
    }

    /// The limits of a region of copies.
    fn limits(&self) -> RegionLimits {
        RegionLimits { ops: MAX_OPS, gap_bytes: self.context.max_gap_bytes(), len: u64::MAX }
    }

    fn goal(&self) -> Goal {
        Goal::of(self.context.options.codec)
    }

    /// The next region, with copies and new bytes only.
    fn next_copies(&mut self) -> Result<Encoded, EncodeError> {
        let (ops, span) = self.source.next_ops(self.at, self.position, self.limits());
        self.write_copies(ops, span)
    }

    fn write_copies(&mut self, ops: Vec<Op>, span: Span) -> Result<Encoded, EncodeError> {
        let ops = if self.context.options.thorough { planner::copies(&self.context, ops, span)?.0 } else { ops };
        self.write_next(&RegionPlan::copies(ops, span))
    }

    /// The next region of a target that is too long to be encoded whole.
    fn next_part(&mut self, basis: &'a [u8]) -> Result<Encoded, EncodeError> {
        let limits = RegionLimits { ops: usize::MAX, len: PART_LEN, ..self.limits() };
        let (mut ops, span) = self.source.next_ops(self.at, self.position, limits);
        let range = planner::basis_part(&ops, span, basis.len() as u64);
        for least in LEAST_COPIES {
            if MAX_OPS < ops.len() {
                ops = ops::without_short(&ops, least, span.position);
            }
        }
        let target = &self.context.target[span.start as usize..span.end as usize];
        let part = AlignedPart { basis: &basis[range.start as usize..range.end as usize], from: range.start, target };
        let new = ops::gap_bytes(&ops);
        if LEAST_NEW * new < span.len() || new == span.len() || !self.fits(part.basis, target, Grain::Words) {
            return self.write_copies(ops, span);
        }
        let alignment = align_sequences(part.basis, target, Grain::Words);
        let Some(substitution) = planner::substitution(&self.context, &part, &alignment, span)? else {
            return self.write_copies(ops, span);
        };
        let goal = self.goal();
        let estimate = planner::copies_len(&self.context, &ops, span, ESTIMATE_LEVEL)?;
        let plan = if goal.clearly_prefers(substitution.cost(), RegionCost::of_copies(estimate)) {
            substitution.plan
        } else {
            let copies = planner::copies(&self.context, ops, span)?;
            planner::better_of(&self.context, goal, copies, substitution)?
        };
        self.write_next(&plan)
    }

    /// All regions of the target, by the best of the methods. If only the dense codec is to be tried and cannot be
    /// worth its time, the next region of copies.
    fn whole(&mut self, basis: &'a [u8]) -> Result<Encoded, EncodeError> {
        let best = if self.context.options.codec == Codec::Dense && !self.context.options.thorough {
            let Some(dense) = planner::dense(&self.context, basis, None, self.all()) else {
                return self.next_copies();
            };
            region_writer::write(&self.context, &dense)?
        } else {
            self.best_of_all(basis)?
        };
        self.at = self.context.target_len();
        Ok(best)
    }

    /// All regions of the target, by the best of all methods.
    fn best_of_all(&mut self, basis: &'a [u8]) -> Result<Encoded, EncodeError> {
        let goal = self.goal();
        let (alignment, substitution) = self.best_substitution(basis, goal)?;
        let best = self.copies_or(substitution, goal)?;
        if self.context.options.codec != Codec::Fast
            && !self.is_far(best.bytes.len(), goal)
            && let Some(dense) = planner::dense(&self.context, basis, Some(&alignment), self.all())
        {
            return Ok(goal.better_of(best, region_writer::write(&self.context, &dense)?));
        }
        Ok(best)
    }

    /// The best plan of one region with substitutions for the whole target, and the alignment that it was made from. In text
    /// words are replaced; if it has lists of numbers, replacing bytes is tried too.
    fn best_substitution(
        &self,
        basis: &'a [u8],
        goal: Goal,
    ) -> Result<(SequenceAlignment, Option<RankedPlan>), EncodeError> {
        let target = self.context.target;
        let part = AlignedPart { basis, from: 0, target };
        let made = |grain| {
            let alignment = align_sequences(basis, target, grain);
            let plan = planner::substitution(&self.context, &part, &alignment, self.all())?;
            Ok::<_, EncodeError>((alignment, plan))
        };
        let usual = made(planner::grain(&self.context, basis, planner::OP_JUMP))?;
        if !usual.0.words || !has_lists(target) || !self.fits(basis, target, Grain::Bytes) {
            return Ok(usual);
        }
        let by_bytes = made(Grain::Bytes)?;
        Ok(match (&usual.1, &by_bytes.1) {
            (Some(words), Some(bytes)) if !goal.prefers(bytes.cost(), words.cost()) => usual,
            (Some(_), None) => usual,
            _ => by_bytes,
        })
    }

    /// All regions of the target: the one region with substitutions, or as many regions of copies as it takes.
    fn copies_or(&mut self, substitution: Option<RankedPlan>, goal: Goal) -> Result<Encoded, EncodeError> {
        let len = self.context.target_len();
        let (ops, first) = self.source.next_ops(0, 0, self.limits());
        let Some(substitution) = substitution else {
            let (ops, _) = planner::copies(&self.context, ops, first)?;
            return self.all_copies(&RegionPlan::copies(ops, first));
        };
        let estimate = planner::copies_len(&self.context, &ops, first, ESTIMATE_LEVEL)? as u64 * len / first.end.max(1);
        // Estimates err by some percent, those of short deltas by more. Where both are short and not one half of the
        // other, there is time to write both.
        let is_short = estimate.max(substitution.bytes as u64) <= SHORT;
        let is_clear = if is_short {
            goal.prefers(substitution.cost(), RegionCost::of_copies(estimate as usize / 2))
        } else {
            goal.clearly_prefers(substitution.cost(), RegionCost::of_copies(estimate as usize))
        };
        if is_clear {
            return region_writer::write(&self.context, &substitution.plan);
        }
        let copies = planner::copies(&self.context, ops, first)?;
        if first.end == len && !is_short {
            let plan = planner::better_of(&self.context, goal, copies, substitution)?;
            return region_writer::write(&self.context, &plan);
        }
        let substituted = region_writer::write(&self.context, &substitution.plan)?;
        let copied = self.all_copies(&RegionPlan::copies(copies.0, first))?;
        Ok(goal.better_of(copied, substituted))
    }

    /// Whether the best delta so far, of this many bytes, uses so little of the basis that the dense codec is not
    /// tried.
    fn is_far(&self, bytes: usize, goal: Goal) -> bool {
        let is_far = self.context.target.len() < bytes * FAR_RATIO;
        let is_tried = matches!(goal, Goal::FewestBytes) && bytes <= MAX_FAR_DELTA;
        MAX_DELTA_FOR_DENSE < bytes || is_far && !is_tried
    }

    /// The span of a region that makes the whole target.
    fn all(&self) -> Span {
        Span { start: 0, end: self.context.target_len(), position: 0 }
    }

    /// All regions of the target, with copies and new bytes only, of which this is the first.
    fn all_copies(&mut self, first: &RegionPlan) -> Result<Encoded, EncodeError> {
        let mut all = self.write_next(first)?;
        while self.at < self.context.target_len() {
            all.bytes.extend(self.next_copies()?.bytes);
        }
        Ok(all)
    }

    /// Writes a region, and continues behind it.
    fn write_next(&mut self, plan: &RegionPlan) -> Result<Encoded, EncodeError> {
        let encoded = region_writer::write(&self.context, plan)?;
        self.at = plan.span.end;
        self.position = plan.end_position();
        self.context.compressed += encoded.compressed;
        Ok(encoded)
    }
}
