//! Checks that deltas between containers make the target, and that damaged ones make it too or are refused.
#![no_main]

use arbitrary::Arbitrary;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet_core::{EncodeOptions, diff, patch};
use flate2::{Compress, Compression, FlushCompress};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Packing {
    Base64,
    /// zlib with this level, flushed after so many bytes.
    Deflate(u8, u16),
    /// Another encoder of deflate.
    Miniz(u8),
    /// Bytes that only look like a stream.
    None,
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    inside: &'a [u8],
    times: u8,
    inserted: &'a [u8],
    at: u16,
    packings: [Packing; 2],
    damage: Option<(u16, u8)>,
}

fuzz_target!(|case: Case| {
    let old = case.inside.repeat(1 + usize::from(case.times) % 64);
    let mut new = old.clone();
    let at = usize::from(case.at) % (new.len() + 1);
    new.splice(at..at, case.inserted.iter().copied());
    let pack = |bytes: &[u8]| case.packings.iter().fold(bytes.to_vec(), |bytes, packing| packed(&bytes, packing));
    let (old, new) = (pack(&old), pack(&new));
    let mut delta = diff(&old, &new, EncodeOptions::new().thorough(true).containers(true)).expect("it encodes");
    assert!(patch(&old, &delta).as_ref() == Ok(&new));
    if let Some((at, change)) = case.damage {
        let at = usize::from(at) % delta.len();
        delta[at] ^= change;
        let made = patch(&old, &delta);
        assert!(made.is_err() || made.as_ref() == Ok(&new) || made.as_ref() == Ok(&old));
    }
});

fn packed(bytes: &[u8], packing: &Packing) -> Vec<u8> {
    match packing {
        Packing::Base64 => [b"('", STANDARD.encode(bytes).as_bytes(), b"')"].concat(),
        Packing::Deflate(level, flushed) => {
            let mut compress = Compress::new(Compression::new(u32::from(*level) % 10), true);
            let mut out = Vec::with_capacity(2 * bytes.len() + 4096 + 64 * bytes.len() / (1 + usize::from(*flushed)));
            for piece in bytes.chunks(64 + usize::from(*flushed)) {
                compress.compress_vec(piece, &mut out, FlushCompress::Sync).expect("it deflates");
            }
            compress.compress_vec(&[], &mut out, FlushCompress::Finish).expect("it deflates");
            out
        }
        Packing::Miniz(level) => miniz_oxide::deflate::compress_to_vec_zlib(bytes, level % 11),
        Packing::None => bytes.to_vec(),
    }
}
