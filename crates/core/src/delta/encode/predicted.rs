//! Writes regions in codec 5, where a model predicts the new bytes.

use super::basis_bytes::BasisBytes;
use super::context::{Context, Prefix};
use super::options::Codec;
use super::plan::Span;
use crate::delta::arithmetic::DecisionWriter;
use crate::delta::format::{MAX_DENSE, MAX_LEARNED, MAX_SUBSTITUTION_OPS};
use crate::delta::op_coder::OpCoder;
use crate::delta::ops::{self, Op};
use crate::delta::predicted::Predictor;
use crate::delta::substitution::coder::TokenCoder;
use crate::delta::substitution::token::TokenKind;

/// Nanoseconds that a browser needs for one decision, as measured in Chromium on a server with two cores, once it has
/// compiled the code.
const DECISION_NANOSECONDS: u64 = 55;
/// The most bytes that show how many decisions a byte takes, and how far their prefix reaches.
const SAMPLE: usize = 8 << 10;
const SAMPLE_REACH: u64 = 1 << 10;
/// Nanoseconds that a browser needs to set up the tables.
const SETUP_NANOSECONDS: u64 = 500_000;
/// The nanoseconds that the codec may take in a fast delta: some, and more for each byte of the target, so that the
/// receiver makes 100 MB of a target in a second.
const FAST_NANOSECONDS: u64 = 7_000_000;
/// See [`FAST_NANOSECONDS`].
const FAST_BYTE_NANOSECONDS: u64 = 10;
/// The most nanoseconds in a fast delta, however long the target is.
const MAX_FAST_NANOSECONDS: u64 = 20_000_000;
/// The reaches of the prefixes, each three quarters of the one before.
const REACHES: [u64; 25] = {
    let mut reaches = [1 << 16; 25];
    let mut at = 1;
    while at < reaches.len() {
        reaches[at] = reaches[at - 1] * 3 / 4;
        at += 1;
    }
    reaches
};
/// How many prefixes are tried until the time of one is short enough.
const TRIES: usize = 3;
/// The most bytes that are learned for each new byte, besides some. More save nothing where the time counts.
const LEARNED_FOR_EACH: u64 = 64;
/// See [`LEARNED_FOR_EACH`].
const LEARNED: u64 = 2 << 10;
/// If there is time to learn only fewer bytes than a fourth of the new ones, the codec saves nothing.
const LEAST_LEARNED: u64 = 4;
/// A fast delta predicts only if that saves a 32nd of the region.
const LEAST_SAVED: usize = 32;
/// The smallest delta predicts only if that saves a 128th of the region: it can take a receiver a fifth of a second.
const LEAST_SAVED_OF_DENSE: usize = 128;
/// The most new bytes for which the codec is tried for the smallest delta. A receiver takes some tenths of a second for
/// these.
const MAX_NEW: u64 = 2 << 20;
/// Basis positions and lengths are numbers of at most 31 bits.
const MAX_BASIS: u64 = 1 << 31;

/// A region after its span.
pub(super) struct Predicted {
    pub(super) reach: u64,
    pub(super) decisions: Vec<u8>,
    /// Bytes of the prefix.
    learned: u64,
    /// The time that a browser needs for the new bytes, in nanoseconds, estimated.
    pub(super) nanoseconds: u64,
}

/// The copies that a region makes, between which its new bytes stand.
pub(super) struct Copies<'a> {
    /// What is replaced in those that are substituted.
    pub(super) tokens: TokenKind,
    pub(super) ops: &'a [Op],
    /// How many bytes of the target each op's copy makes; `None` if all of them are exact.
    pub(super) made: Option<&'a [usize]>,
    pub(super) span: Span,
}

/// The region with these copies. `None` if the codec is not to be used, would take the receiver too long, or saves too
/// little of `compressed`, the length of the region with a frame.
pub(super) fn predict(context: &Context<'_>, copies: &Copies<'_>, compressed: usize) -> Option<Predicted> {
    let Copies { ops, span, .. } = *copies;
    let options = context.options;
    let BasisBytes::Whole(basis) = context.basis else { return None };
    let new = ops::gap_bytes(ops);
    let is_possible = (basis.len() as u64) < MAX_BASIS && span.len() <= MAX_DENSE && ops.len() < MAX_SUBSTITUTION_OPS;
    if !options.predicted || !options.thorough || new == 0 || basis.is_empty() || !is_possible {
        return None;
    }
    let with_prefix = |most| {
        let prefix = context.prefix_within(ops, span.position, most, &REACHES)?;
        with_prefix(context.target, basis, copies, &prefix)
    };
    let fast = (FAST_NANOSECONDS + context.target_len() * FAST_BYTE_NANOSECONDS).min(MAX_FAST_NANOSECONDS);
    let narrow = || {
        let enough = MAX_LEARNED.min(LEARNED + LEARNED_FOR_EACH * new);
        let sample = context.prefix_start(ops, span.position, SAMPLE_REACH, SAMPLE)?;
        let decisions = Predictor::new::<DecisionWriter>(&sample, 0).decisions();
        // The bytes that fit the time, by how long others took.
        let fitting = |bytes: u64, nanoseconds: u64| (bytes * fast / nanoseconds).checked_sub(new);
        let mut most = fitting(sample.len() as u64, decisions * DECISION_NANOSECONDS)?;
        (0..TRIES).find_map(|_| {
            if most < new / LEAST_LEARNED {
                return None;
            }
            let predicted = with_prefix(most.min(enough))?;
            most = fitting(new + predicted.learned, predicted.nanoseconds * 20 / 19).unwrap_or_default();
            (predicted.nanoseconds <= fast).then_some(predicted)
        })
    };
    let saves = |one: &Predicted, least| one.decisions.len() + compressed / least <= compressed;
    match options.codec {
        Codec::Dense if MAX_NEW < new => None,
        Codec::Dense => [with_prefix(MAX_LEARNED), narrow()]
            .into_iter()
            .flatten()
            .min_by_key(|one| one.decisions.len())
            .filter(|one| saves(one, LEAST_SAVED_OF_DENSE)),
        Codec::Auto { .. } => narrow(),
        Codec::Fast => narrow().filter(|one| saves(one, LEAST_SAVED)),
    }
}

/// The region that learns from this prefix. `None` if a copy cannot be substituted.
fn with_prefix(target: &[u8], basis: &[u8], copies: &Copies<'_>, prefix: &Prefix) -> Option<Predicted> {
    let Copies { tokens, ops, made, span } = *copies;
    let mut writer = DecisionWriter::new();
    OpCoder::new().write(&mut writer, &ended(ops), span.position);
    let mut coder = TokenCoder::new(tokens);
    let mut predictor = Predictor::new::<DecisionWriter>(&prefix.bytes, ops::gap_bytes(ops));
    let mut target = &target[span.start as usize..span.end as usize];
    for (at, op) in ops.iter().enumerate() {
        let (gap, rest) = target.split_at(op.gap as usize);
        gap.iter().for_each(|byte| {
            predictor.code(&mut writer, *byte);
        });
        let (copy, rest) = rest.split_at(made.map_or(op.copy_len() as usize, |made| made[at]));
        target = rest;
        if op.substituted {
            let from = &basis[op.copy.start as usize..op.copy.end as usize];
            coder.substitute(&mut writer, from, Some(copy)).ok()?;
        }
        predictor.pass(copy);
    }
    let nanoseconds = SETUP_NANOSECONDS + predictor.decisions() * DECISION_NANOSECONDS;
    let learned = prefix.bytes.len() as u64;
    Some(Predicted { reach: prefix.reach, decisions: writer.finish(), learned, nanoseconds })
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
