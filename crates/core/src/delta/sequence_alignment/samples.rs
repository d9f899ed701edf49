//! What a file consists of, by samples of it: text, lists of numbers, WebAssembly.

use crate::delta::wasm::{MAGIC, WasmReader};

/// The number of samples that decide whether bytes are text.
const SAMPLES: usize = 64;
/// The length of a sample in bytes.
const SAMPLE: usize = 1 << 10;
/// A sample is a list if at least an eighth of its bytes are commas and semicolons.
const COMMA_IN_LIST: usize = 8;
/// Text has lists if at least a sixth of its samples are lists.
const LISTS: usize = 6;

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

/// Whether a module begins somewhere in the bytes.
pub(crate) fn has_module(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().enumerate().filter(|(_, byte)| **byte == MAGIC[0]);
    zeros.into_iter().any(|(at, _)| bytes[at..].starts_with(&MAGIC))
}

/// Whether at least half of the bytes are modules.
pub(crate) fn is_mostly_modules(bytes: &[u8]) -> bool {
    if !has_module(bytes) {
        return false;
    }
    let mut reader = WasmReader::default();
    let inside = bytes.iter().filter(|byte| {
        reader.read(**byte);
        reader.is_inside()
    });
    bytes.len() <= 2 * inside.count()
}
