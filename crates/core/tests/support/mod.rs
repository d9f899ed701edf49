//! Syncs in memory: encodes, splits the delta, decodes and verifies.
#![allow(dead_code, unreachable_pub)]

mod apply;
mod directories;
pub mod module;
mod random;
mod varint;

use driblet_core::*;

#[allow(unused_imports)]
pub use apply::apply;
#[allow(unused_imports)]
pub use directories::{TestFile, apply_directory, diff_directory, manifest_of};
#[allow(unused_imports)]
pub use random::{random_bytes, random_bytes_from};

/// Bytes that look like source code.
pub fn text(number: u64, len: usize) -> Vec<u8> {
    let words = ["function ", "return ", "const ", "(a, b) => ", "{\n  ", "}\n", "value", ".length", " + 1", ";\n"];
    random_bytes(number, len).iter().flat_map(|byte| words[*byte as usize % words.len()].bytes()).take(len).collect()
}

/// Looks like minified code. The names come from a list that `names` shuffles.
pub fn minified(number: u64, len: usize, names: u64) -> Vec<u8> {
    let order = random_bytes(names, 40);
    let name = |byte: u8| format!("{}{}", (b'a' + order[usize::from(byte) % 40] % 26) as char, byte % 40);
    let pieces = [";function(", ";return ", ";var ", ",", "=", ".length;", "{", "}", "+1,", ";if("];
    let line = |byte: &u8| format!("{}{}", pieces[usize::from(*byte) % 10], name(*byte >> 2));
    random_bytes(number, len).iter().flat_map(|byte| line(byte).into_bytes()).take(len).collect()
}

/// Looks like linked code: opcodes, and numbers in LEB128. Numbers from `from` on are larger by `by`.
pub fn linked(number: u64, len: usize, from: u64, by: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for pair in random_bytes(number, len).chunks(2) {
        let number = u64::from(pair[0]) << 9 | u64::from(pair[0] ^ 0x5a);
        let number = if from <= number { number + by } else { number };
        out.extend_from_slice(&[0x10, pair[pair.len() - 1] & 3]);
        varint::put_varint(&mut out, number);
    }
    out.truncate(len);
    out
}

pub fn encode(basis: &[u8], target: &[u8], options: EncodeOptions) -> Vec<u8> {
    collect(Encoder::new(basis, target, options))
}

/// Options with this codec. The dense codec is used without the others.
pub fn with(codec: Codec) -> EncodeOptions {
    EncodeOptions::new().codec(codec).thorough(codec != Codec::Dense)
}

pub fn collect(mut encoder: Encoder<'_>) -> Vec<u8> {
    let mut delta = Vec::new();
    while let Some(piece) = encoder.poll_output().expect("memory suffices") {
        delta.extend_from_slice(&piece);
    }
    delta
}

pub fn basis_of(bytes: &[u8]) -> Basis {
    if bytes.is_empty() { Basis::EMPTY } else { Basis::of(&Version::of(bytes), bytes.len() as u64) }
}

pub fn apply_whole(basis: &[u8], delta: &[u8]) -> Result<Vec<u8>, DecodeError> {
    apply(basis, basis_of(basis), Limits::default(), [delta].into_iter())
}
