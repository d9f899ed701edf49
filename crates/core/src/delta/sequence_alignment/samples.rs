//! What a file consists of, by samples of it: text, lists of numbers, WebAssembly.

use crate::delta::wasm::{MAGIC, Part, WasmReader};

/// The number of samples that decide whether bytes are text.
const SAMPLES: usize = 64;
/// The length of a sample in bytes.
const SAMPLE: usize = 1 << 10;
/// A sample is a list if at least an eighth of its bytes are commas and semicolons.
const COMMA_IN_LIST: usize = 8;
/// Text has lists if at least a sixth of its samples are lists.
const LISTS: usize = 6;
/// Bytes have code if at least a 32nd of them are opcodes. In code it is a third.
const CODE: usize = 32;

/// Parts of the bytes, from all over them.
fn samples(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(SAMPLE).step_by((bytes.len() / (SAMPLES * SAMPLE)).max(1))
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().filter(|byte| is(**byte)).count()
}

/// Whether the samples look like text: they have few bytes that text does not have.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let (strange, all) = samples(bytes).fold((0, 0), |(strange, all), sample| {
        (strange + count(sample, |byte| !(9..0x80).contains(&byte)), all + sample.len())
    });
    strange * 20 < all
}

/// Whether many of the samples look like lists of numbers, which source maps have.
pub(crate) fn has_lists(bytes: &[u8]) -> bool {
    let is_list = |sample: &&[u8]| sample.len() < COMMA_IN_LIST * count(sample, |byte| matches!(byte, b',' | b';'));
    samples(bytes).count() <= LISTS * samples(bytes).filter(is_list).count()
}

/// Whether some of the bytes are WebAssembly code. The assemblies of .NET are modules that only have data.
pub(crate) fn has_code(bytes: &[u8]) -> bool {
    Modules::of(bytes).are_code(bytes)
}

/// Whether at least half of the bytes are modules that have code.
pub(crate) fn is_mostly_modules(bytes: &[u8]) -> bool {
    let modules = Modules::of(bytes);
    modules.are_code(bytes) && bytes.len() <= 2 * modules.bytes
}

/// The modules among some bytes.
#[derive(Default)]
struct Modules {
    bytes: usize,
    opcodes: usize,
}

impl Modules {
    fn of(bytes: &[u8]) -> Modules {
        let mut found = Modules::default();
        let mut zeros = bytes.iter().enumerate().filter(|(_, byte)| **byte == MAGIC[0]);
        if !zeros.any(|(at, _)| bytes[at..].starts_with(&MAGIC)) {
            return found;
        }
        let mut reader = WasmReader::default();
        for byte in bytes {
            reader.read(*byte);
            found.bytes += usize::from(reader.is_inside());
            found.opcodes += usize::from(reader.part == Part::Opcode);
        }
        found
    }

    fn are_code(&self, bytes: &[u8]) -> bool {
        bytes.len() < CODE * self.opcodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_varint;

    /// A module with one section.
    fn module(id: u8, section: &[u8]) -> Vec<u8> {
        let mut module = [&MAGIC[..], &[id]].concat();
        put_varint(&mut module, section.len() as u64);
        module.extend_from_slice(section);
        module
    }

    /// A count of 1, perhaps more, and so many bytes after their length.
    fn one_of(before: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut one = [&[1], before].concat();
        put_varint(&mut one, bytes.len() as u64);
        [one, bytes.to_vec()].concat()
    }

    #[test]
    fn a_module_of_data_is_not_code() {
        let body = [&[0][..], &[0x20, 0, 0x1a].repeat(1000), &[0x0b]].concat();
        let code = module(10, &one_of(&[], &body));
        assert!(has_code(&code) && is_mostly_modules(&code));
        let data = module(11, &one_of(&[1], &[7; 3000]));
        assert!(!has_code(&data) && !is_mostly_modules(&data));
        let text = [&code[..], &b"words ".repeat(1000)].concat();
        assert!(has_code(&text) && !is_mostly_modules(&text));
        assert!(!has_code(b"") && !has_code(b"no module at all"));
    }
}
