//! Prefixes: the basis bytes under which zstd compresses a region's new bytes. They lie near the gaps, and both sides
//! find them from the ops alone.

use std::ops::Range;

use crate::delta::error::{DecodeError, Limit};
use crate::delta::format::{MAX_PREFIX, MAX_REACH};
use crate::delta::ops::Op;

/// The most bytes that the length of a gap adds to the reach.
const MAX_GAP_REACH: u64 = 1 << 16;

/// The first byte of a prefix, before the basis bytes. It keeps zstd from taking the prefix for a formatted dictionary.
pub(crate) const PREFIX_START: u8 = 0;

/// The ranges of the basis that make up the region's prefix, in ascending order and without overlap.
///
/// `position` is the basis position before the region's first op.
pub(crate) fn ranges(ops: &[Op], position: u64, basis_len: u64, reach: u64) -> Result<Vec<Range<u64>>, DecodeError> {
    Limit::Reach.check(reach, MAX_REACH)?;
    if reach == 0 {
        return Ok(Vec::new());
    }
    let mut ranges = Vec::new();
    let mut before = position;
    for op in ops {
        if op.gap != 0 {
            let width = reach + op.gap.min(MAX_GAP_REACH);
            let around = |at: u64| at.saturating_sub(width).min(basis_len)..(at + width).min(basis_len);
            ranges.push(around(before));
            if !op.copy.is_empty() {
                ranges.push(around(op.copy.start));
            }
        }
        before = op.copy.end;
    }
    let united = unite(ranges);
    let total = united.iter().map(|range| range.end - range.start).sum();
    Limit::Prefix.check(total, MAX_PREFIX)?;
    Ok(united)
}

fn unite(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lie_around_both_ends_of_each_gap() {
        let ops = [
            Op { gap: 10, copy: 500..600, substituted: false },
            Op { gap: 0, copy: 900..950, substituted: false },
            Op { gap: 4, copy: 950..950, substituted: false },
        ];
        assert_eq!(ranges(&ops, 100, 952, 20), Ok(vec![70..130, 470..530, 926..952]));
        assert_eq!(ranges(&ops, 100, 952, 0), Ok(vec![]));
        assert_eq!(ranges(&ops, 100, 0, 20), Ok(vec![]));
    }

    #[test]
    fn a_reach_or_prefix_beyond_the_limit_is_refused() {
        let ops: Vec<Op> = (0..9).map(|i| Op { gap: 1, copy: i << 21..(i << 21) + 1, substituted: false }).collect();
        let over = ranges(&ops, 0, 1 << 40, MAX_REACH).unwrap_err();
        assert_eq!(over.reason(), "limit-reference");
        assert_eq!(ranges(&ops, 0, 1 << 40, MAX_REACH + 1).unwrap_err().reason(), "limit-reach");
    }
}
