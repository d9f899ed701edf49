//! Ops as decisions of an arithmetic coder, in substitution regions.

use crate::delta::adaptive::{Counter, NumberCoder};
use crate::delta::arithmetic::{DecisionCoder, DecisionReader};
use crate::delta::error::{DecodeError, Limit};
use crate::delta::format::{MAX_SUBSTITUTED, MAX_SUBSTITUTION_OPS};
use crate::delta::ops::Op;

/// Codes ops. The numbers before a number are its context.
pub(crate) struct OpCoder {
    numbers: NumberCoder,
    sign_counters: [Counter; 2],
    kind_counters: [Counter; 4],
    last_gap: u32,
    last_substituted: usize,
}

impl OpCoder {
    // The contexts of the numbers; of gaps and of distances, the first of several.
    const COUNT_SIZE: usize = 0;
    const GAP_SIZE: usize = 1;
    const DISTANCE_SIZE: usize = 9;
    const COPY_SIZE: usize = 21;
    const SUBSTITUTED_SIZE: usize = 22;
    const TAIL_SIZE: usize = 23;

    pub(crate) fn new() -> OpCoder {
        OpCoder {
            numbers: NumberCoder::new(24),
            sign_counters: [Counter::EVEN; 2],
            kind_counters: [Counter::EVEN; 4],
            last_gap: 0,
            last_substituted: 0,
        }
    }

    /// Writes ops that begin at a basis position. The last op copies nothing. Every number is below 2^31.
    #[cfg(feature = "encode")]
    pub(crate) fn write(mut self, coder: &mut impl DecisionCoder, ops: &[Op], position: u64) {
        let Some((tail, copying)) = ops.split_last() else { return };
        self.numbers.code(coder, OpCoder::COUNT_SIZE, copying.len() as u32);
        let mut at = position;
        for op in copying {
            let distance = op.copy.start as i64 - (at + op.gap) as i64;
            self.op(coder, op.gap as u32, distance, op.substituted, op.copy_len() as u32 - 1);
            at = op.copy.end;
        }
        self.numbers.code(coder, OpCoder::TAIL_SIZE, tail.gap as u32);
    }

    /// Reads the ops of a region of `span` bytes that begins at basis position `position`. All copies are inside the
    /// basis. Without the substituted copies, which can have any length, the ops make at most `span` bytes.
    pub(crate) fn read(
        mut self,
        coder: &mut DecisionReader,
        span: u64,
        position: u64,
        basis_len: u64,
    ) -> Result<Vec<Op>, DecodeError> {
        let count = Limit::SubstitutionOps
            .check(self.numbers.code(coder, OpCoder::COUNT_SIZE, 0).into(), MAX_SUBSTITUTION_OPS as u64)?;
        let (mut ops, mut left, mut at) = (Vec::new(), span, position);
        let mut take = |len: u64| {
            let rest = left.checked_sub(len).ok_or(DecodeError::BadOps { what: "they exceed their region" })?;
            left = rest;
            Ok(())
        };
        for _ in 0..count {
            let (gap, distance, substituted, len) = self.op(coder, 0, 0, false, 0);
            let (gap, len) = (u64::from(gap), u64::from(len) + 1);
            take(if substituted { gap } else { gap + len })?;
            let start = i128::from(at) + i128::from(gap) + i128::from(distance);
            if start < 0 || i128::from(basis_len) < start + i128::from(len) {
                return Err(DecodeError::CopyOutsideBasis { start, len, basis: basis_len });
            }
            if substituted {
                Limit::SubstitutedCopy.check(len, MAX_SUBSTITUTED as u64)?;
            }
            ops.push(Op { gap, copy: start as u64..start as u64 + len, substituted });
            at = start as u64 + len;
        }
        let gap = self.numbers.code(coder, OpCoder::TAIL_SIZE, 0).into();
        take(gap)?;
        if gap != 0 {
            ops.push(Op { gap, copy: at..at, substituted: false });
        }
        if coder.is_overdrawn() { Err(DecodeError::BadOps { what: "the decisions end too soon" }) } else { Ok(ops) }
    }

    fn op(
        &mut self,
        coder: &mut impl DecisionCoder,
        gap: u32,
        distance: i64,
        substituted: bool,
        len: u32,
    ) -> (u32, i64, bool, u32) {
        let gap_context = OpCoder::GAP_SIZE + self.last_substituted * 4 + log2(self.last_gap).min(3);
        let gap = self.numbers.code(coder, gap_context, gap);
        let distance_context = OpCoder::DISTANCE_SIZE + self.last_substituted * 6 + log2(gap).min(5);
        let size = i64::from(self.numbers.code(coder, distance_context, distance.unsigned_abs() as u32));
        let is_back = size != 0 && self.sign_counters[self.last_substituted].code(coder, distance < 0);
        let goes_on = usize::from(gap == 0 && size == 0);
        let substituted = self.kind_counters[self.last_substituted * 2 + goes_on].code(coder, substituted);
        let len_context = if substituted { OpCoder::SUBSTITUTED_SIZE } else { OpCoder::COPY_SIZE };
        let len = self.numbers.code(coder, len_context, len);
        (self.last_gap, self.last_substituted) = (gap, usize::from(substituted));
        (gap, if is_back { -size } else { size }, substituted, len)
    }
}

/// log2 of the number plus one.
fn log2(number: u32) -> usize {
    number.saturating_add(1).ilog2() as usize
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;
    use crate::delta::arithmetic::DecisionWriter;

    fn substituted() -> Vec<Op> {
        vec![
            Op { gap: 7, copy: 12..90, substituted: true },
            Op { gap: 0, copy: 90..5_000, substituted: false },
            Op { gap: 1, copy: 40..60, substituted: true },
            Op { gap: 9, copy: 60..60, substituted: false },
        ]
    }

    fn decisions(ops: &[Op]) -> DecisionReader {
        let mut writer = DecisionWriter::new();
        OpCoder::new().write(&mut writer, ops, 0);
        DecisionReader::new(writer.finish())
    }

    #[test]
    fn ops_go_both_ways_as_decisions() {
        let ops = substituted();
        assert_eq!(OpCoder::new().read(&mut decisions(&ops), 5_100, 0, 5_000).as_ref(), Ok(&ops));
        // A substituted copy can have any length; the rest must fit.
        assert_eq!(OpCoder::new().read(&mut decisions(&ops), 4_927, 0, 5_000), Ok(ops));
        let short = OpCoder::new().read(&mut decisions(&substituted()), 4_926, 0, 5_000);
        assert_eq!(short, Err(DecodeError::BadOps { what: "they exceed their region" }));
        let outside = OpCoder::new().read(&mut decisions(&substituted()), 5_100, 0, 4_999).unwrap_err();
        assert_eq!(outside.reason(), "copy-outside-basis");
    }

    #[test]
    fn too_many_or_too_long_substituted_copies_are_refused() {
        let read = |ops: &[Op]| OpCoder::new().read(&mut decisions(ops), 1 << 20, 0, 1 << 20).map(|ops| ops.len());
        let long =
            |len| [Op { gap: 0, copy: 0..len, substituted: true }, Op { gap: 1, copy: len..len, substituted: false }];
        assert_eq!(read(&long(1 << 16)), Ok(2));
        assert_eq!(read(&long((1 << 16) + 1)).unwrap_err().reason(), "limit-followed");
        let many = |count| vec![Op { gap: 0, copy: 0..1, substituted: true }; count];
        assert_eq!(read(&[many(1 << 16), substituted()[3..].to_vec()].concat()), Ok((1 << 16) + 1));
        assert_eq!(
            read(&[many((1 << 16) + 1), substituted()[3..].to_vec()].concat()).unwrap_err().reason(),
            "limit-followed-ops"
        );
    }
}
