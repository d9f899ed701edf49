//! Writes regions: the one place that turns a plan into bytes.

use super::compress::compress;
use super::context::Context;
use super::error::EncodeError;
use super::levels::{self, BEST};
use super::plan::{Encoded, Goal, Method, RegionPlan, Span};
use super::predicted::{Copies, predict};
use crate::delta::dense::encode::EncodedDense;
use crate::delta::format::{
    CODEC_CONTAINERS, CODEC_DENSE, CODEC_PREDICTED, CODEC_STORED, CODEC_SUBSTITUTION, CODEC_ZSTD, LAST_REGION,
    SUBSTITUTION_WORDS,
};
use crate::delta::ops::{self, Op};
use crate::delta::substitution::script::SubstitutionScript;
use crate::delta::substitution::token::TokenKind;
use crate::wire::put_varint;

/// Writes the region of a plan: with compressed new bytes, or with predicted ones, whichever is better.
pub(super) fn write(context: &Context<'_>, plan: &RegionPlan) -> Result<Encoded, EncodeError> {
    let nanoseconds = plan.nanoseconds();
    let (bytes, compressed) = match &plan.method {
        Method::Copies(ops) => write_copies(context, ops, plan.span)?,
        Method::Substitution(script) => (write_substitution(context, script, plan.span)?, 0),
        Method::Dense(dense) => (write_dense(context, dense, plan.span), 0),
    };
    let encoded = Encoded { bytes, nanoseconds, compressed };
    let copies = match &plan.method {
        Method::Copies(ops) => Copies { tokens: TokenKind::Numbers, ops, made: None, span: plan.span },
        Method::Substitution(script) => {
            Copies { tokens: script.tokens, ops: &script.ops, made: Some(&script.made), span: plan.span }
        }
        Method::Dense(_) => return Ok(encoded),
    };
    let Some(predicted) = predict(context, &copies, encoded.bytes.len()) else { return Ok(encoded) };
    let bytes =
        begin_decisions(context, CODEC_PREDICTED, plan.span, copies.tokens, predicted.reach, &predicted.decisions);
    let predicted = Encoded { bytes, nanoseconds: nanoseconds + predicted.nanoseconds, compressed };
    Ok(Goal::of(context.options.codec).better_of(encoded, predicted))
}

/// The only region of a first sync of `len` bytes, up to where its zstd frame begins.
pub(super) fn write_before_frame(len: u64) -> Vec<u8> {
    let mut out = begin(CODEC_ZSTD, Span { start: 0, end: len, position: 0 }, len);
    // A reach of 0 and no ops.
    out.extend([0, 0]);
    out
}

/// The first bytes of a region, up to where the codec's own bytes begin.
fn begin(codec: u8, span: Span, target_len: u64) -> Vec<u8> {
    let is_last = span.end == target_len;
    let mut out = vec![codec | if is_last { LAST_REGION } else { 0 }];
    if !is_last {
        put_varint(&mut out, span.len());
    }
    out
}

/// Returns the region, and what counts for [`Context::compressed`].
fn write_copies(context: &Context<'_>, ops: &[Op], span: Span) -> Result<(Vec<u8>, u64), EncodeError> {
    let gaps = context.gaps(ops, span.start);
    let prefix = context.prefix(ops, span.position, gaps.len() as u64);
    let level = context.level(span.len(), gaps.len(), prefix.bytes.len());
    let packed_gaps = if gaps.is_empty() { Vec::new() } else { compress(&gaps, &prefix.bytes, level)? };
    let encoded_ops = ops::encode(ops, span.position);
    let is_stored = encoded_ops.is_empty() && gaps.len() <= packed_gaps.len();
    let compressed = levels::work(gaps.len(), prefix.bytes.len()) as u64;
    let mut out = begin(if is_stored { CODEC_STORED } else { CODEC_ZSTD }, span, context.target_len());
    if is_stored {
        out.extend_from_slice(&gaps);
        return Ok((out, compressed));
    }
    put_varint(&mut out, prefix.reach);
    put_varint(&mut out, encoded_ops.len() as u64);
    if !encoded_ops.is_empty() {
        put_packed(&mut out, &encoded_ops, context.level(span.len(), encoded_ops.len(), 0))?;
    }
    out.extend_from_slice(&packed_gaps);
    Ok((out, compressed))
}

/// Bytes after their length: compressed if that is shorter.
fn put_packed(out: &mut Vec<u8>, bytes: &[u8], level: i32) -> Result<(), EncodeError> {
    let packed = compress(bytes, &[], level)?;
    let is_smaller = packed.len() < bytes.len();
    put_varint(out, if is_smaller { packed.len() as u64 } else { 0 });
    out.extend_from_slice(if is_smaller { &packed } else { bytes });
    Ok(())
}

fn write_substitution(context: &Context<'_>, script: &SubstitutionScript, span: Span) -> Result<Vec<u8>, EncodeError> {
    let prefix = context.prefix(&script.ops, span.position, script.gaps.len() as u64);
    let mut out = begin_decisions(context, CODEC_SUBSTITUTION, span, script.tokens, prefix.reach, &script.decisions);
    if !script.gaps.is_empty() {
        let level = context.level(context.target_len(), script.gaps.len(), prefix.bytes.len());
        out.extend(compress(&script.gaps, &prefix.bytes, level)?);
    }
    Ok(out)
}

/// A region in codec 3 or 5, up to the end of its decisions.
fn begin_decisions(
    context: &Context<'_>,
    codec: u8,
    span: Span,
    tokens: TokenKind,
    reach: u64,
    decisions: &[u8],
) -> Vec<u8> {
    let mut out = begin(codec, span, context.target_len());
    out.push(if tokens == TokenKind::Words { SUBSTITUTION_WORDS } else { 0 });
    put_varint(&mut out, reach);
    put_varint(&mut out, decisions.len() as u64);
    out.extend_from_slice(decisions);
    out
}

/// A region in codec 4: the lists of streams, and the regions that make the unpacked target.
pub(super) fn write_containers(lists: &[u8], inside: &[u8], span: Span) -> Result<Vec<u8>, EncodeError> {
    let mut out = begin(CODEC_CONTAINERS, span, span.end);
    put_varint(&mut out, lists.len() as u64);
    put_packed(&mut out, lists, BEST)?;
    out.extend_from_slice(inside);
    Ok(out)
}

fn write_dense(context: &Context<'_>, dense: &EncodedDense, span: Span) -> Vec<u8> {
    let mut out = begin(CODEC_DENSE, span, context.target_len());
    out.extend_from_slice(&dense.bytes);
    out
}
