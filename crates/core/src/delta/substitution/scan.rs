//! Finds tokens, eight bytes at a time. A loop over single bytes would mispredict a branch at almost every token.

use std::ops::Range;

use super::token::{MAX_NUMBER_TOKEN, MAX_WORD_TOKEN, TokenKind};

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;
/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Iterates over the tokens of some bytes.
pub(super) struct TokenScan<'a> {
    tokens: TokenKind,
    bytes: &'a [u8],
    at: usize,
    /// The index of the current 64 bytes, and a bit for each of them at which a token can begin.
    block: usize,
    mask: u64,
}

impl<'a> TokenScan<'a> {
    pub(super) fn new(tokens: TokenKind, bytes: &'a [u8]) -> TokenScan<'a> {
        let mask = mask(tokens, bytes, 0);
        TokenScan { tokens, bytes, at: 0, block: 0, mask }
    }

    /// The first position from `at` on whose bit is set, or is not set.
    #[inline]
    fn find(&mut self, mut at: usize, set: bool) -> Option<usize> {
        while at < self.bytes.len() {
            if self.block != at / 64 {
                self.block = at / 64;
                self.mask = mask(self.tokens, self.bytes, self.block);
            }
            let wanted = if set { self.mask } else { !self.mask } >> (at % 64);
            if wanted != 0 {
                return Some(at + wanted.trailing_zeros() as usize).filter(|at| *at < self.bytes.len());
            }
            at = (self.block + 1) * 64;
        }
        None
    }
}

impl Iterator for TokenScan<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.find(self.at, true)?;
            let (end, is_token) = match self.tokens {
                TokenKind::Words => {
                    let end = self.find(start, false).unwrap_or(self.bytes.len());
                    (end, end - start <= MAX_WORD_TOKEN)
                }
                TokenKind::Numbers => match leading(eight(&self.bytes[start..]) & HIGH) {
                    high if high < MAX_NUMBER_TOKEN.min(self.bytes.len() - start) => (start + high + 1, true),
                    _ => (start + 1, false),
                },
            };
            self.at = end;
            if is_token {
                return Some(start..end);
            }
        }
    }
}

/// A bit for each of 64 bytes at which a token can begin; zeros after the end.
#[inline(never)]
fn mask(tokens: TokenKind, bytes: &[u8], block: usize) -> u64 {
    let bytes = bytes.get(block * 64..).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(64)];
    bytes.chunks(8).rev().fold(0, |mask, bytes| {
        let eight = eight(bytes);
        let flags = if tokens == TokenKind::Words { word_flags(eight) } else { eight & HIGH };
        mask << 8 | gather(flags)
    })
}

/// The eight flags as the bits of one byte.
#[inline]
fn gather(flags: u64) -> u64 {
    flags.wrapping_mul(0x0002_0408_1020_4081) >> 56
}

/// How many flags are set, from the lowest byte on.
#[inline]
fn leading(flags: u64) -> usize {
    (!flags & HIGH).trailing_zeros() as usize / 8
}

/// The bytes of a token, the first byte lowest. A token has at most seven bytes.
#[inline]
pub(super) fn text(bytes: &[u8], token: Range<usize>) -> u64 {
    eight(&bytes[token.start..]) & ((1 << (8 * token.len())) - 1)
}

/// Eight bytes, the first byte lowest; zeros after the end.
#[inline]
pub(super) fn eight(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => fewer(bytes),
    }
}

#[cold]
fn fewer(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |text, byte| text << 8 | u64::from(*byte))
}

/// Sets a flag in each byte of `A–Z a–z 0–9 _ $`.
#[inline]
fn word_flags(eight: u64) -> u64 {
    let low = eight & !HIGH;
    // The sums have seven bits each, so none carries into the next byte.
    let from = |bytes: u64, least: u8| bytes + u64::from(0x80 - least) * ONES;
    let within = |bytes: u64, least: u8, most: u8| from(bytes, least) & !from(bytes, most + 1);
    let lower = low | (0x20 * ONES);
    let words = within(lower, b'a', b'z') | within(low, b'0', b'9') | within(low, b'_', b'_') | within(low, b'$', b'$');
    words & !eight & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::words::is_word_byte;

    /// Finds the tokens byte by byte.
    fn slowly(tokens: TokenKind, bytes: &[u8]) -> Vec<Range<usize>> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let run = |is_so: fn(u8) -> bool| bytes[at..].iter().take_while(|byte| is_so(**byte)).count();
            let (len, is_token) = match tokens {
                TokenKind::Words if is_word_byte(bytes[at]) => (run(is_word_byte), run(is_word_byte) <= MAX_WORD_TOKEN),
                TokenKind::Numbers if 0x80 <= bytes[at] => match run(|byte| 0x80 <= byte) {
                    high if high < MAX_NUMBER_TOKEN && at + high < bytes.len() => (high + 1, true),
                    _ => (1, false),
                },
                _ => (1, false),
            };
            if is_token {
                found.push(at..at + len);
            }
            at += len;
        }
        found
    }

    fn agree(bytes: &[u8]) {
        for tokens in [TokenKind::Words, TokenKind::Numbers] {
            let found: Vec<Range<usize>> = TokenScan::new(tokens, bytes).collect();
            assert_eq!(found, slowly(tokens, bytes), "{tokens:?} in {bytes:?}");
            for token in found {
                assert_eq!(text(bytes, token.clone()).to_le_bytes()[..token.len()], bytes[token]);
            }
        }
    }

    #[test]
    fn every_byte_is_classified() {
        for byte in 0..=255 {
            for other in [b'a', b' ', 0x80, 0] {
                agree(&[byte, other, byte, byte, other, other, other, byte, byte, other, byte]);
            }
        }
    }

    #[test]
    fn runs_of_all_lengths_have_the_right_end() {
        for before in 0..70 {
            for len in (0..12).chain(60..70) {
                for byte in [b'x', 0x80] {
                    let bytes = [vec![b' '; before], vec![byte; len]].concat();
                    agree(&bytes);
                    agree(&[&bytes[..], b" xy\x81 "].concat());
                }
            }
        }
        agree(&[]);
    }
}
