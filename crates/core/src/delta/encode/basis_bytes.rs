//! The bytes of a basis.

use std::ops::Range;

use crate::shared_run::SharedRun;

/// A basis that the encoder can read.
pub(super) enum BasisBytes<'a> {
    /// The bytes themselves.
    Whole(&'a [u8]),
    /// A basis of matched chunks. Its bytes are read from the target, where the same chunks are.
    Matched { layout: &'a [SharedRun], target: &'a [u8] },
}

impl BasisBytes<'_> {
    pub(super) fn len(&self) -> u64 {
        match self {
            BasisBytes::Whole(bytes) => bytes.len() as u64,
            BasisBytes::Matched { layout, .. } => layout.last().map_or(0, SharedRun::basis_end),
        }
    }

    /// Appends a range of the basis to `out`.
    pub(super) fn append(&self, range: Range<u64>, out: &mut Vec<u8>) {
        match self {
            BasisBytes::Whole(bytes) => out.extend_from_slice(&bytes[range.start as usize..range.end as usize]),
            BasisBytes::Matched { layout, target } => {
                let first = layout.partition_point(|run| run.basis_end() <= range.start);
                for run in layout[first..].iter().take_while(|run| run.basis < range.end) {
                    let from = run.target.start + range.start.saturating_sub(run.basis);
                    let to = run.target.end - run.basis_end().saturating_sub(range.end);
                    out.extend_from_slice(&target[from as usize..to as usize]);
                }
            }
        }
    }
}
