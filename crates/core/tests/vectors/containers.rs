//! Pairs whose delta is one region in codec 4, and malformed regions.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use driblet_core::EncodeOptions;
use flate2::write::DeflateEncoder;
use flate2::{Compress, Compression, FlushCompress};
use serde_json::{Value, json};

use super::input::{bytes_of, hex};
use super::varint::put_varint;
use super::write::{bad, code, good_with, header, with};

fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Ends a block after each piece, and has a stored one after it. zlib encodes short blocks with the fixed codes.
fn flushed(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (mut compress, mut out) =
        (Compress::new(Compression::best(), false), Vec::with_capacity(2 * bytes.len() + 999));
    for piece in bytes.chunks(piece) {
        compress.compress_vec(piece, &mut out, FlushCompress::Sync).unwrap();
    }
    compress.compress_vec(&[], &mut out, FlushCompress::Finish).unwrap();
    out
}

fn gzip(packed: &[u8]) -> Vec<u8> {
    [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", packed, b"checksum"].concat()
}

fn quoted(text: &str) -> Vec<u8> {
    format!("const bytes = '{text}';\n").into_bytes()
}

/// A script with a module in a string, which ends with bytes of all kinds. Escapes one kind of quotes, or both if `only`
/// is 0.
fn string_of(bytes: &[u8], shift: u8, only: u8) -> Vec<u8> {
    let quote = if only == 0 { '"' } else { char::from(only) };
    let all: Vec<u8> = (0..=255).collect();
    let module = [b"\0asm\x01\0\0\0", bytes, &all].concat();
    let mut text = String::new();
    for byte in module {
        match char::from_u32(u32::from(byte) + u32::from(shift)).unwrap() {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            mark @ ('"' | '\'') if only == 0 || mark == quote => text.extend(['\\', mark]),
            other => text.push(other),
        }
    }
    format!("const bytes = {quote}{text}{quote};\n").into_bytes()
}

pub(super) fn containers() -> Vec<Value> {
    let [old, new] = [["f", "e", "t", "n"], ["f", "e", "there", "n"]].map(|names| bytes_of(&code(names)));
    let good = |name: &str, pack: &dyn Fn(&[u8]) -> Vec<u8>| {
        let [old, new] = [&old, &new].map(|bytes| json!({ "hex": hex(&pack(bytes)) }));
        let options = EncodeOptions::new().thorough(true).containers(true);
        good_with(&format!("containers: {name}"), &old, &new, options, 0x84)
    };
    let mut all = vec![
        good("base64", &|bytes| quoted(&STANDARD.encode(bytes))),
        good("base64 for URLs, without padding", &|bytes| quoted(&URL_SAFE_NO_PAD.encode(bytes))),
        good("zlib's level 1", &|bytes| gzip(&deflate(bytes, 1))),
        good("zlib's level 6", &|bytes| gzip(&deflate(bytes, 6))),
        good("zlib's level 9, with a smaller window", &|bytes| {
            let mut compress = Compress::new_with_window_bits(Compression::best(), true, 10);
            let mut out = Vec::with_capacity(bytes.len());
            compress.compress_vec(bytes, &mut out, FlushCompress::Finish).unwrap();
            out
        }),
        good("another encoder of deflate", &|bytes| gzip(&miniz_oxide::deflate::compress_to_vec(bytes, 8))),
        good("fixed codes", &|bytes| gzip(&flushed(&bytes[..600], 40))),
        good("deflate with flushes and stored blocks", &|bytes| gzip(&flushed(bytes, 1000))),
        good("a module in a string", &|bytes| string_of(bytes, 0, b'\'')),
        good("a module in a string, shifted", &|bytes| string_of(bytes, 1, b'"')),
        good("a module in a string, shifted, all quotes escaped", &|bytes| string_of(bytes, 1, 0)),
        good("gzip of base64", &|bytes| gzip(&deflate(&quoted(&STANDARD.encode(bytes)), 6))),
    ];
    let basis = json!({ "repeat": "42", "len": 64 });
    let region = |bytes: &[u8]| with(header(&basis, 70), bytes);
    let refused =
        |name: &str, bytes: &[u8], reason: &str| bad(&format!("containers: {name}"), &basis, &region(bytes), reason);
    let listed_with = |lists: &[u64], inside: u8| {
        let mut numbers = Vec::new();
        lists.iter().for_each(|number| put_varint(&mut numbers, *number));
        let mut out = vec![0x84];
        put_varint(&mut out, numbers.len() as u64);
        // The regions inside: stored bytes.
        with(with(with(out, &[0]), &numbers), &[[0x80].as_slice(), &[inside; 70]].concat())
    };
    let listed = |lists: &[u64]| listed_with(lists, 0x41);
    let list = |name: &str, lists: &[u64], reason: &str| refused(name, &listed(lists), reason);
    // With a basis that begins so.
    let on = |start: &[u8], name: &str, lists: &[u64]| {
        let bytes = [start, &[0x42; 60]].concat();
        let basis = json!({ "hex": hex(&bytes) });
        bad(&format!("containers: {name}"), &basis, &with(header(&basis, 70), &listed(lists)), "bad-containers")
    };
    let cut = |delta: &Value| {
        let whole = super::input::unhex(delta["delta"].as_str().unwrap());
        bad("containers: cut", &delta["basis"], &whole[..whole.len() - 1], "truncated")
    };
    let over = (64 << 20) + 1;
    let mut long_lists = vec![0x84];
    put_varint(&mut long_lists, (1 << 20) + 1);
    all.push(cut(&all[3]));
    all.extend([
        refused("lists that are too long", &long_lists, "limit-stream-lists"),
        refused("packed lists that are not shorter", &[0x84, 4, 4, 0, 0, 0, 0], "bad-containers"),
        refused("lists that end too soon", &[0x84, 1, 0, 0, 0x80], "bad-containers"),
        list("bytes after the lists", &[0, 0, 0], "bad-containers"),
        list("more streams than allowed", &[(1 << 16) + 1, 0], "limit-streams"),
        list("2^40 bytes of content", &[1, 0, 4, 0, 1 << 40, 0], "limit-unpacked"),
        list("more content than allowed", &[0, 1, 0, 4, 0, over], "limit-unpacked"),
        list("more content than allowed, together", &[0, 2, 0, 4, 0, over - 50, 0, 4, 0, 50], "limit-unpacked"),
        list("a stream outside the basis", &[1, 61, 4, 0, 3, 0], "bad-containers"),
        list("a stream outside the target", &[0, 1, 67, 4, 0, 3], "bad-containers"),
        list("a gap of 2^63", &[0, 1, 1 << 63, 1 << 63, 0, 3], "bad-containers"),
        list("a stream without bytes", &[1, 0, 0, 0, 0, 0], "bad-containers"),
        list("form 16", &[1, 0, 4, 16, 4, 0], "bad-containers"),
        list("form 32", &[1, 0, 4, 32, 4, 0], "bad-containers"),
        list("a text of another length", &[1, 0, 4, 4, 3, 0], "bad-containers"),
        refused("a text that becomes longer", &listed_with(&[0, 1, 0, 4, 4, 4], b'\n'), "bad-containers"),
        on(b"\\r\\x", "a text with an escape that is not known", &[1, 0, 4, 4, 2, 0]),
        on(b"a\nbc", "a text that could be written otherwise", &[1, 0, 4, 4, 4, 0]),
        on(b"\\'\\'", "a text whose quotes are not escaped", &[1, 0, 4, 4, 2, 0]),
        on(b"\xc4\x81\xc2\x80", "a text with a character beyond all bytes", &[1, 0, 4, 20, 2, 0]),
        on(b"\0abc", "a text with a character before all bytes", &[1, 0, 4, 20, 4, 0]),
        on(b"abc\xc3", "a text that is cut", &[1, 0, 4, 4, 4, 0]),
        on(b"\xc1\x81ab", "a text that is not UTF-8", &[1, 0, 4, 4, 3, 0]),
        list("level 10", &[0, 1, 0, 4, 2 + 4 * 10, 3], "bad-containers"),
        list("a window of 2^8", &[0, 1, 0, 4, 2 + 4 * 6 + 64 * 7, 3], "bad-containers"),
        list("a level in the basis", &[1, 0, 4, 2 + 4 * 6, 3, 0], "bad-containers"),
        list("no level in the target", &[0, 1, 0, 4, 2, 3], "bad-containers"),
        list("base64 of another length", &[1, 0, 5, 0, 3, 0], "bad-containers"),
        list("base64 that does not end so", &[1, 0, 6, 0, 4, 0], "bad-containers"),
        list("deflate that is none", &[1, 0, 64, 2, 64, 0], "bad-containers"),
        list("symbols that are none", &[1, 0, 64, 3, 64, 64, 0], "bad-containers"),
        list("symbols that make no stream", &[0, 1, 0, 4, 3, 4, 2], "bad-containers"),
        list("symbols with more plain bytes than content", &[0, 1, 0, 4, 3, 4, 64], "bad-containers"),
        list("deflate that becomes longer", &[0, 1, 0, 4, 2 + 4 * 6, 4], "bad-containers"),
        refused(
            "three regions in each other",
            &[0x84, 2, 0, 0, 0, 0x84, 2, 0, 0, 0, 0x84, 2, 0, 0, 0],
            "bad-containers",
        ),
    ]);
    all
}
