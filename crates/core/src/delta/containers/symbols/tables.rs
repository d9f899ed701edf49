//! The tables of deflate: RFC 1951, section 3.2.

use super::huffman::MAX_BITS;

/// The symbol that ends a block.
pub(super) const END: u16 = 256;
/// The longest match.
pub(super) const LONGEST: u16 = 258;
/// The order in which a block has the lengths of the codes of its code lengths.
pub(super) const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The shortest match of each length symbol above [`END`], and how many further bits say how much longer it is.
pub(super) const LENGTHS: [(u16, u32); 29] =
    with_extra_bits([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0], 3);
/// The same for distances.
pub(super) const DISTANCES: [(u16, u32); 30] = with_extra_bits(
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13],
    1,
);

/// How a block is encoded.
pub(super) const STORED: u8 = 0;
pub(super) const FIXED_CODES: u8 = 1;
pub(super) const DYNAMIC_CODES: u8 = 2;

const fn with_extra_bits<const N: usize>(bits: [u32; N], first: u16) -> [(u16, u32); N] {
    let (mut table, mut base, mut at) = ([(0, 0); N], first, 0);
    while at < N {
        table[at] = (base, bits[at]);
        base += 1 << bits[at];
        at += 1;
    }
    // The longest match has a symbol of its own.
    if N == 29 {
        table[28] = (LONGEST, 0);
    }
    table
}

/// How many further bits a symbol of code lengths has, and how often the length is repeated besides what they say.
pub(super) fn repeats_of(symbol: u8) -> (u32, usize) {
    match symbol {
        16 => (2, 3),
        17 => (3, 3),
        18 => (7, 11),
        _ => (0, 1),
    }
}

/// The code length that such a symbol stands for, after these; `None` if there is no such symbol.
pub(super) fn length_of(symbol: u8, before: &[u8]) -> Option<u8> {
    match symbol {
        16 => before.last().copied(),
        17 | 18 => Some(0),
        len => (usize::from(len) <= MAX_BITS).then_some(len),
    }
}
