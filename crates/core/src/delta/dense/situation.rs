//! What the model knows around the next byte.

use crate::delta::adaptive::hash;
use crate::delta::words::is_word_byte;

/// The hash of the target's current word after one more byte; 0 between words.
pub(super) fn extend_word_hash(word: u32, byte: u8) -> u32 {
    if is_word_byte(byte) { hash(word.wrapping_add(1), u32::from(byte)) } else { 0 }
}

/// The hash of the last `len` bytes, at most four.
#[inline]
pub(super) fn last_bytes_hash(len: u32, last4: u32) -> u32 {
    hash(16 + len, last4 & (u32::MAX >> (32 - 8 * len)))
}

/// What surrounds the next byte.
pub(super) struct Situation {
    /// The predicted byte.
    pub(super) expected: u8,
    /// Why the byte is predicted.
    pub(super) kind: u8,
    /// The recalled byte.
    pub(super) recalled: Option<u8>,
    /// 0 if nothing was recalled, 1 if the recalled byte is the predicted byte, 2 if it is another.
    pub(super) agreement: u32,
    /// Bytes of the current word so far.
    pub(super) word_bytes: u32,
    /// Whether the pointer is in a word.
    pub(super) in_word: bool,
    /// The window's byte at the pointer, and its neighbours.
    pub(super) at_byte: u8,
    pub(super) after_byte: u8,
    pub(super) before_byte: u8,
    /// The last four bytes of the target, the latest lowest.
    pub(super) last4: u32,
}
