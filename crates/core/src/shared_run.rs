//! Runs of bytes that the basis and the target share.

use std::ops::Range;

/// A range of the target whose bytes are also in the basis, and where they begin in the basis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedRun {
    pub(crate) target: Range<u64>,
    pub(crate) basis: u64,
}

impl SharedRun {
    /// The basis position after the run.
    pub(crate) fn basis_end(&self) -> u64 {
        self.basis + (self.target.end - self.target.start)
    }
}
