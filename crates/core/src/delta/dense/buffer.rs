//! The buffer of a dense region: a margin, the window, and the target as far as it is known.

/// Zero bytes before the window, so that every byte has some bytes before it.
pub(super) const MARGIN: usize = 16;

/// A buffer that holds the margin and has room for a window and for `span` bytes of the target.
pub(super) fn buffer(window: usize, span: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(MARGIN + window + span);
    buffer.resize(MARGIN, 0);
    buffer
}
