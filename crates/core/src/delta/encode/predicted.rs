//! Writes regions in codec 5, where a model predicts the new bytes.

use super::basis_bytes::BasisBytes;
use super::context::Context;
use super::options::Codec;
use super::plan::Span;
use crate::delta::arithmetic::DecisionWriter;
use crate::delta::format::{MAX_DENSE, MAX_LEARNED, MAX_SUBSTITUTION_OPS};
use crate::delta::op_coder::OpCoder;
use crate::delta::ops::{self, Op};
use crate::delta::predicted::Predictor;
use crate::delta::substitution::coder::TokenCoder;
use crate::delta::substitution::token::TokenKind;

/// Nanoseconds that a browser needs for one byte of the prefix, and for one new byte.
const BYTE_NANOSECONDS: u64 = 170;
/// Nanoseconds that a browser needs to set up the tables.
const SETUP_NANOSECONDS: u64 = 500_000;
/// The nanoseconds that the codec may take in a fast delta: some, and more for each byte of the target, so that the
/// receiver makes 100 MB of a target in a second.
const FAST_NANOSECONDS: u64 = 7_000_000;
/// See [`FAST_NANOSECONDS`].
const FAST_BYTE_NANOSECONDS: u64 = 10;
/// The most nanoseconds in a fast delta, however long the target is: the time of one frame on a screen.
const MAX_FAST_NANOSECONDS: u64 = 16_000_000;
/// Basis positions and lengths are numbers of at most 31 bits.
const MAX_BASIS: u64 = 1 << 31;

/// A region after its span.
pub(super) struct Predicted {
    pub(super) reach: u64,
    pub(super) decisions: Vec<u8>,
    /// The time that a browser needs for the new bytes, in nanoseconds, estimated.
    pub(super) nanoseconds: u64,
}

/// The region with these ops, whose copies make so many bytes of the target each; `None` if the codec is not to be used, or
/// would take the receiver too long.
pub(super) fn predict(
    context: &Context<'_>,
    tokens: TokenKind,
    ops: &[Op],
    made: &[usize],
    span: Span,
) -> Option<Predicted> {
    let options = context.options;
    let BasisBytes::Whole(basis) = context.basis else { return None };
    let new = ops::gap_bytes(ops);
    let is_possible = (basis.len() as u64) < MAX_BASIS && span.len() <= MAX_DENSE && ops.len() < MAX_SUBSTITUTION_OPS;
    if !options.predicted || !options.thorough || new == 0 || basis.is_empty() || !is_possible {
        return None;
    }
    let allowed = match options.codec {
        Codec::Dense => (new + MAX_LEARNED) * BYTE_NANOSECONDS,
        Codec::Fast | Codec::Auto { .. } => {
            (FAST_NANOSECONDS + context.target_len() * FAST_BYTE_NANOSECONDS).min(MAX_FAST_NANOSECONDS)
        }
    };
    let most = (allowed / BYTE_NANOSECONDS).checked_sub(new)?.min(MAX_LEARNED);
    let prefix = context.prefix_within(ops, span.position, most, false);
    let nanoseconds = SETUP_NANOSECONDS + (prefix.bytes.len() as u64 + new) * BYTE_NANOSECONDS;

    let mut writer = DecisionWriter::new();
    OpCoder::new().write(&mut writer, &ended(ops), span.position);
    let (mut coder, mut predictor) = (TokenCoder::new(tokens), Predictor::new::<DecisionWriter>(&prefix.bytes, new));
    let mut target = &context.target[span.start as usize..span.end as usize];
    for (op, len) in ops.iter().zip(made) {
        let (gap, rest) = target.split_at(op.gap as usize);
        gap.iter().for_each(|byte| {
            predictor.code(&mut writer, *byte);
        });
        let (copy, rest) = rest.split_at(*len);
        target = rest;
        if op.substituted {
            let from = &basis[op.copy.start as usize..op.copy.end as usize];
            coder.substitute(&mut writer, from, Some(copy)).ok()?;
        }
        predictor.pass(copy);
    }
    Some(Predicted { reach: prefix.reach, decisions: writer.finish(), nanoseconds })
}

/// The ops with one at the end that copies nothing.
fn ended(ops: &[Op]) -> Vec<Op> {
    let mut ops = ops.to_vec();
    if let Some(last) = ops.last()
        && !last.copy.is_empty()
    {
        let end = last.copy.end;
        ops.push(Op { gap: 0, copy: end..end, substituted: false });
    }
    ops
}
