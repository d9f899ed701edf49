//! Writes regions: the one place that turns a plan into bytes.

use super::compress::compress;
use super::context::Context;
use super::error::EncodeError;
use super::plan::{Encoded, Method, RegionPlan, Span};
use crate::delta::format::{CODEC_STORED, CODEC_SUBSTITUTION, CODEC_ZSTD, LAST_REGION};
use crate::delta::ops::{self, Op};
use crate::delta::substitution::script::SubstitutionScript;
use crate::wire::put_varint;

/// Writes the region of a plan.
pub(super) fn write(context: &mut Context<'_>, plan: &RegionPlan) -> Result<Encoded, EncodeError> {
    let bytes = match &plan.method {
        Method::Copies(ops) => write_copies(context, ops, plan.span)?,
        Method::Substitution(script) => write_substitution(context, script, plan.span)?,
    };
    Ok(Encoded { bytes, nanoseconds: plan.nanoseconds() })
}

/// The first bytes of a region, up to where the codec's own bytes begin.
pub(super) fn begin(codec: u8, span: Span, target_len: u64) -> Vec<u8> {
    let is_last = span.end == target_len;
    let mut out = vec![codec | if is_last { LAST_REGION } else { 0 }];
    if !is_last {
        put_varint(&mut out, span.len());
    }
    out
}

fn write_copies(context: &mut Context<'_>, ops: &[Op], span: Span) -> Result<Vec<u8>, EncodeError> {
    let gaps = context.gaps(ops, span.start);
    let prefix = context.prefix(ops, span.position, gaps.len() as u64);
    let level = context.level(span.len(), gaps.len(), prefix.bytes.len());
    let packed_gaps = if gaps.is_empty() { Vec::new() } else { compress(&gaps, &prefix.bytes, level)? };
    let encoded_ops = ops::encode(ops, span.position);
    let is_stored = encoded_ops.is_empty() && gaps.len() <= packed_gaps.len();
    context.compressed += (gaps.len() + prefix.bytes.len()) as u64;
    let mut out = begin(if is_stored { CODEC_STORED } else { CODEC_ZSTD }, span, context.target_len());
    if is_stored {
        out.extend_from_slice(&gaps);
        return Ok(out);
    }
    put_varint(&mut out, prefix.reach);
    put_varint(&mut out, encoded_ops.len() as u64);
    if !encoded_ops.is_empty() {
        let packed = compress(&encoded_ops, &[], context.level(span.len(), encoded_ops.len(), 0))?;
        let is_smaller = packed.len() < encoded_ops.len();
        put_varint(&mut out, if is_smaller { packed.len() as u64 } else { 0 });
        out.extend_from_slice(if is_smaller { &packed } else { &encoded_ops });
    }
    out.extend_from_slice(&packed_gaps);
    Ok(out)
}

fn write_substitution(context: &Context<'_>, script: &SubstitutionScript, span: Span) -> Result<Vec<u8>, EncodeError> {
    let prefix = context.prefix(&script.ops, span.position, script.gap_bytes as u64);
    let mut out = begin(CODEC_SUBSTITUTION, span, context.target_len());
    out.push(script.shape());
    put_varint(&mut out, prefix.reach);
    put_varint(&mut out, script.decisions.len() as u64);
    out.extend_from_slice(&script.decisions);
    if script.has_frame() {
        let level = context.level(context.target_len(), script.gap_bytes, prefix.bytes.len());
        out.extend(compress(&script.frame, &prefix.bytes, level)?);
    }
    Ok(out)
}
