//! Makes plans for a region, and estimates how many bytes they take.

use std::ops::Range;

use super::compress::compress;
use super::context::{Context, ESTIMATE_LEVEL};
use super::error::EncodeError;
use super::levels::BEST;
use super::plan::{Goal, Method, RankedPlan, RegionPlan, Span};
use crate::delta::dense::encode::{Followed, encode as encode_dense};
use crate::delta::ops::{self, Op};
use crate::delta::sequence_alignment::{self, Grain, SequenceAlignment, align_sequences, has_code, is_mostly_modules};
use crate::delta::substitution::script::{Stretches, SubstitutionScript};

/// The least numbers of bytes that a stretch must save so that it is copied with substitutions, where words are replaced.
/// The planner makes a script for each number in turn, until a script is not smaller than the one before.
const LEAST_GAINS_IN_WORDS: [i32; 3] = [32, 200, 600];
/// The same where numbers and bytes are replaced.
const LEAST_GAINS_IN_NUMBERS: [i32; 5] = [16, 32, 64, 200, 600];
/// The least lengths of a copy, in bytes. The planner turns shorter copies into new bytes, for each length in turn, and
/// keeps the result if it is smaller.
pub(super) const LEAST_COPIES: [u64; 4] = [64, 512, 1024, 8192];
/// If leaving out copies makes a region longer by an eighth, no longer copies are left out.
const MUCH_WORSE: usize = 8;
/// The most bytes of a basis and of a region whose copies are compared by the level by which they are written. It takes
/// long for more.
const SHORT_SIDE: u64 = 32 << 10;
/// The zstd level by which substitution scripts are compared with each other, unless they have many new bytes.
const RANK_LEVEL: i32 = 6;
/// The most new bytes of scripts that are compared by [`RANK_LEVEL`].
const MANY_NEW: usize = 256 << 10;
/// What an op costs in a module, in bits, for its alignment.
pub(super) const OP_JUMP: i32 = 16;
/// What a jump of the dense codec costs in a module, in bits, for its alignment.
const DENSE_JUMP: i32 = 32;
/// The bytes by which the part of the basis that is aligned with a region reaches beyond the region's own range, on
/// both sides.
const PART_MARGIN: u64 = 2 << 20;

/// A part of the basis, and the part of the target that is aligned with it.
pub(super) struct AlignedPart<'a> {
    pub(super) basis: &'a [u8],
    /// Where the part begins in the basis.
    pub(super) from: u64,
    pub(super) target: &'a [u8],
}

/// The ops without their short copies, as far as the region becomes smaller without them. With them, about how many bytes
/// it takes, if that had to be known.
///
/// A short copy takes some bytes in the ops. It also splits new bytes that the compressor, which has the basis as its
/// prefix, would encode as one piece.
pub(super) fn copies(context: &Context<'_>, ops: Vec<Op>, span: Span) -> Result<(Vec<Op>, Option<usize>), EncodeError> {
    let level = if context.basis.len().max(span.len()) <= SHORT_SIDE { BEST } else { context.compare_level() };
    let mut bytes = None;
    let mut best = ops;
    for least in LEAST_COPIES {
        let ops = ops::without_short(&best, least, span.position);
        if ops.len() == best.len() {
            continue;
        }
        if context.max_gap_bytes() < ops::gap_bytes(&ops) {
            break;
        }
        let most = bytes.map_or_else(|| copies_len(context, &best, span, level), Ok)?;
        let fewer = copies_len(context, &ops, span, level)?;
        bytes = Some(most.min(fewer));
        if fewer < most {
            best = ops;
        } else if most + most / MUCH_WORSE < fewer {
            break;
        }
    }
    Ok((best, bytes))
}

/// The plan that copies with substitutions, by the smallest of the scripts that are tried; `None` if too many tokens
/// differ or the format's limits allow no script.
pub(super) fn substitution(
    context: &Context<'_>,
    part: &AlignedPart<'_>,
    alignment: &SequenceAlignment,
    span: Span,
) -> Result<Option<RankedPlan>, EncodeError> {
    let Some(stretches) = Stretches::new(part.basis, part.target, alignment) else { return Ok(None) };
    let mut best: Option<(SubstitutionScript, usize)> = None;
    let least_gains: &[i32] = if alignment.words { &LEAST_GAINS_IN_WORDS } else { &LEAST_GAINS_IN_NUMBERS };
    for script in least_gains.iter().filter_map(|least| stretches.script(*least, part.from, span.position)) {
        let level = if MANY_NEW < script.gaps.len() { ESTIMATE_LEVEL } else { RANK_LEVEL };
        let bytes = script_len(context, &script, span, level)?;
        if best.as_ref().is_some_and(|(_, least)| *least <= bytes) {
            break;
        }
        best = Some((script, bytes));
    }
    let plan = |(script, bytes)| {
        let plan = RegionPlan { span, method: Method::Substitution(script) };
        RankedPlan { plan, bytes }
    };
    Ok(best.map(plan))
}

/// The plan of one dense region for the whole target, whose window is the whole basis; `None` if that cannot be worth its
/// time. Modules are aligned by their numbers if the budget allows it, and all else as in `alignment`, which is made if it
/// is `None`.
pub(super) fn dense(
    context: &Context<'_>,
    basis: &[u8],
    alignment: Option<&SequenceAlignment>,
    span: Span,
) -> Option<RegionPlan> {
    let target = context.target;
    let is_wasm = has_code(target);
    let own;
    let alignment = match alignment {
        Some(alignment) if !matches!(alignment.grain, Grain::Modules { .. }) => alignment,
        Some(_) => {
            own = align_sequences(basis, target, Grain::Modules { jump: DENSE_JUMP });
            &own
        }
        None => {
            own = align_sequences(basis, target, grain(context, basis, DENSE_JUMP));
            &own
        }
    };
    let followed = Followed { words: alignment.words || is_wasm, wasm: is_wasm };
    let dense = encode_dense(basis, target, alignment, followed)?;
    Some(RegionPlan { span, method: Method::Dense(dense) })
}

/// What both sides are split into so that they are aligned: numbers of modules, if most of the target is modules and the
/// budget allows it. `jump` is what moving the pointer costs in a module, in bits.
pub(super) fn grain(context: &Context<'_>, basis: &[u8], jump: i32) -> Grain {
    let modules = Grain::Modules { jump };
    let fits = || sequence_alignment::memory(basis, context.target, modules) <= context.options.budget;
    if is_mostly_modules(context.target) && fits() { modules } else { Grain::Words }
}

/// The better plan for one region: copies with these ops, of which [`copies`] may have said how many bytes they take, or
/// substitutions, by a closer look at these.
pub(super) fn better_of(
    context: &Context<'_>,
    goal: Goal,
    (ops, bytes): (Vec<Op>, Option<usize>),
    mut substitution: RankedPlan,
) -> Result<RegionPlan, EncodeError> {
    let span = substitution.plan.span;
    let bytes = bytes.map_or_else(|| copies_len(context, &ops, span, context.compare_level()), Ok)?;
    let copies = RankedPlan { plan: RegionPlan::copies(ops, span), bytes };
    if let Method::Substitution(script) = &substitution.plan.method {
        substitution.bytes = script_len(context, script, span, context.compare_level())?;
    }
    Ok(goal.better_of(copies, substitution).plan)
}

/// About how many bytes a region of copies takes.
pub(super) fn copies_len(context: &Context<'_>, ops: &[Op], span: Span, level: i32) -> Result<usize, EncodeError> {
    let gaps = context.gaps(ops, span.start);
    let prefix = context.prefix(ops, span.position, gaps.len() as u64);
    let packed_ops = compress(&ops::encode(ops, span.position), &[], level)?;
    Ok(compress(&gaps, &prefix.bytes, level)?.len() + packed_ops.len())
}

/// About how many bytes a region of a substitution script takes.
fn script_len(
    context: &Context<'_>,
    script: &SubstitutionScript,
    span: Span,
    level: i32,
) -> Result<usize, EncodeError> {
    let prefix = context.prefix(&script.ops, span.position, script.gaps.len() as u64);
    Ok(script.decisions.len() + compress(&script.gaps, &prefix.bytes, level)?.len())
}

/// The part of the basis beside a region: the region's own range, moved by the distance that most copied bytes moved.
pub(super) fn basis_part(ops: &[Op], span: Span, basis_len: u64) -> Range<u64> {
    let mut at = span.start;
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
    let from = span.start.saturating_add_signed(diagonal).saturating_sub(PART_MARGIN).min(basis_len);
    from..span.end.saturating_add_signed(diagonal).saturating_add(PART_MARGIN).clamp(from, basis_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(gap: u64, copy: Range<u64>) -> Op {
        Op { gap, copy, substituted: false }
    }

    fn span(start: u64, end: u64) -> Span {
        Span { start, end, position: 0 }
    }

    #[test]
    fn the_basis_part_lies_along_the_diagonal_of_most_bytes() {
        let start = 100 << 20;
        let ops = [op(10, 5_000..5_100), op(0, start + 60_010..start + 960_000), op(9, 0..300), op(7, 0..0)];
        let part = basis_part(&ops, span(start, start + 900_416), 1 << 30);
        assert_eq!(part, start + 59_900 - PART_MARGIN..start + 960_316 + PART_MARGIN);
    }

    #[test]
    fn the_basis_part_stays_inside_the_basis() {
        assert_eq!(basis_part(&[op(0, 0..50)], span(0, 60), 1 << 10), 0..1 << 10);
        assert_eq!(basis_part(&[op(0, 0..50)], span(1 << 30, (1 << 30) + 60), 1 << 10), 0..1 << 10);
        assert_eq!(basis_part(&[op(9, 7..7)], span(1 << 30, (1 << 30) + 9), 1 << 10), 0..1 << 10);
    }
}
