//! Which pages of the window are shown to the literals' contexts: those that misses fall into.

use std::ops::Range;

const PAGE: usize = 4096;

pub(crate) struct Pages {
    shown: Vec<bool>,
    left: u32,
}

impl Pages {
    /// For a window of `len` bytes, of which `left` pages may be shown.
    pub(crate) fn new(len: usize, left: u32) -> Pages {
        Pages { shown: vec![false; len / PAGE + 1], left }
    }

    /// Notes a miss at a position; gives its page when it is to be shown.
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
