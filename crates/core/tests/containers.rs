//! Deltas that look through base64, strings and deflate: what comes back, how long they are, and what is refused.

mod support;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use driblet_core::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use support::{apply_whole, encode, random_bytes, text};

/// The region's first byte: codec 4, and the last.
const CONTAINERS: u8 = 0x84;

fn options() -> EncodeOptions {
    EncodeOptions::new().thorough(true).containers(true)
}

/// The first byte of the first region, after a header without chaining values.
fn region_of(delta: &[u8], target: &[u8]) -> u8 {
    let len = (1..).find(|len| target.len() < 1 << (7 * len)).unwrap();
    delta[2 + 32 + len + 8]
}

/// A change in the middle.
fn changed(old: &[u8]) -> Vec<u8> {
    let middle = old.len() / 2;
    [&old[..middle], b"one new line\n", &old[middle + 5..]].concat()
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The first members of a zip file.
fn zip(members: &[&[u8]], pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, member) in members.iter().enumerate() {
        let (packed, name) = (pack(member), format!("member{number}"));
        out.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0");
        out.extend_from_slice(&Version::of(member).as_bytes()[..4]);
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&(member.len() as u32).to_le_bytes());
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&packed);
    }
    out
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn script(bytes: &[u8]) -> Vec<u8> {
    [b"const wasm = '", STANDARD.encode(bytes).as_bytes(), b"';\nexport default load(wasm);\n"].concat()
}

fn module(bytes: &[u8]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", bytes].concat()
}

/// A script with bytes as Emscripten writes them into a string.
fn string(bytes: &[u8]) -> Vec<u8> {
    let escaped = |byte: &u8| match char::from(*byte) {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        mark @ ('\\' | '\'') => format!("\\{mark}"),
        other => other.to_string(),
    };
    format!("const wasm = '{}';\nexport default load(wasm);\n", bytes.iter().map(escaped).collect::<String>())
        .into_bytes()
}

#[test]
fn what_is_inside_is_compared() {
    let (old, lib) = (random_bytes(1, 60_000), text(2, 80_000));
    // One byte more, so that all of base64 after it has another phase.
    let new = [b"more", &old[3..]].concat();
    let line = changed(&lib);
    let by_another = |bytes: &[u8]| miniz_oxide::deflate::compress_to_vec(bytes, 8);
    let pairs: [(&str, Vec<u8>, Vec<u8>, usize); 8] = [
        ("base64 in a script", script(&old), script(&new), 100),
        ("base64 that becomes the text of a string", script(&module(&old)), string(&module(&new)), 100),
        ("gzip", gzip(&lib, 6), gzip(&line, 6), 20),
        ("gzip, the fastest level", gzip(&lib, 1), gzip(&line, 1), 20),
        ("zlib", zlib(&lib), zlib(&line), 20),
        ("zip", zip(&[&old, &lib, &new], deflate), zip(&[&old, &line, &new], deflate), 20),
        ("zip by another encoder", zip(&[&old, &lib], by_another), zip(&[&old, &line], by_another), 15),
        ("gzip of a script with base64", gzip(&script(&lib), 9), gzip(&script(&line), 9), 20),
    ];
    for (name, old, new, less) in pairs {
        let delta = encode(&old, &new, options());
        assert_eq!(region_of(&delta, &new), CONTAINERS, "{name}");
        assert_eq!(apply_whole(&old, &delta).as_ref(), Ok(&new), "{name}");
        let without = encode(&old, &new, options().containers(false));
        assert!(delta.len() * less < without.len(), "{name}: {} bytes, {} without", delta.len(), without.len());
        // Each side alone has the same bytes inside.
        let back = encode(&new, &old, options());
        assert_eq!(apply_whole(&new, &back), Ok(old), "{name}");
    }
}

#[test]
fn other_receivers_and_requests_that_wait_get_other_codecs() {
    let (old, new) = (text(1, 50_000), changed(&text(1, 50_000)));
    let (old, new) = (gzip(&old, 6), gzip(&new, 6));
    for options in [EncodeOptions::new().thorough(true), EncodeOptions::new().containers(true)] {
        let delta = encode(&old, &new, options);
        assert_ne!(region_of(&delta, &new), CONTAINERS);
    }
}

#[test]
fn what_both_sides_have_and_what_is_too_short_stays_packed() {
    let packed = gzip(&text(1, 50_000), 6);
    let (old, new) = ([b"old", &packed[..]].concat(), [&packed[..], b"new"].concat());
    for (old, new) in [(old, new), (script(b"abc"), script(b"abd"))] {
        let delta = encode(&old, &new, options());
        assert_ne!(region_of(&delta, &new), CONTAINERS);
        assert_eq!(apply_whole(&old, &delta), Ok(new));
    }
}

#[test]
fn containers_that_do_not_fit_the_budget_stay_packed() {
    let (old, new) = (gzip(&text(1, 400_000), 6), gzip(&changed(&text(1, 400_000)), 6));
    let delta = encode(&old, &new, options().budget(1 << 20));
    assert_ne!(region_of(&delta, &new), CONTAINERS);
    assert_eq!(apply_whole(&old, &delta), Ok(new));
}

#[test]
fn every_alphabet_and_padding() {
    for len in 3_000..3_004 {
        let (old, new) = (random_bytes(1, len), [b"x", &random_bytes(1, len)[1..len - 1], b"yz"].concat());
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            for (before, after) in [("'", "'"), ("", ""), (" ", "A B"), ("(", "=")] {
                let wrap = |bytes: &[u8]| [before, &engine.encode(bytes), after].concat().into_bytes();
                let (old, new) = (wrap(&old), wrap(&new));
                let delta = encode(&old, &new, options());
                assert_eq!(apply_whole(&old, &delta), Ok(new));
            }
        }
    }
}

/// A file of containers, and of bytes between them that look like some.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..9usize, any::<u64>(), 0..20_000usize, 0..10u32).prop_map(|(kind, number, len, level)| {
        let bytes = text(number % 4, len);
        match kind {
            0 => script(&bytes),
            1 => gzip(&bytes, level),
            2 => zlib(&bytes),
            3 => zip(&[&bytes, &random_bytes(number, len / 8)], deflate),
            4 => gzip(&script(&zlib(&bytes)), level),
            5 => miniz_oxide::deflate::compress_to_vec_zlib(&bytes, level as u8),
            6 => gzip(&bytes, level)[..len.min(40)].to_vec(),
            7 => b"PK\x03\x04\x14\0\0\0\x08\0\x1f\x8b\x08\xff\x78\x9c\x78\x01".to_vec(),
            _ => random_bytes(number, len / 8),
        }
    });
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn files_of_containers_come_back(old in file(), new in file(), dense in any::<bool>()) {
        let codec = if dense { Codec::Dense } else { Codec::Fast };
        let delta = encode(&old, &new, options().codec(codec));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn changed_deltas_are_refused_or_right(
        at in any::<usize>(), other in prop::collection::vec(any::<u8>(), 1..9), kind in 0..3usize
    ) {
        let (old, new) = (text(1, 6_000), changed(&text(1, 6_000)));
        let pack = |bytes: &[u8]| match kind {
            0 => script(bytes),
            1 => gzip(&script(bytes), 6),
            _ => miniz_oxide::deflate::compress_to_vec_zlib(bytes, 7),
        };
        let (old, new) = (pack(&old), pack(&new));
        let mut delta = encode(&old, &new, options());
        prop_assert_eq!(region_of(&delta, &new), CONTAINERS);
        let at = at % delta.len();
        let end = (at + other.len()).min(delta.len());
        delta.splice(at..end, other);
        let made = apply_whole(&old, &delta);
        prop_assert!(made.is_err() || made == Ok(new));
    }
}
