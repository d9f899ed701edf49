//! Which pages of the window the model primes: those in which misses happen.

use std::ops::Range;

/// The number of bytes that are primed together.
pub(super) const PAGE: usize = 4096;

pub(crate) struct PrimedPages {
    shown: Vec<bool>,
    left: u32,
}

impl PrimedPages {
    /// For a window of `len` bytes, of which at most `left` pages are primed.
    pub(crate) fn new(len: usize, left: u32) -> PrimedPages {
        PrimedPages { shown: vec![false; len / PAGE + 1], left }
    }

    /// Notes a miss at a window position. Returns its page if the page is to be primed.
    pub(crate) fn miss(&mut self, at: usize) -> Option<Range<usize>> {
        let page = at / PAGE;
        if self.left == 0 || self.shown[page] {
            return None;
        }
        self.shown[page] = true;
        self.left -= 1;
        Some(page * PAGE..(page + 1) * PAGE)
    }
}
