//! A run of bytes that two files share.

use std::ops::Range;

/// A run of the head that stands in the basis too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Copy {
    pub(crate) head: Range<u64>,
    pub(crate) basis: u64,
}

impl Copy {
    /// Where it ends in the basis.
    pub(crate) fn basis_end(&self) -> u64 {
        self.basis + (self.head.end - self.head.start)
    }
}
