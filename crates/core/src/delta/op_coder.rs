//! Ops as decisions.

use crate::delta::adaptive::{Counter, Sizes};
use crate::delta::arithmetic::{Coder, Reader as Decisions};
use crate::delta::error::{DecodeError, Limit};
use crate::delta::format::{MAX_FOLLOWED, MAX_FOLLOWED_OPS};
use crate::delta::ops::Op;

/// Codes ops as decisions: each number in the context of those before it.
pub(crate) struct OpCoder {
    sizes: Sizes,
    signs: [Counter; 2],
    kinds: [Counter; 4],
    last_gap: u32,
    last_followed: usize,
}

impl OpCoder {
    const COUNT: usize = 0;
    const GAP: usize = 1;
    const SHIFT: usize = 9;
    const LEN: usize = 21;
    const TAIL: usize = 23;

    pub(crate) fn new() -> OpCoder {
        OpCoder {
            sizes: Sizes::new(24),
            signs: [Counter::EVEN; 2],
            kinds: [Counter::EVEN; 4],
            last_gap: 0,
            last_followed: 0,
        }
    }

    /// Writes ops from a basis position on, of which the last copies nothing; every number is below 2^31.
    #[cfg(feature = "encode")]
    pub(crate) fn write(mut self, coder: &mut impl Coder, ops: &[Op], position: u64) {
        let Some((tail, copying)) = ops.split_last() else { return };
        self.sizes.code(coder, OpCoder::COUNT, copying.len() as u32);
        let mut at = position;
        for op in copying {
            let shift = op.copy.start as i64 - (at + op.gap) as i64;
            self.op(coder, op.gap as u32, shift, op.followed, op.copy_len() as u32 - 1);
            at = op.copy.end;
        }
        self.sizes.code(coder, OpCoder::TAIL, tail.gap as u32);
    }

    /// Reads the ops of a region of `span` bytes, of which the first begins at basis position `position`. What they make without what is followed does not exceed `span`, and they copy
    /// only what the basis has.
    pub(crate) fn read(
        mut self,
        coder: &mut Decisions,
        span: u64,
        position: u64,
        basis_len: u64,
    ) -> Result<Vec<Op>, DecodeError> {
        let count =
            Limit::FollowedOps.check(self.sizes.code(coder, OpCoder::COUNT, 0).into(), MAX_FOLLOWED_OPS as u64)?;
        let (mut ops, mut left, mut at) = (Vec::new(), span, position);
        let mut take = |len: u64| {
            let rest = left.checked_sub(len).ok_or(DecodeError::BadOps { what: "they exceed their region" })?;
            left = rest;
            Ok(())
        };
        for _ in 0..count {
            let (gap, shift, followed, len) = self.op(coder, 0, 0, false, 0);
            let (gap, len) = (u64::from(gap), u64::from(len) + 1);
            take(if followed { gap } else { gap + len })?;
            let start = i128::from(at) + i128::from(gap) + i128::from(shift);
            if start < 0 || i128::from(basis_len) < start + i128::from(len) {
                return Err(DecodeError::CopyOutsideBasis { start, len, basis: basis_len });
            }
            if followed {
                Limit::Followed.check(len, MAX_FOLLOWED as u64)?;
            }
            ops.push(Op { gap, copy: start as u64..start as u64 + len, followed });
            at = start as u64 + len;
        }
        let gap = self.sizes.code(coder, OpCoder::TAIL, 0).into();
        take(gap)?;
        if gap != 0 {
            ops.push(Op { gap, copy: at..at, followed: false });
        }
        if coder.is_overdrawn() { Err(DecodeError::BadOps { what: "their decisions end too soon" }) } else { Ok(ops) }
    }

    fn op(&mut self, coder: &mut impl Coder, gap: u32, shift: i64, followed: bool, len: u32) -> (u32, i64, bool, u32) {
        let gap_context = OpCoder::GAP + self.last_followed * 4 + log2(self.last_gap).min(3);
        let gap = self.sizes.code(coder, gap_context, gap);
        let shift_context = OpCoder::SHIFT + self.last_followed * 6 + log2(gap).min(5);
        let size = i64::from(self.sizes.code(coder, shift_context, shift.unsigned_abs() as u32));
        let is_back = size != 0 && self.signs[self.last_followed].code(coder, shift < 0);
        let goes_on = usize::from(gap == 0 && size == 0);
        let followed = self.kinds[self.last_followed * 2 + goes_on].code(coder, followed);
        let len = self.sizes.code(coder, OpCoder::LEN + usize::from(followed), len);
        (self.last_gap, self.last_followed) = (gap, usize::from(followed));
        (gap, if is_back { -size } else { size }, followed, len)
    }
}

/// log2 of the number plus one.
fn log2(number: u32) -> usize {
    number.saturating_add(1).ilog2() as usize
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;
    use crate::delta::arithmetic::Writer;

    fn followed() -> Vec<Op> {
        vec![
            Op { gap: 7, copy: 12..90, followed: true },
            Op { gap: 0, copy: 90..5_000, followed: false },
            Op { gap: 1, copy: 40..60, followed: true },
            Op { gap: 9, copy: 60..60, followed: false },
        ]
    }

    fn decisions(ops: &[Op]) -> Decisions {
        let mut writer = Writer::new();
        OpCoder::new().write(&mut writer, ops, 0);
        Decisions::new(writer.finish())
    }

    #[test]
    fn ops_go_both_ways_as_decisions() {
        let ops = followed();
        assert_eq!(OpCoder::new().read(&mut decisions(&ops), 5_100, 0, 5_000).as_ref(), Ok(&ops));
        // What is followed may become anything; the rest must fit.
        assert_eq!(OpCoder::new().read(&mut decisions(&ops), 4_927, 0, 5_000), Ok(ops));
        let short = OpCoder::new().read(&mut decisions(&followed()), 4_926, 0, 5_000);
        assert_eq!(short, Err(DecodeError::BadOps { what: "they exceed their region" }));
        let outside = OpCoder::new().read(&mut decisions(&followed()), 5_100, 0, 4_999).unwrap_err();
        assert_eq!(outside.reason(), "copy-outside-basis");
    }

    #[test]
    fn too_much_is_not_followed() {
        let read = |ops: &[Op]| OpCoder::new().read(&mut decisions(ops), 1 << 20, 0, 1 << 20).map(|ops| ops.len());
        let long = |len| [Op { gap: 0, copy: 0..len, followed: true }, Op { gap: 1, copy: len..len, followed: false }];
        assert_eq!(read(&long(1 << 16)), Ok(2));
        assert_eq!(read(&long((1 << 16) + 1)).unwrap_err().reason(), "limit-followed");
        let many = |count| vec![Op { gap: 0, copy: 0..1, followed: true }; count];
        assert_eq!(read(&[many(1 << 16), followed()[3..].to_vec()].concat()), Ok((1 << 16) + 1));
        assert_eq!(
            read(&[many((1 << 16) + 1), followed()[3..].to_vec()].concat()).unwrap_err().reason(),
            "limit-followed-ops"
        );
    }
}
