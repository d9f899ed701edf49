//! Probabilities that adapt, and numbers that are coded with them. All of it uses integers, so every machine computes
//! the same bits.

use crate::delta::arithmetic::DecisionCoder;

/// 131,072 / (2n + 3): how far the n-th observation moves a probability, in 65,536ths.
pub(crate) const RATES: [i32; 256] = {
    let mut rates = [0; 256];
    let mut n = 0;
    while n < 256 {
        rates[n] = 131_072 / (2 * n as i32 + 3);
        n += 1;
    }
    rates
};

/// After this many observations, a probability adapts at a constant rate.
const STEADY: u32 = 250;

/// An adaptive probability: 22 bits of probability, then 10 bits that count the observations.
#[derive(Clone, Copy)]
pub(crate) struct Counter(u32);

impl Counter {
    /// A counter that has observed nothing: the probability is one half.
    pub(crate) const EVEN: Counter = Counter(1 << 31);

    #[cfg(feature = "dense")]
    pub(crate) fn at(probability: u16) -> Counter {
        Counter(u32::from(probability) << 16)
    }

    /// The probability in 65,536ths.
    #[inline]
    pub(crate) fn probability(self) -> u32 {
        self.0 >> 16
    }

    /// Moves the probability towards the observed bit. The steps shrink until the `limit`-th observation.
    #[inline]
    pub(crate) fn learn(&mut self, bit: bool, limit: u32) {
        let (p, n) = ((self.0 >> 10) as i32, self.0 & 1023);
        let wanted = if bit { (1 << 22) - 1 } else { 0 };
        let p = p + ((i64::from(wanted - p) * i64::from(RATES[n as usize & 255])) >> 16) as i32;
        self.0 = (p as u32) << 10 | if n < limit { n + 1 } else { n };
    }

    /// Codes one decision and learns it.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl DecisionCoder, bit: bool) -> bool {
        self.code_until(coder, bit, STEADY)
    }

    /// Codes one decision and learns it; the steps shrink until the `limit`-th observation.
    #[inline]
    pub(crate) fn code_until(&mut self, coder: &mut impl DecisionCoder, bit: bool, limit: u32) -> bool {
        let bit = coder.code(self.probability().clamp(32, 65_504) as u16, bit);
        self.learn(bit, limit);
        bit
    }
}

/// Codes some bits, the highest first, each with a counter of its own for the bits before it.
pub(crate) fn code_tree(
    coder: &mut impl DecisionCoder,
    counters: &mut [Counter],
    bits: u32,
    wanted: usize,
    limit: u32,
) -> usize {
    let mut node = 1;
    for at in (0..bits).rev() {
        let bit = counters[node].code_until(coder, wanted >> at & 1 == 1, limit);
        node = node << 1 | usize::from(bit);
    }
    node ^ 1 << bits
}

/// Codes numbers below 2^32 - 1, in several contexts. The length of the number plus one and its next three binary
/// digits are adaptive; the other digits are not.
pub(crate) struct NumberCoder {
    lens: Vec<Counter>,
    digits: Vec<Counter>,
}

impl NumberCoder {
    pub(crate) fn new(contexts: usize) -> NumberCoder {
        NumberCoder { lens: vec![Counter::EVEN; contexts << 5], digits: vec![Counter::EVEN; contexts << 8] }
    }

    pub(crate) fn code(&mut self, coder: &mut impl DecisionCoder, context: usize, number: u32) -> u32 {
        let size = number.wrapping_add(1);
        let mut node = 1;
        for at in (0..5).rev() {
            let bit = self.lens[context << 5 | node].code(coder, size.checked_ilog2().unwrap_or(0) >> at & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        let len = node as u32 & 31;
        let mut value = 1u32;
        for at in (0..len).rev() {
            let wanted = size >> at & 1 == 1;
            let bit = if len - at <= 3 {
                self.digits[context << 8 | (len as usize) << 3 | value as usize & 7].code(coder, wanted)
            } else {
                coder.code(32_768, wanted)
            };
            value = value << 1 | u32::from(bit);
        }
        value - 1
    }
}

/// Mixes the bits of two numbers.
#[inline]
pub(crate) fn hash(a: u32, b: u32) -> u32 {
    let mixed = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77).rotate_left(13);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae3d);
    mixed ^ mixed >> 13
}
