//! Tokens: the words or numbers that can be replaced in a substituted copy.

/// The length in bytes of the longest word that is a token, and of the longest word that can replace it.
pub(super) const MAX_WORD_TOKEN: usize = 7;
/// The length in bytes of the longest number that is a token.
pub(super) const MAX_NUMBER_TOKEN: usize = 5;

/// After this many observations, the probability of a bit of a letter, or of a byte's difference, adapts at a constant rate.
pub(super) const LETTER_LIMIT: u32 = 30;
/// The highest confidence of an entry in a table of what something became. Two bits hold it.
pub(super) const MAX_CONFIDENCE: usize = 3;

/// The tokens of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// Runs of at most seven bytes of `A–Z a–z 0–9 _ $`.
    Words,
    /// LEB128 numbers of two to five bytes. Any byte between them can change too.
    Numbers,
}
