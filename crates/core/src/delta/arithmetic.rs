//! An arithmetic coder of binary decisions (Witten, Neal and Cleary 1987, in the carryless form of Mahoney's lpaq).

/// Writes or reads decisions. A model runs the same code on both sides.
pub(crate) trait DecisionCoder {
    /// Codes one decision that is true with this probability, in 65,536ths. A writer writes `bit`. A reader ignores
    /// `bit` and returns the decision that it reads.
    fn code(&mut self, probability: u16, bit: bool) -> bool;
}

/// The numbers that the decisions so far have left possible, both ends included.
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const ALL: Interval = Interval { low: 0, high: u32::MAX };

    /// The greatest number that means a 1, if a 1 has this probability.
    #[inline]
    fn middle(&self, probability: u16) -> u32 {
        self.low + ((u64::from(self.high - self.low) * u64::from(probability)) >> 16) as u32
    }

    /// Keeps the part that the decision `bit` leaves.
    #[inline]
    fn narrow(&mut self, middle: u32, bit: bool) {
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
    }

    /// Drops the highest byte if all numbers share it, and returns it.
    #[inline]
    fn shift(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let byte = (self.high >> 24) as u8;
        (self.low, self.high) = (self.low << 8, self.high << 8 | 0xff);
        Some(byte)
    }
}

/// Writes decisions.
#[cfg(feature = "encode")]
pub(crate) struct DecisionWriter {
    interval: Interval,
    out: Vec<u8>,
}

#[cfg(feature = "encode")]
impl DecisionWriter {
    pub(crate) fn new() -> DecisionWriter {
        DecisionWriter { interval: Interval::ALL, out: Vec::new() }
    }

    /// The shortest bytes from which a reader, which reads zeros after the end, reads all decisions.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // The fewest leading bytes of a number between low and high, with zeros after them.
        let ending = (0..4).find_map(|bytes| {
            let unit = 1u64 << (32 - 8 * bytes);
            let value = u64::from(self.interval.low).next_multiple_of(unit);
            (value <= u64::from(self.interval.high)).then_some((bytes, value as u32))
        });
        let (bytes, value) = ending.unwrap_or((4, self.interval.low));
        self.out.extend_from_slice(&value.to_be_bytes()[..bytes]);
        self.out
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }
}

#[cfg(feature = "encode")]
impl DecisionCoder for DecisionWriter {
    #[inline]
    fn code(&mut self, probability: u16, bit: bool) -> bool {
        self.interval.narrow(self.interval.middle(probability), bit);
        while let Some(byte) = self.interval.shift() {
            self.out.push(byte);
        }
        bit
    }
}

/// Reads decisions. It reads zeros after the end, since a writer omits up to four bytes.
pub(crate) struct DecisionReader {
    packed: Vec<u8>,
    at: usize,
    interval: Interval,
    value: u32,
}

impl DecisionReader {
    pub(crate) fn new(packed: Vec<u8>) -> DecisionReader {
        let mut reader = DecisionReader { packed, at: 0, interval: Interval::ALL, value: 0 };
        (0..4).for_each(|_| reader.take_byte());
        reader
    }

    /// Whether the reader has read more than a writer omits.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.packed.len() + 4 < self.at
    }

    /// Whether all bytes have been read.
    pub(crate) fn is_spent(&self) -> bool {
        self.packed.len() <= self.at
    }

    fn take_byte(&mut self) {
        self.value = self.value << 8 | u32::from(self.packed.get(self.at).copied().unwrap_or(0));
        self.at += 1;
    }
}

impl DecisionCoder for DecisionReader {
    #[inline]
    fn code(&mut self, probability: u16, _: bool) -> bool {
        let middle = self.interval.middle(probability);
        let bit = self.value <= middle;
        self.interval.narrow(middle, bit);
        while self.interval.shift().is_some() {
            self.take_byte();
        }
        bit
    }
}
