//! What the two sides of an alignment are split into.

use crate::delta::adaptive::hash;
use crate::delta::wasm::{Part, WasmReader};
use crate::delta::words::is_word_byte;

/// The most bytes of a word token. Longer words are several tokens.
const MAX_TOKEN_LEN: usize = 48;
/// The number of tokens after which the sequence notes where the next one begins.
const MARK: usize = 64;
/// Added to the length of a number. A word has at most [`MAX_TOKEN_LEN`] bytes.
pub(super) const NUMBER: u32 = 50;
/// Set in the code of a byte of a module.
const MODULE_BYTE: u32 = 1 << 8;
/// Set in the code of a byte of a module's data.
const DATA_BYTE: u32 = 1 << 9;

/// Tokens as codes. The upper 6 bits are the length of a word, or [`NUMBER`] and the length of a number, or 0 for a byte
/// between them. The lower bits are the word's hash; or the number's part, in 5 bits, and its hash; or the byte.
pub(super) struct TokenSequence {
    pub(super) codes: Vec<u32>,
    /// Where every [`MARK`]th token begins.
    marks: Vec<u32>,
}

impl TokenSequence {
    pub(super) fn of_bytes(bytes: &[u8]) -> TokenSequence {
        let marks = (0..bytes.len() as u32).step_by(MARK).collect();
        TokenSequence { codes: bytes.iter().map(|byte| u32::from(*byte)).collect(), marks }
    }

    /// Words and bytes between them, and perhaps the numbers of modules.
    pub(super) fn of_tokens(bytes: &[u8], has_modules: bool) -> TokenSequence {
        let (mut codes, mut marks) = (Vec::new(), Vec::new());
        let mut reader = WasmReader::default();
        let mut in_data = false;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let is_data = matches!(reader.part, Part::Data | Part::DataEnd);
            in_data = is_data || in_data && reader.bytes != 0;
            let (code, len) = match reader.part {
                Part::Outside => word(rest),
                // The words of data are bytes here, since what is inserted before them need not be whole words.
                part if part.moves() && part != Part::Data && reader.bytes == 0 => number(part, rest),
                _ => (if in_data { DATA_BYTE } else { 0 } | MODULE_BYTE | u32::from(rest[0]), 1),
            };
            if codes.len().is_multiple_of(MARK) {
                marks.push(at as u32);
            }
            codes.push(code);
            if has_modules {
                rest[..len].iter().for_each(|byte| reader.read(*byte));
            }
            at += len;
        }
        codes.shrink_to_fit();
        TokenSequence { codes, marks }
    }

    /// Where a token begins.
    pub(super) fn start(&self, token: usize) -> u32 {
        let mark = token / MARK;
        let between = mark * MARK..token;
        let len = |code: &u32| match code >> 26 {
            0 => 1,
            len => len.checked_sub(NUMBER).unwrap_or(len),
        };
        self.marks.get(mark).copied().unwrap_or(0) + self.codes[between].iter().map(len).sum::<u32>()
    }

    pub(super) fn len(&self, token: usize) -> u32 {
        self.codes[token] >> 26
    }

    /// Whether a token is of a module: a number, or a byte with this bit in its code.
    pub(super) fn is_of_module(&self, token: usize) -> bool {
        NUMBER <= self.len(token) || self.is_byte_with(token, MODULE_BYTE)
    }

    pub(super) fn is_data(&self, token: usize) -> bool {
        self.is_byte_with(token, DATA_BYTE)
    }

    fn is_byte_with(&self, token: usize, bit: u32) -> bool {
        self.len(token) == 0 && self.codes[token] & bit != 0
    }
}

/// The code and the length of the word that begins with these bytes, or of a byte between words.
fn word(bytes: &[u8]) -> (u32, usize) {
    let longest = &bytes[..bytes.len().min(MAX_TOKEN_LEN)];
    match longest.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(longest.len()) {
        0 => (u32::from(bytes[0]), 1),
        len => ((len as u32) << 26 | hash_of(&longest[..len]) >> 6, len),
    }
}

/// The code and the length of the number that begins with these bytes.
fn number(part: Part, bytes: &[u8]) -> (u32, usize) {
    let len = part.number_len(bytes);
    ((NUMBER + len as u32) << 26 | (part as u32) << 21 | hash_of(&bytes[..len]) >> 11, len)
}

fn hash_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| hash(sum, u32::from(*byte)))
}

/// A code in which all short words are equal, and all numbers of a part.
pub(super) fn shape(code: u32) -> u32 {
    match code >> 26 {
        1 | 2 => 1 << 26,
        NUMBER.. => NUMBER << 26 | code & 31 << 21,
        _ => code,
    }
}
