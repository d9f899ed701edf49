//! Reads a deflate stream.

use super::bits::BitReader;
use super::huffman::{Code, fixed_codes};
use super::tables::{
    DISTANCES, DYNAMIC_CODES, END, FIXED_CODES, LENGTHS, LONGEST, ORDER, STORED, length_of, repeats_of,
};
use crate::wire::put_varint;

/// Reads a stream that begins with these bytes and makes at most `limit` plain bytes. Appends the plain bytes, the blocks
/// and the matches. Gives the length of the stream, and of its plain bytes; `None` if it is no stream, a longer one, or
/// one that [`write`] would write differently.
pub(in super::super) fn read(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<(usize, usize)> {
    let mut reader = SymbolReader {
        bits: BitReader::new(packed),
        begin: out.len(),
        limit,
        out,
        literals: 0,
        matches: Vec::new(),
        blocks: Vec::new(),
    };
    while !reader.block()? {}
    let len = reader.bits.end()?;
    let SymbolReader { begin, out, literals, mut matches, mut blocks, .. } = reader;
    let plain = out.len() - begin;
    put_varint(&mut matches, literals);
    out.append(&mut blocks);
    out.append(&mut matches);
    Some((len, plain))
}

struct SymbolReader<'a> {
    bits: BitReader<'a>,
    out: &'a mut Vec<u8>,
    /// Where the plain bytes begin in `out`.
    begin: usize,
    limit: usize,
    /// The literals since the last match.
    literals: u64,
    matches: Vec<u8>,
    blocks: Vec<u8>,
}

impl SymbolReader<'_> {
    /// Reads a block. Gives whether it is the last.
    fn block(&mut self) -> Option<bool> {
        let (is_last, kind) = (self.bits.take(1)?, self.bits.take(2)? as u8);
        self.blocks.push(kind << 1 | is_last as u8);
        match kind {
            STORED => self.stored()?,
            FIXED_CODES => {
                let (literals, distances) = fixed_codes();
                self.symbols(&literals, &distances)?;
            }
            DYNAMIC_CODES => {
                let (literals, distances) = self.codes()?;
                self.symbols(&literals, &distances)?;
            }
            _ => return None,
        }
        Some(is_last == 1)
    }

    fn stored(&mut self) -> Option<()> {
        let bytes = self.bits.stored()?;
        if self.limit < self.out.len() - self.begin + bytes.len() {
            return None;
        }
        self.out.extend_from_slice(bytes);
        put_varint(&mut self.blocks, bytes.len() as u64);
        Some(())
    }

    /// Reads the codes of a block, and notes how they are written.
    fn codes(&mut self) -> Option<(Code, Code)> {
        let (literals, distances) = (self.bits.take(5)? as usize + 257, self.bits.take(5)? as usize + 1);
        let count = self.bits.take(4)? as usize + 4;
        self.blocks.extend([(literals - 257) as u8, (distances - 1) as u8, (count - 4) as u8]);
        let mut lens = [0; 19];
        for place in &ORDER[..count] {
            lens[*place] = self.bits.take(3)? as u8;
            self.blocks.push(lens[*place]);
        }
        let code = Code::new(&lens)?;
        let mut lens = Vec::with_capacity(literals + distances);
        while lens.len() < literals + distances {
            let symbol = self.bits.symbol(&code)? as u8;
            self.blocks.push(symbol);
            let (bits, least) = repeats_of(symbol);
            let times = if bits == 0 { least } else { self.repeats(bits)? + least };
            let len = length_of(symbol, &lens)?;
            lens.extend(std::iter::repeat_n(len, times));
        }
        let is_exact = lens.len() == literals + distances;
        is_exact.then_some(())?;
        Some((Code::new(&lens[..literals])?, Code::new(&lens[literals..])?))
    }

    fn repeats(&mut self, bits: u32) -> Option<usize> {
        let repeats = self.bits.take(bits)? as u8;
        self.blocks.push(repeats);
        Some(repeats.into())
    }

    /// Reads the symbols of a block, and notes how many they are.
    fn symbols(&mut self, literals: &Code, distances: &Code) -> Option<()> {
        let mut count = 0_u64;
        loop {
            let symbol = self.bits.symbol(literals)?;
            if symbol == END {
                break;
            }
            count += 1;
            let room = self.limit.checked_sub(self.out.len() - self.begin)?;
            if symbol < END {
                if room == 0 {
                    return None;
                }
                self.out.push(symbol as u8);
                self.literals += 1;
                continue;
            }
            let index = symbol - END - 1;
            let len = self.number(&LENGTHS, index)?;
            let symbol = self.bits.symbol(distances)?;
            let distance = self.number(&DISTANCES, symbol)?;
            // There are two ways to write the longest match, of which encoders use one.
            let is_other_longest = len == LONGEST && usize::from(index) + 1 != LENGTHS.len();
            if is_other_longest || room < len.into() || self.out.len() - self.begin < distance.into() {
                return None;
            }
            for _ in 0..len {
                self.out.push(self.out[self.out.len() - usize::from(distance)]);
            }
            put_varint(&mut self.matches, std::mem::take(&mut self.literals));
            self.matches.push((len - 3) as u8);
            self.matches.extend_from_slice(&(distance - 1).to_le_bytes());
        }
        put_varint(&mut self.blocks, count);
        Some(())
    }

    fn number(&mut self, table: &[(u16, u32)], symbol: u16) -> Option<u16> {
        let (least, bits) = *table.get(usize::from(symbol))?;
        Some(least + self.bits.take(bits)? as u16)
    }
}
