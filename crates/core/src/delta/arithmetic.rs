//! An arithmetic coder of binary decisions (Witten, Neal and Cleary 1987, in the carryless form of Mahoney's lpaq).

/// Writes or reads decisions. A model runs the same code on both sides.
pub(crate) trait DecisionCoder {
    /// Codes one decision that is true with this probability, in 65,536ths. A writer writes `bit`. A reader ignores
    /// `bit` and returns the decision that it reads.
    fn code(&mut self, probability: u16, bit: bool) -> bool;
}

fn split(low: u32, high: u32, probability: u16) -> u32 {
    low + ((u64::from(high - low) * u64::from(probability)) >> 16) as u32
}

/// Writes decisions.
#[cfg(feature = "encode")]
pub(crate) struct DecisionWriter {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

#[cfg(feature = "encode")]
impl DecisionWriter {
    pub(crate) fn new() -> DecisionWriter {
        DecisionWriter { low: 0, high: u32::MAX, out: Vec::new() }
    }

    /// The shortest bytes from which a reader, which reads zeros after the end, reads all decisions.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // The fewest leading bytes of a number between low and high, with zeros after them.
        let ending = (0..4).find_map(|bytes| {
            let unit = 1u64 << (32 - 8 * bytes);
            let value = u64::from(self.low).next_multiple_of(unit);
            (value <= u64::from(self.high)).then_some((bytes, value as u32))
        });
        let (bytes, value) = ending.unwrap_or((4, self.low));
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
        let middle = split(self.low, self.high, probability);
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }
}

/// Reads decisions. It reads zeros after the end, since a writer omits up to four bytes.
pub(crate) struct DecisionReader {
    packed: Vec<u8>,
    at: usize,
    low: u32,
    high: u32,
    value: u32,
}

impl DecisionReader {
    pub(crate) fn new(packed: Vec<u8>) -> DecisionReader {
        let mut reader = DecisionReader { packed, at: 0, low: 0, high: u32::MAX, value: 0 };
        (0..4).for_each(|_| reader.shift());
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

    fn shift(&mut self) {
        self.value = self.value << 8 | u32::from(self.packed.get(self.at).copied().unwrap_or(0));
        self.at += 1;
    }
}

impl DecisionCoder for DecisionReader {
    #[inline]
    fn code(&mut self, probability: u16, _: bool) -> bool {
        let middle = split(self.low, self.high, probability);
        let bit = self.value <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.shift();
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }
}
