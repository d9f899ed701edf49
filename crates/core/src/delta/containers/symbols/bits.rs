//! Bits in the order in which deflate has them.

use super::huffman::{Code, MAX_BITS};

pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The bytes that were taken.
    at: usize,
    /// Bits of them that were not read, the next one lowest, and how many they are.
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0, held: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 56
            && let Some(byte) = self.bytes.get(self.at)
        {
            self.held |= u64::from(*byte) << self.count;
            self.count += 8;
            self.at += 1;
        }
    }

    pub(super) fn take(&mut self, bits: u32) -> Option<u32> {
        if self.count < bits {
            self.fill();
        }
        let taken = self.held & ((1 << bits) - 1);
        self.drop(bits)?;
        Some(taken as u32)
    }

    fn drop(&mut self, bits: u32) -> Option<()> {
        self.count = self.count.checked_sub(bits)?;
        self.held >>= bits;
        Some(())
    }

    pub(super) fn symbol(&mut self, code: &Code) -> Option<u16> {
        if self.count < MAX_BITS as u32 {
            self.fill();
        }
        let (symbol, len) = code.table[(self.held & ((1 << code.bits) - 1)) as usize];
        self.drop(len.into())?;
        (len != 0).then_some(symbol)
    }

    /// Goes on at the next whole byte. `None` if bits before it are set.
    pub(super) fn skip_to_byte(&mut self) -> Option<()> {
        let skipped = self.take(self.count % 8)?;
        self.at -= self.count as usize / 8;
        (self.held, self.count) = (0, 0);
        (skipped == 0).then_some(())
    }

    /// The bytes of a stored block.
    pub(super) fn stored(&mut self) -> Option<&'a [u8]> {
        self.skip_to_byte()?;
        let [low, high, not_low, not_high] = *self.bytes.get(self.at..)?.first_chunk::<4>()?;
        let len = u16::from_le_bytes([low, high]);
        if len != !u16::from_le_bytes([not_low, not_high]) {
            return None;
        }
        let begin = self.at + 4;
        self.at = begin + usize::from(len);
        self.bytes.get(begin..self.at)
    }

    /// The number of bytes that were read.
    pub(super) fn end(mut self) -> Option<usize> {
        self.skip_to_byte()?;
        Some(self.at)
    }
}

pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Bits that make no whole byte yet, the first one lowest, and how many they are.
    held: u64,
    count: u32,
    limit: usize,
}

impl BitWriter {
    /// A writer of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> BitWriter {
        BitWriter { out: Vec::new(), held: 0, count: 0, limit }
    }

    pub(super) fn put(&mut self, value: u32, bits: u32) -> Option<()> {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        while 8 <= self.count {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
        (self.out.len() <= self.limit).then_some(())
    }

    pub(super) fn symbol(&mut self, code: &Code, symbol: u16) -> Option<()> {
        let (word, len) = *code.words.get(usize::from(symbol)).filter(|(_, len)| *len != 0)?;
        self.put(word.into(), len.into())
    }

    pub(super) fn fill_byte(&mut self) -> Option<()> {
        self.put(0, (8 - self.count) % 8)
    }

    pub(super) fn put_stored(&mut self, bytes: &[u8]) -> Option<()> {
        let len = u16::try_from(bytes.len()).ok()?;
        self.fill_byte()?;
        self.out.extend_from_slice(&len.to_le_bytes());
        self.out.extend_from_slice(&(!len).to_le_bytes());
        self.out.extend_from_slice(bytes);
        (self.out.len() <= self.limit).then_some(())
    }

    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.fill_byte()?;
        Some(self.out)
    }
}
