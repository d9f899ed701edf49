//! Bytes made.

use std::ops::Range;

use super::token::TokenKind;

/// What followed bytes became.
#[derive(Default)]
pub(crate) struct SubstitutedBytes {
    pub(crate) bytes: Vec<u8>,
    /// Which of them wait for their differences: all that are not of tokens, where tokens are numbers.
    pub(crate) plain: Vec<Range<usize>>,
    /// Bytes that are as they were.
    pub(crate) kept: u64,
}

impl SubstitutedBytes {
    /// Bytes of no token.
    #[inline]
    pub(super) fn plain(&mut self, bytes: &[u8], tokens: TokenKind) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.kept += bytes.len() as u64;
        if tokens == TokenKind::Numbers && !bytes.is_empty() {
            match self.plain.last_mut() {
                Some(last) if last.end == start => last.end += bytes.len(),
                _ => self.plain.push(start..start + bytes.len()),
            }
        }
    }
}
