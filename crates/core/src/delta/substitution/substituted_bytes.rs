//! The bytes that a substituted copy makes.

use std::ops::Range;

use super::token::TokenKind;

/// The bytes of a substituted copy.
#[derive(Default)]
pub(crate) struct SubstitutedBytes {
    pub(crate) bytes: Vec<u8>,
    /// The ranges that wait for their differences: if tokens are numbers, all bytes outside of tokens.
    pub(crate) plain: Vec<Range<usize>>,
    /// How many bytes are equal to the basis.
    pub(crate) kept: u64,
}

impl SubstitutedBytes {
    /// Appends bytes that are not part of a token.
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
