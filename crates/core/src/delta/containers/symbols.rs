//! A deflate stream (RFC 1951) as what it encodes and the choices of its encoder, so that it can be written again
//! whatever program made it. Streams of one encoder have mostly the same choices where their content is the same.
//!
//! The content of such a stream is its plain bytes, then its blocks, then its matches.

use crate::wire::{ByteReader, put_varint};

/// The symbol that ends a block.
const END: u16 = 256;
/// The longest match.
const LONGEST: u16 = 258;
/// The longest code, in bits.
const MAX_BITS: usize = 15;
/// The order in which a block has the lengths of the codes of its code lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The shortest match of each length symbol above [`END`], and how many further bits say how much longer it is.
const LENGTHS: [(u16, u32); 29] =
    with_extra_bits([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0], 3);
/// The same for distances.
const DISTANCES: [(u16, u32); 30] = with_extra_bits(
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13],
    1,
);
/// The lengths of the fixed codes: so many symbols each, and how many bits their codes have.
const FIXED_LITERALS: [(usize, u8); 4] = [(144, 8), (112, 9), (24, 7), (8, 8)];
const FIXED_DISTANCES: [u8; 30] = [5; 30];

const STORED: u8 = 0;
const FIXED_CODES: u8 = 1;
const DYNAMIC_CODES: u8 = 2;

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

/// Reads a stream that begins with these bytes and makes at most `limit` plain bytes. Appends the plain bytes, the blocks
/// and the matches. Gives the length of the stream, and of its plain bytes; `None` if it is no stream, a longer one, or
/// one that [`write`] would write differently.
pub(super) fn read(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<(usize, usize)> {
    let mut reader = SymbolReader {
        bits: BitReader { bytes: packed, at: 0, held: 0, count: 0 },
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

/// How many further bits a symbol of code lengths has, and how often the length is repeated besides what they say.
fn repeats_of(symbol: u8) -> (u32, usize) {
    match symbol {
        16 => (2, 3),
        17 => (3, 3),
        18 => (7, 11),
        _ => (0, 1),
    }
}

/// The code length that such a symbol stands for, after these; `None` if there is no such symbol.
fn length_of(symbol: u8, before: &[u8]) -> Option<u8> {
    match symbol {
        16 => before.last().copied(),
        17 | 18 => Some(0),
        len => (usize::from(len) <= MAX_BITS).then_some(len),
    }
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

/// Writes the stream again of which [`read`] gave this content. `None` if it is malformed, or takes more than `limit`
/// bytes.
pub(super) fn write(content: &[u8], plain_len: usize, limit: usize) -> Option<Vec<u8>> {
    let (plain, choices) = content.split_at_checked(plain_len)?;
    let mut blocks = ByteReader::new(choices);
    let mut matches = ByteReader::new(&choices[blocks_len(&mut blocks.clone())?..]);
    let mut writer = SymbolWriter { bits: BitWriter { out: Vec::new(), held: 0, count: 0, limit }, plain, run: None };
    while !writer.block(&mut blocks, &mut matches)? {}
    let left = writer.run(&mut matches)?;
    let is_whole = left == 0 && matches.is_empty() && writer.plain.is_empty();
    is_whole.then_some(writer.bits)?.finish()
}

/// The length of the blocks at the begin of these bytes.
fn blocks_len(reader: &mut ByteReader<'_>) -> Option<usize> {
    loop {
        let (kind, is_last) = kind_of(reader)?;
        if kind == DYNAMIC_CODES {
            Codes::parse(reader)?;
        }
        reader.varint().ok()?;
        if is_last {
            return Some(reader.position());
        }
    }
}

fn kind_of(reader: &mut ByteReader<'_>) -> Option<(u8, bool)> {
    let byte = reader.u8().ok()?;
    (byte >> 1 <= DYNAMIC_CODES).then_some((byte >> 1, byte & 1 == 1))
}

/// The codes of a block, as they are written.
struct Codes {
    literals: Vec<u8>,
    distances: Vec<u8>,
    /// The lengths of the codes of code lengths, of which so many are written.
    lens: [u8; 19],
    count: usize,
    /// The symbols of the code lengths, each with its further bits and how many these are.
    symbols: Vec<(u8, u8, u32)>,
}

impl Codes {
    fn parse(reader: &mut ByteReader<'_>) -> Option<Codes> {
        let [literals, distances, count] = reader.array().ok()?.map(usize::from);
        let (literals, distances, count) = (literals + 257, distances + 1, count + 4);
        if 288 < literals || 32 < distances || 19 < count {
            return None;
        }
        let mut lens = [0; 19];
        for place in &ORDER[..count] {
            lens[*place] = reader.u8().ok().filter(|len| *len < 8)?;
        }
        let (mut all, mut symbols): (Vec<u8>, _) = (Vec::new(), Vec::new());
        while all.len() < literals + distances {
            let symbol = reader.u8().ok()?;
            let ((bits, least), len) = (repeats_of(symbol), length_of(symbol, &all)?);
            let more = if bits == 0 { 0 } else { reader.u8().ok().filter(|more| u32::from(*more) < 1 << bits)? };
            symbols.push((symbol, more, bits));
            all.extend(std::iter::repeat_n(len, usize::from(more) + least));
        }
        if all.len() != literals + distances {
            return None;
        }
        let distances = all.split_off(literals);
        Some(Codes { literals: all, distances, lens, count, symbols })
    }
}

struct SymbolWriter<'a> {
    bits: BitWriter,
    /// The plain bytes that were not written yet.
    plain: &'a [u8],
    /// How many literals come before the next match; `None` if that was not read yet.
    run: Option<u64>,
}

impl<'a> SymbolWriter<'a> {
    fn block(&mut self, blocks: &mut ByteReader<'_>, matches: &mut ByteReader<'_>) -> Option<bool> {
        let (kind, is_last) = kind_of(blocks)?;
        self.bits.put(u32::from(kind) << 1 | u32::from(is_last), 3)?;
        let (literals, distances) = match kind {
            STORED => {
                let len = usize::try_from(blocks.varint().ok()?).ok()?;
                let bytes = self.take(len)?;
                self.bits.put_stored(bytes)?;
                return Some(is_last);
            }
            DYNAMIC_CODES => {
                let codes = Codes::parse(blocks)?;
                self.put_codes(&codes)?;
                (Code::new(&codes.literals)?, Code::new(&codes.distances)?)
            }
            _ => fixed_codes(),
        };
        for _ in 0..blocks.varint().ok()? {
            match self.run(matches)? {
                0 => self.put_match(matches, &literals, &distances)?,
                run => {
                    let byte = self.take(1)?[0];
                    self.bits.symbol(&literals, byte.into())?;
                    self.run = Some(run - 1);
                }
            }
        }
        self.bits.symbol(&literals, END)?;
        Some(is_last)
    }

    fn put_codes(&mut self, codes: &Codes) -> Option<()> {
        self.bits.put(codes.literals.len() as u32 - 257, 5)?;
        self.bits.put(codes.distances.len() as u32 - 1, 5)?;
        self.bits.put(codes.count as u32 - 4, 4)?;
        for place in &ORDER[..codes.count] {
            self.bits.put(codes.lens[*place].into(), 3)?;
        }
        let code = Code::new(&codes.lens)?;
        for (symbol, more, bits) in &codes.symbols {
            self.bits.symbol(&code, (*symbol).into())?;
            self.bits.put((*more).into(), *bits)?;
        }
        Some(())
    }

    fn put_match(&mut self, matches: &mut ByteReader<'_>, literals: &Code, distances: &Code) -> Option<()> {
        let len = u16::from(matches.u8().ok()?) + 3;
        let distance = u32::from(u16::from_le_bytes(matches.array().ok()?)) + 1;
        self.take(len.into())?;
        self.run = None;
        self.put_number(&LENGTHS, len.into(), literals, END + 1)?;
        self.put_number(&DISTANCES, distance, distances, 0)
    }

    fn put_number(&mut self, table: &[(u16, u32)], number: u32, code: &Code, first: u16) -> Option<()> {
        let index = table.partition_point(|(least, _)| u32::from(*least) <= number) - 1;
        let (least, bits) = table[index];
        let more = number - u32::from(least);
        (more < 1 << bits).then_some(())?;
        self.bits.symbol(code, first + index as u16)?;
        self.bits.put(more, bits)
    }

    /// How many literals come before the next match.
    fn run(&mut self, matches: &mut ByteReader<'_>) -> Option<u64> {
        if self.run.is_none() {
            self.run = Some(matches.varint().ok()?);
        }
        self.run
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.plain.split_at_checked(len)?;
        self.plain = rest;
        Some(taken)
    }
}

/// A Huffman code.
struct Code {
    /// For each symbol its bits, the first of them lowest, and how many they are.
    words: Vec<(u16, u8)>,
    /// For all bits that may come next, the symbol, and how many bits it has; 0 if there is none.
    table: Vec<(u16, u8)>,
    /// log2 of the table's length.
    bits: u32,
}

impl Code {
    /// The code whose words have these lengths, by RFC 1951, section 3.2.2. `None` if there are too many words.
    fn new(lens: &[u8]) -> Option<Code> {
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

fn fixed_codes() -> (Code, Code) {
    let literals: Vec<u8> = FIXED_LITERALS.iter().flat_map(|(count, len)| std::iter::repeat_n(*len, *count)).collect();
    let code = |lens: &[u8]| Code::new(lens).unwrap_or(Code { words: Vec::new(), table: vec![(0, 0)], bits: 0 });
    (code(&literals), code(&FIXED_DISTANCES))
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// The bytes that were taken.
    at: usize,
    /// Bits of them that were not read, the next one lowest, and how many they are.
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    fn fill(&mut self) {
        while self.count <= 56
            && let Some(byte) = self.bytes.get(self.at)
        {
            self.held |= u64::from(*byte) << self.count;
            self.count += 8;
            self.at += 1;
        }
    }

    fn take(&mut self, bits: u32) -> Option<u32> {
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

    fn symbol(&mut self, code: &Code) -> Option<u16> {
        if self.count < MAX_BITS as u32 {
            self.fill();
        }
        let (symbol, len) = code.table[(self.held & ((1 << code.bits) - 1)) as usize];
        self.drop(len.into())?;
        (len != 0).then_some(symbol)
    }

    /// Goes on at the next whole byte. `None` if bits before it are set.
    fn skip_to_byte(&mut self) -> Option<()> {
        let skipped = self.take(self.count % 8)?;
        self.at -= self.count as usize / 8;
        (self.held, self.count) = (0, 0);
        (skipped == 0).then_some(())
    }

    /// The bytes of a stored block.
    fn stored(&mut self) -> Option<&'a [u8]> {
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
    fn end(mut self) -> Option<usize> {
        self.skip_to_byte()?;
        Some(self.at)
    }
}

struct BitWriter {
    out: Vec<u8>,
    /// Bits that make no whole byte yet, the first one lowest, and how many they are.
    held: u64,
    count: u32,
    limit: usize,
}

impl BitWriter {
    fn put(&mut self, value: u32, bits: u32) -> Option<()> {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        while 8 <= self.count {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
        (self.out.len() <= self.limit).then_some(())
    }

    fn symbol(&mut self, code: &Code, symbol: u16) -> Option<()> {
        let (word, len) = *code.words.get(usize::from(symbol)).filter(|(_, len)| *len != 0)?;
        self.put(word.into(), len.into())
    }

    fn fill_byte(&mut self) -> Option<()> {
        self.put(0, (8 - self.count) % 8)
    }

    fn put_stored(&mut self, bytes: &[u8]) -> Option<()> {
        let len = u16::try_from(bytes.len()).ok()?;
        self.fill_byte()?;
        self.out.extend_from_slice(&len.to_le_bytes());
        self.out.extend_from_slice(&(!len).to_le_bytes());
        self.out.extend_from_slice(bytes);
        (self.out.len() <= self.limit).then_some(())
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.fill_byte()?;
        Some(self.out)
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;
    use crate::random::random_bytes;

    /// Text with matches of all lengths and distances.
    fn text(number: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 300);
        for bytes in random_bytes(number, len).chunks_exact(4) {
            if bytes[0] < 60 && !out.is_empty() {
                let from = usize::from(u16::from_le_bytes([bytes[2], bytes[3]])) % out.len();
                let end = (from + usize::from(bytes[1]) + 4).min(out.len());
                out.extend_from_within(from..end);
            } else {
                out.extend(bytes.iter().map(|byte| b'a' + byte % 16));
            }
            if len <= out.len() {
                break;
            }
        }
        out.truncate(len);
        out
    }

    fn deflated(plain: &[u8], level: u32, piece: usize) -> Vec<u8> {
        let (mut compress, mut out) = (Compress::new(Compression::new(level), false), Vec::new());
        out.reserve(plain.len() + plain.len() / 8 + 4096);
        for piece in plain.chunks(piece) {
            // Flushes end blocks early, with an empty stored block after each.
            compress.compress_vec(piece, &mut out, FlushCompress::Sync).unwrap();
        }
        compress.compress_vec(&[], &mut out, FlushCompress::Finish).unwrap();
        out
    }

    #[test]
    fn what_any_encoder_wrote_is_written_again() {
        let plains = [Vec::new(), b"short".to_vec(), text(1, 300_000), random_bytes(2, 70_000), vec![7; 100_000]];
        for plain in plains {
            let ours = (0..=9).flat_map(|level| [1_000, 1 << 20].map(|piece| deflated(&plain, level, piece)));
            let others = (0..=10).map(|level| miniz_oxide::deflate::compress_to_vec(&plain, level));
            for packed in ours.chain(others) {
                let mut content = vec![1, 2, 3];
                let with_more = [&packed[..], b"more"].concat();
                assert_eq!(read(&with_more, plain.len(), &mut content), Some((packed.len(), plain.len())));
                let content = &content[3..];
                assert!(content.starts_with(&plain));
                assert!(write(content, plain.len(), packed.len()) == Some(packed.clone()));
                assert_eq!(write(content, plain.len(), packed.len() - 1), None);
                if !plain.is_empty() {
                    assert_eq!(read(&packed, plain.len() - 1, &mut Vec::new()), None);
                    assert_eq!(write(content, plain.len() - 1, packed.len()), None);
                }
            }
        }
    }

    #[test]
    fn damaged_streams_are_refused_or_written_again() {
        let plain = text(3, 20_000);
        for (round, change) in random_bytes(4, 6_000).chunks_exact(3).enumerate() {
            let mut packed = deflated(&plain, 1 + round as u32 % 9, 9_000);
            let at = (usize::from(change[0]) << 8 | usize::from(change[1])) % packed.len();
            packed[at] ^= change[2];
            let mut content = Vec::new();
            if let Some((len, plain_len)) = read(&packed, 1 << 20, &mut content) {
                assert!(write(&content, plain_len, len).as_deref() == Some(&packed[..len]));
            }
        }
    }

    #[test]
    fn damaged_symbols_are_refused_or_make_something() {
        let packed = deflated(&text(5, 20_000), 6, 9_000);
        let mut content = Vec::new();
        let (_, plain) = read(&packed, 20_000, &mut content).unwrap();
        for change in random_bytes(6, 9_000).chunks_exact(3) {
            let mut content = content.clone();
            let at = plain + (usize::from(change[0]) << 8 | usize::from(change[1])) % (content.len() - plain);
            content[at] ^= change[2];
            if let Some(made) = write(&content, plain, packed.len()) {
                assert!(made.len() <= packed.len());
            }
        }
    }
}
