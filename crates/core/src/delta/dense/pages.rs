//! Which pages of the window are shown to the literals' contexts: those that misses fall into.

use std::ops::Range;

const PAGE: usize = 1024;
/// Misses after which a page is shown.
const MISSES: u8 = 2;

pub(crate) struct Pages {
    misses: Vec<u8>,
    left: u32,
}

impl Pages {
    /// For a window of `len` bytes, of which `left` pages may be shown.
    pub(crate) fn new(len: usize, left: u32) -> Pages {
        Pages { misses: vec![0; len / PAGE + 1], left }
    }

    /// Notes a miss at a position; gives its page when it is to be shown.
    pub(crate) fn miss(&mut self, at: usize) -> Option<Range<usize>> {
        let misses = &mut self.misses[at / PAGE];
        if self.left == 0 || MISSES <= *misses {
            return None;
        }
        *misses += 1;
        if *misses < MISSES {
            return None;
        }
        self.left -= 1;
        let start = at / PAGE * PAGE;
        Some(start..start + PAGE)
    }
}
