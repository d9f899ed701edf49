//! Writes a deflate stream again.

use super::bits::BitWriter;
use super::huffman::{Code, fixed_codes};
use super::tables::{DISTANCES, DYNAMIC_CODES, END, LENGTHS, ORDER, STORED, length_of, repeats_of};
use crate::wire::ByteReader;

/// Writes the stream again of which [`read`] gave this content. `None` if it is malformed, or takes more than `limit`
/// bytes.
pub(in super::super) fn write(content: &[u8], plain_len: usize, limit: usize) -> Option<Vec<u8>> {
    let (plain, choices) = content.split_at_checked(plain_len)?;
    let mut blocks = ByteReader::new(choices);
    let mut matches = ByteReader::new(&choices[blocks_len(&mut blocks.clone())?..]);
    let mut writer = SymbolWriter { bits: BitWriter::new(limit), plain, run: None };
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
