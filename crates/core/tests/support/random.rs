//! Random bytes for tests, the same in each run.
#![allow(dead_code, unreachable_pub)]

/// Random bytes. Each number gives other bytes.
pub fn random_bytes(number: u64, len: usize) -> Vec<u8> {
    random_bytes_from(number.wrapping_mul(2) | 1, len)
}

/// Random bytes from an alphabet.
pub fn random_text(number: u64, len: usize, alphabet: &[u8]) -> Vec<u8> {
    random_bytes(number, len).into_iter().map(|byte| alphabet[usize::from(byte) % alphabet.len()]).collect()
}

/// The high bytes of the generator xorshift64* (Vigna 2016), from a state that is not 0. spec/vectors.json names random
/// bytes by this state.
pub fn random_bytes_from(state: u64, len: usize) -> Vec<u8> {
    let mut random = Random { state };
    (0..len).map(|_| (random.next() >> 56) as u8).collect()
}

/// Random numbers by that generator.
pub struct Random {
    state: u64,
}

impl Random {
    /// Each number gives others.
    pub fn new(number: u64) -> Random {
        Random { state: number.wrapping_mul(2) | 1 }
    }

    /// A number that is smaller than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize) % end
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
