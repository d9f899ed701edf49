//! Tokens: the words or numbers that can be replaced in a substituted copy.

/// Longer words are never replaced. A word can only be replaced by one that is as short.
pub(super) const MAX_WORD_LEN: usize = 7;
/// The most bytes of a number.
pub(super) const MAX_NUMBER_LEN: usize = 5;
/// The tokens of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// Runs of at most seven bytes of `A–Z a–z 0–9 _ $`.
    Words,
    /// LEB128 numbers of two to five bytes.
    Numbers,
}
