//! Tokens.

/// Longer words are copied as they are; what a word became must be as short.
pub(super) const MAX_WORD_LEN: usize = 7;
/// A number is that many bytes at most.
pub(super) const MAX_NUMBER_LEN: usize = 5;
/// What is renamed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// Runs of at most seven of `A–Z a–z 0–9 _ $`.
    Words,
    /// LEB128 of two to five bytes.
    Numbers,
}
