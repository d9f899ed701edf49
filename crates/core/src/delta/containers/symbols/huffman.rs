//! Huffman codes.

/// The longest code, in bits.
pub(super) const MAX_BITS: usize = 15;
/// The lengths of the fixed codes: so many symbols each, and how many bits their codes have.
const FIXED_LITERALS: [(usize, u8); 4] = [(144, 8), (112, 9), (24, 7), (8, 8)];
const FIXED_DISTANCES: [u8; 30] = [5; 30];

/// A Huffman code.
pub(super) struct Code {
    /// For each symbol its bits, the first of them lowest, and how many they are.
    pub(super) words: Vec<(u16, u8)>,
    /// For all bits that may come next, the symbol, and how many bits it has; 0 if there is none.
    pub(super) table: Vec<(u16, u8)>,
    /// log2 of the table's length.
    pub(super) bits: u32,
}

impl Code {
    /// The code whose words have these lengths, by RFC 1951, section 3.2.2. `None` if there are too many words.
    pub(super) fn new(lens: &[u8]) -> Option<Code> {
        let bits = lens.iter().copied().max().unwrap_or(0).max(1);
        let (mut words, mut table) = (vec![(0, 0); lens.len()], vec![(0, 0); 1 << bits]);
        let mut next = 0_u32;
        for len in 1..=bits {
            next <<= 1;
            for (symbol, _) in lens.iter().enumerate().filter(|(_, this)| **this == len) {
                if 1 << len <= next {
                    return None;
                }
                let word = (next as u16).reverse_bits() >> (16 - u32::from(len));
                words[symbol] = (word, len);
                table[usize::from(word)..].iter_mut().step_by(1 << len).for_each(|place| *place = (symbol as u16, len));
                next += 1;
            }
        }
        Some(Code { words, table, bits: bits.into() })
    }
}

pub(super) fn fixed_codes() -> (Code, Code) {
    let literals: Vec<u8> = FIXED_LITERALS.iter().flat_map(|(count, len)| std::iter::repeat_n(*len, *count)).collect();
    let code = |lens: &[u8]| Code::new(lens).unwrap_or(Code { words: Vec::new(), table: vec![(0, 0)], bits: 0 });
    (code(&literals), code(&FIXED_DISTANCES))
}
