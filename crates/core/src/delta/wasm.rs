//! Reads WebAssembly byte by byte, and says what the next byte is part of: an opcode, a function's number, an offset.
//! (WebAssembly Core Specification 3.0, chapter 5, "Binary Format".)
//!
//! Any bytes may come. Where they are no module, or one that breaks the rules, the answer misleads the model, on both
//! sides alike.

/// The first bytes of a module: magic and version.
pub(crate) const MAGIC: [u8; 8] = *b"\0asm\x01\0\0\0";
/// The longest number, in bytes.
pub(crate) const MAX_NUMBER: usize = 10;
/// The number of the section of elements, which are functions.
const ELEMENTS: u8 = 9;
/// The number of the section of function bodies.
const CODE: u8 = 10;
/// The number of the section of data segments.
const DATA: u8 = 11;
/// The highest number of a section.
const LAST_SECTION: u8 = 13;
/// The opcode that ends an expression.
const END: u8 = 0x0b;
/// The opcode of a branch with a list of labels.
const BRANCH_TABLE: u8 = 0x0e;
/// The bytes of a word of data.
const DATA_WORD: u32 = 4;

/// What a byte is part of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
#[repr(u8)]
pub(crate) enum Part {
    /// Not of a module.
    #[default]
    Outside,
    /// A byte of a number that is not its first. Only windows have this part.
    Within,
    /// Of a section that is not read.
    Opaque,
    SectionId,
    /// The length of a section, a body, or a data segment.
    Len,
    /// The number of bodies, of locals, or of data segments.
    Count,
    LocalType,
    Opcode,
    /// The second number of an opcode.
    SubOpcode,
    BlockType,
    Label,
    /// The number of labels, or of groups of locals.
    LabelCount,
    /// The number of something of which there are few.
    Index,
    Align,
    /// A byte that stands for itself.
    Raw,
    /// The last bytes of a data segment, fewer than a word.
    DataEnd,
    // Numbers that move, from here on: a compiler numbers locals anew, and a linker the rest.
    Local,
    Type,
    Function,
    Global,
    Offset,
    /// A word of data: four bytes, little-endian.
    Data,
    Constant,
    LongConstant,
}

impl Part {
    /// The number of parts, rounded up to a power of two.
    pub(crate) const COUNT: usize = 32;

    /// Whether such numbers move.
    #[inline]
    pub(crate) fn moves(self) -> bool {
        Part::Local <= self
    }

    /// Whether bit 6 of the last byte is a sign.
    fn is_signed(self) -> bool {
        matches!(self, Part::Constant | Part::LongConstant)
    }

    /// How many bytes the number takes that begins with these bytes.
    #[inline]
    pub(crate) fn number_len(self, bytes: &[u8]) -> usize {
        if self == Part::Data {
            return bytes.len().min(DATA_WORD as usize);
        }
        let longest = &bytes[..bytes.len().min(MAX_NUMBER)];
        longest.iter().position(|byte| *byte < 0x80).map_or(longest.len(), |last| last + 1)
    }

    /// Whether a number of this many bytes, of which this is the last one, is complete.
    #[inline]
    pub(crate) fn is_complete(self, len: usize, last: u8) -> bool {
        if self == Part::Data { len == DATA_WORD as usize } else { last < 0x80 || len == MAX_NUMBER }
    }

    /// The number that these bytes are.
    pub(crate) fn number(self, bytes: &[u8]) -> i64 {
        if self == Part::Data {
            return bytes.iter().rev().fold(0, |value, byte| value << 8 | i64::from(*byte));
        }
        let digit = |(at, byte): (usize, &u8)| i64::from(byte & 127) << (7 * at as u32);
        let value = bytes.iter().enumerate().map(digit).fold(0, |value, digit| value | digit);
        let bits = 7 * bytes.len() as u32;
        match bytes.last() {
            Some(last) if self.is_signed() && last & 0x40 != 0 && bits < 64 => value | -1 << bits,
            _ => value,
        }
    }

    /// Writes a number in as few bytes as possible, but in at least so many. Gives how many.
    pub(crate) fn write_number(self, mut value: i64, least: usize, bytes: &mut [u8; MAX_NUMBER]) -> usize {
        if self == Part::Data {
            bytes[..4].copy_from_slice(&(value as u32).to_le_bytes());
            return DATA_WORD as usize;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = value as u8 & 127;
            let rest = if self.is_signed() { value >> 7 } else { (value as u64 >> 7) as i64 };
            let is_last = if self.is_signed() { matches!(value >> 6, 0 | -1) } else { rest == 0 };
            if is_last && least <= at + 1 {
                return at + 1;
            }
            *byte |= 0x80;
            value = rest;
        }
        MAX_NUMBER
    }
}

/// What follows an opcode, the first operand last.
type Operands = &'static [Part];

fn operands(opcode: u8) -> Operands {
    use Part::{Align, BlockType, Constant, Function, Global, Index, Label, LabelCount, Local, LongConstant};
    use Part::{Offset, SubOpcode, Type};
    match opcode {
        0x02..=0x04 | 0x06 => &[BlockType],
        0x07 | 0x08 | 0x25 | 0x26 | 0x3f | 0x40 | 0xd0 => &[Index],
        0x09 | 0x0c | 0x0d | 0x18 | 0xd5 | 0xd6 => &[Label],
        BRANCH_TABLE => &[LabelCount],
        0x10 | 0x12 | 0xd2 => &[Function],
        0x11 | 0x13 => &[Index, Type],
        0x14 | 0x15 => &[Type],
        0x1c => &[Index, Index],
        0x20..=0x22 => &[Local],
        0x23 | 0x24 => &[Global],
        0x28..=0x3e => &[Offset, Align],
        0x41 => &[Constant],
        0x42 => &[LongConstant],
        0xfb..=0xfe => &[SubOpcode],
        _ => &[],
    }
}

/// What follows an opcode that has a second number.
fn sub_operands(opcode: u8, sub: u64) -> Operands {
    use Part::{Align, Index, Label, Offset, Type};
    match (opcode, sub) {
        (0xfb, 2..=5 | 8..=10 | 17..=19) => &[Index, Type],
        (0xfb, 0 | 1 | 6 | 7 | 11..=14 | 16 | 20..=23) => &[Type],
        (0xfb, 24 | 25) => &[Type, Type, Label, Index],
        (0xfc, 8 | 10 | 12 | 14) => &[Index, Index],
        (0xfc, 9 | 11 | 13 | 15..=17) | (0xfd, 21..=34) | (0xfe, 3) => &[Index],
        (0xfd, 84..=91) => &[Index, Offset, Align],
        (0xfd, 0..=11 | 92 | 93) | (0xfe, _) => &[Offset, Align],
        _ => &[],
    }
}

/// How many bytes follow an opcode and its operands that stand for themselves.
fn raw(opcode: u8, sub: u64) -> u8 {
    match (opcode, sub) {
        (0x43, _) => 4,
        (0x44, _) => 8,
        (0xfd, 12 | 13) => 16,
        _ => 0,
    }
}

/// The reader's state after some bytes.
#[derive(Clone, Default)]
pub(crate) struct WasmReader {
    /// What the next byte is part of.
    pub(crate) part: Part,
    /// The number that is being read, and its bytes so far.
    pub(crate) number: u64,
    pub(crate) bytes: u32,
    /// The last eight bytes, the latest highest.
    last: u64,
    section: u8,
    /// Bytes that are left of the section, and of the body or the data segment.
    section_left: u64,
    body_left: u64,
    /// Groups of locals, or labels, that are still to come.
    left: u64,
    /// The operands that are still to come, and then bytes that stand for themselves.
    operands: Operands,
    raw: u8,
    opcode: u8,
    /// The last four opcodes of the body, the latest lowest.
    pub(crate) opcodes: u32,
    /// The number of bodies so far.
    pub(crate) body: u32,
    /// The last number of each part, and the last two of all.
    latest: [u32; Part::COUNT],
    pub(crate) before: [u32; 2],
}

impl WasmReader {
    /// Whether the next byte is part of a module.
    #[inline]
    pub(crate) fn is_inside(&self) -> bool {
        self.part != Part::Outside
    }

    /// The part of the next byte, its place in its number, and the opcode.
    #[inline]
    pub(crate) fn context(&self) -> u32 {
        self.place() | u32::from(self.opcode) << 8
    }

    /// The part of the next byte, and its place in its number: below 256.
    #[inline]
    pub(crate) fn place(&self) -> u32 {
        self.part as u32 | self.bytes.min(7) << 5
    }

    /// The number so far, and how many bytes that are.
    #[inline]
    pub(crate) fn so_far(&self) -> u32 {
        self.number as u32 | self.bytes << 29
    }

    /// The last number of the next byte's part.
    #[inline]
    pub(crate) fn latest(&self) -> u32 {
        self.latest[self.part as usize]
    }

    /// Reads one byte.
    #[inline]
    pub(crate) fn read(&mut self, byte: u8) {
        self.last = self.last >> 8 | u64::from(byte) << 56;
        if !self.is_inside() {
            if self.last == u64::from_le_bytes(MAGIC) {
                *self = WasmReader { part: Part::SectionId, ..WasmReader::default() };
            }
            return;
        }
        let is_last_of_section = self.section_left == 1;
        self.section_left = self.section_left.saturating_sub(1);
        self.body_left = self.body_left.saturating_sub(1);
        match self.part {
            Part::Opaque => {}
            Part::SectionId => {
                self.section = byte;
                self.begin(if byte <= LAST_SECTION { Part::Len } else { Part::Outside });
            }
            Part::LocalType => {
                // The type of a reference continues with a number.
                if !matches!(byte, 0x63 | 0x64) {
                    self.left = self.left.saturating_sub(1);
                    self.begin(if self.left == 0 { Part::Opcode } else { Part::Count });
                }
            }
            Part::Raw => {
                self.raw -= 1;
                self.begin_operand();
            }
            Part::Data | Part::DataEnd => {
                self.bytes += 1;
                if self.bytes == DATA_WORD || self.body_left == 0 {
                    self.begin_data();
                }
            }
            Part::Opcode if self.section == DATA && byte == END => self.begin(Part::Len),
            Part::Opcode => {
                self.opcode = byte;
                self.opcodes = self.opcodes << 8 | u32::from(byte);
                (self.operands, self.raw) = (operands(byte), raw(byte, 0));
                self.begin_operand();
            }
            part => {
                self.number |= u64::from(byte & 127) << (7 * self.bytes);
                self.bytes += 1;
                if part.is_complete(self.bytes as usize, byte) {
                    self.complete();
                }
            }
        }
        if is_last_of_section {
            self.begin(Part::SectionId);
        } else if self.section == CODE && self.body_left == 0 && Part::LocalType <= self.part {
            self.begin(Part::Len);
        }
    }

    fn begin(&mut self, part: Part) {
        (self.part, self.number, self.bytes) = (part, 0, 0);
    }

    /// Begins with what follows an opcode, or with the next one.
    fn begin_operand(&mut self) {
        let part = match self.operands.split_last() {
            Some((part, rest)) => {
                self.operands = rest;
                *part
            }
            None if self.raw != 0 => Part::Raw,
            None => Part::Opcode,
        };
        self.begin(part);
    }

    /// Begins with the next word of a data segment, or with the next segment.
    fn begin_data(&mut self) {
        self.begin(match self.body_left {
            0 => Part::Index,
            1..=3 => Part::DataEnd,
            _ => Part::Data,
        });
    }

    /// A number is complete.
    fn complete(&mut self) {
        let number = self.number;
        self.latest[self.part as usize] = number as u32;
        self.before = [number as u32, self.before[0]];
        match (self.part, self.section) {
            // The length of a section.
            (Part::Len, section) if self.section_left == 0 => {
                (self.section_left, self.body_left) = (number, 0);
                self.begin(match section {
                    _ if number == 0 => Part::SectionId,
                    CODE | DATA => Part::Count,
                    ELEMENTS => Part::Function,
                    _ => Part::Opaque,
                });
            }
            (Part::Len, DATA) => {
                self.body_left = number;
                self.begin_data();
            }
            (Part::Len, _) => {
                self.body_left = number;
                self.body = self.body.wrapping_add(1);
                (self.opcode, self.opcodes) = (0, 0);
                self.begin(Part::LabelCount);
            }
            (Part::Count, DATA) => self.begin(Part::Index),
            (Part::Count, _) if self.body_left == 0 => self.begin(Part::Len),
            (Part::Count, _) => self.begin(Part::LocalType),
            // A segment that is copied by code has no address.
            (Part::Index, DATA) => self.begin(if number == 1 { Part::Len } else { Part::Opcode }),
            (Part::LabelCount, _) if self.opcode == BRANCH_TABLE => {
                self.left = number;
                self.begin(Part::Label);
            }
            (Part::LabelCount, _) => {
                self.left = number;
                self.begin(if number == 0 { Part::Opcode } else { Part::Count });
            }
            (Part::Label, _) if self.left != 0 => {
                self.left -= 1;
                self.begin(Part::Label);
            }
            (Part::SubOpcode, _) => {
                (self.operands, self.raw) = (sub_operands(self.opcode, number), raw(self.opcode, number));
                self.opcode ^= (number as u8) << 1;
                self.begin_operand();
            }
            (Part::Function, ELEMENTS) => self.begin(Part::Function),
            _ => self.begin_operand(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of each byte, and of the byte after the last one.
    fn parts(bytes: &[u8]) -> Vec<Part> {
        let mut reader = WasmReader::default();
        let mut parts = vec![reader.part];
        for byte in bytes {
            reader.read(*byte);
            parts.push(reader.part);
        }
        parts
    }

    #[test]
    fn a_module_is_read_to_its_end() {
        use Part::{Align, Constant, Count, Data, DataEnd, Function, Index, LabelCount, Len, Local, LocalType};
        use Part::{Offset, Opaque, Opcode, Outside, Raw, SectionId, SubOpcode};
        let module = [
            &b"text\0asm\x01\0\0\0"[..],
            &[3, 2, 1, 0],
            // A body with a group of locals, and instructions with operands of several kinds.
            &[
                10, 24, 1, 22, 1, 2, 0x7f, 0x20, 1, 0x41, 0x80, 1, 0x28, 2, 8, 0x43, 1, 2, 3, 4, 0x10, 5, 0xfc, 11, 0,
                0x0b,
            ],
            // A segment with an address, and one without.
            &[11, 16, 2, 0, 0x41, 8, 0x0b, 6, 1, 2, 3, 4, 5, 6, 1, 2, 7, 8],
            b"\xfftext",
        ];
        let expected = [
            vec![Outside; 12],
            vec![SectionId, Len, Opaque, Opaque],
            vec![SectionId, Len, Count, Len, LabelCount, Count, LocalType, Opcode, Local, Opcode, Constant, Constant],
            vec![Opcode, Align, Offset, Opcode, Raw, Raw, Raw, Raw, Opcode, Function, Opcode, SubOpcode, Index, Opcode],
            vec![SectionId, Len, Count, Index, Opcode, Constant, Opcode, Len, Data, Data, Data, Data],
            vec![DataEnd, DataEnd, Index, Len, DataEnd, DataEnd],
            vec![SectionId],
            vec![Outside; 5],
        ];
        assert_eq!(parts(&module.concat()), expected.concat());
    }

    #[test]
    fn numbers_are_written_as_they_were() {
        for part in [Part::Function, Part::Constant, Part::LongConstant] {
            for number in [0, 1, 63, 64, 127, 128, 8191, 8192, i64::from(u32::MAX), i64::MAX, i64::MIN, -1, -64, -65] {
                for least in [1, 2, 5, 10] {
                    let mut bytes = [0; MAX_NUMBER];
                    let len = part.write_number(number, least, &mut bytes);
                    assert_eq!(part.number(&bytes[..len]), number, "{part:?}");
                    assert_eq!(part.number_len(&bytes), len, "{part:?} {number}");
                    assert!(part.is_complete(len, bytes[len - 1]) && least <= len);
                }
            }
        }
        let mut bytes = [0; MAX_NUMBER];
        assert_eq!(Part::Data.write_number(0x0403_0201, 1, &mut bytes), 4);
        assert_eq!((&bytes[..4], Part::Data.number(&bytes[..4])), (&[1, 2, 3, 4][..], 0x0403_0201));
    }
}
