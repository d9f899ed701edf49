//! Ops: which bytes of a region are new, and which are copied from the basis.

use std::ops::Range;

use crate::delta::error::DecodeError;
use crate::wire::{ByteReader, unzigzag};
#[cfg(feature = "encode")]
use crate::wire::{put_varint, zigzag};

/// New bytes, then a copy from the basis. The last op of a region may copy nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Op {
    pub(crate) gap: u64,
    pub(crate) copy: Range<u64>,
    /// Whether tokens of the copy are replaced.
    pub(crate) substituted: bool,
}

impl Op {
    #[cfg(feature = "encode")]
    pub(crate) fn copy_len(&self) -> u64 {
        self.copy.end - self.copy.start
    }
}

/// Reads the ops of a region of `span` bytes that begins at basis position `position`.
///
/// The ops that come back make exactly `span` bytes, and all copies are inside the basis.
pub(crate) fn decode(bytes: &[u8], span: u64, position: u64, basis_len: u64) -> Result<Vec<Op>, DecodeError> {
    let mut left = span;
    if bytes.is_empty() {
        return Ok(vec![Op { gap: left, copy: position..position, substituted: false }]);
    }
    let malformed = |what| DecodeError::BadOps { what };
    let mut reader = ByteReader::new(bytes);
    let mut number = || reader.varint().map_err(|_| malformed("a number is malformed"));
    let count = number()?;
    // Each op takes at least three bytes, so the length of the input bounds the memory.
    if count == 0 || bytes.len() as u64 / 3 < count {
        return Err(malformed("their count does not fit their bytes"));
    }
    let mut ops = Vec::with_capacity(count as usize + 1);
    for _ in 0..count {
        ops.push(Op { gap: number()?, copy: 0..0, substituted: false });
    }
    for op in &mut ops {
        op.copy.end = number()?;
    }
    let mut at = position;
    for op in &mut ops {
        let len = op.copy.end;
        let taken = op.gap.checked_add(len).filter(|taken| *taken <= left);
        left -= taken.ok_or(malformed("they exceed their region"))?;
        if len == 0 {
            return Err(malformed("a copy of 0 bytes"));
        }
        let start = i128::from(at) + i128::from(op.gap) + i128::from(unzigzag(number()?));
        if start < 0 || i128::from(basis_len) < start + i128::from(len) {
            return Err(DecodeError::CopyOutsideBasis { start, len, basis: basis_len });
        }
        op.copy = start as u64..start as u64 + len;
        at = op.copy.end;
    }
    if !reader.is_empty() {
        return Err(malformed("bytes follow the last"));
    }
    if left != 0 {
        ops.push(Op { gap: left, copy: at..at, substituted: false });
    }
    Ok(ops)
}

/// Writes ops. An op that copies nothing can only be the last one; it is not written, since the span implies it.
#[cfg(feature = "encode")]
pub(crate) fn encode(ops: &[Op], position: u64) -> Vec<u8> {
    let copying = match ops {
        [rest @ .., last] if last.copy_len() == 0 => rest,
        all => all,
    };
    let mut out = Vec::with_capacity(copying.len() * 6 + 4);
    if copying.is_empty() {
        return out;
    }
    put_varint(&mut out, copying.len() as u64);
    copying.iter().for_each(|op| put_varint(&mut out, op.gap));
    copying.iter().for_each(|op| put_varint(&mut out, op.copy_len()));
    let mut at = position;
    for op in copying {
        put_varint(&mut out, zigzag(op.copy.start as i64 - (at + op.gap) as i64));
        at = op.copy.end;
    }
    out
}

/// The ops of the same region, with new bytes instead of copies shorter than `least`.
#[cfg(feature = "encode")]
pub(crate) fn without_short(ops: &[Op], least: u64, position: u64) -> Vec<Op> {
    let (mut kept, mut gap, mut at) = (Vec::with_capacity(ops.len()), 0, position);
    for op in ops {
        gap += op.gap;
        if op.copy_len() < least {
            gap += op.copy_len();
        } else {
            at = op.copy.end;
            kept.push(Op { gap: std::mem::take(&mut gap), copy: op.copy.clone(), substituted: false });
        }
    }
    if gap != 0 {
        kept.push(Op { gap, copy: at..at, substituted: false });
    }
    kept
}

/// How many bytes of a region are new.
pub(crate) fn gap_bytes(ops: &[Op]) -> u64 {
    ops.iter().map(|op| op.gap).sum()
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;

    fn sample() -> Vec<Op> {
        vec![
            Op { gap: 0, copy: 5..9, substituted: false },
            Op { gap: 300, copy: 0..70, substituted: false },
            Op { gap: 2, copy: 80..81, substituted: false },
        ]
    }

    #[test]
    fn ops_go_both_ways() {
        let bytes = encode(&sample(), 3);
        assert_eq!(decode(&bytes, 377, 3, 81), Ok(sample()));
        let mut with_rest = sample();
        with_rest.push(Op { gap: 23, copy: 81..81, substituted: false });
        assert_eq!(encode(&with_rest, 3), bytes);
        assert_eq!(decode(&bytes, 400, 3, 81), Ok(with_rest));
    }

    #[test]
    fn short_copies_become_new_bytes() {
        let kept =
            vec![Op { gap: 304, copy: 0..70, substituted: false }, Op { gap: 3, copy: 70..70, substituted: false }];
        assert_eq!(without_short(&sample(), 5, 3), kept);
        assert_eq!(without_short(&sample(), 71, 3), vec![Op { gap: 377, copy: 3..3, substituted: false }]);
    }

    #[test]
    fn ops_that_do_not_fit_their_region_are_refused() {
        let bytes = encode(&sample(), 3);
        assert!(matches!(decode(&bytes, 376, 3, 81), Err(DecodeError::BadOps { .. })));
        let outside = DecodeError::CopyOutsideBasis { start: 80, len: 1, basis: 80 };
        assert_eq!(decode(&bytes, 377, 3, 80), Err(outside));
        assert!(matches!(decode(&[0x7f, 0, 1, 0], 9, 0, 9), Err(DecodeError::BadOps { .. })));
        assert!(matches!(decode(&[1, 0, 0, 0], 9, 0, 9), Err(DecodeError::BadOps { .. })));
        for len in 1..bytes.len() {
            assert!(decode(&bytes[..len], 377, 3, 81).is_err());
        }
    }
}
