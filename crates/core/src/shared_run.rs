//! A run of bytes that two files share.

use std::ops::Range;

/// A run of the head that stands in the basis too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedRun {
    pub(crate) target: Range<u64>,
    pub(crate) basis: u64,
}

impl SharedRun {
    /// Where it ends in the basis.
    pub(crate) fn basis_end(&self) -> u64 {
        self.basis + (self.target.end - self.target.start)
    }
}
