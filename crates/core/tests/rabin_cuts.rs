//! Compares cut points with those of npm `rabin`, which made `spec/rabin-cuts.json`.

use std::path::Path;

use driblet_core::browser_sync_stream::{ChunkHash, Cutter, RabinChunk, RabinOptions};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../spec/rabin-cuts.json")).unwrap()
}

fn options(case: &Value) -> RabinOptions {
    let option = |name: &str| case["options"][name].as_u64().unwrap_or(0) as u32;
    RabinOptions::new().bits(option("bits")).min(option("min")).max(option("max"))
}

/// The inputs, as the file defines them. Some need the benchmark's corpus (`bench/corpus/make.sh`).
fn input(name: &str, len: usize) -> Option<Vec<u8>> {
    Some(match name {
        "zeros" => vec![0; len],
        "xorshift" => {
            let mut state = 1u32;
            let step = |_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            };
            (0..len).map(step).collect()
        }
        "text" => {
            let line = |i: u64| format!("line {i} of a file that changes: {}\n", i * i % 9973).into_bytes();
            (0..).flat_map(line).take(len).collect()
        }
        pair => {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/data").join(pair);
            let bytes = std::fs::read(file).ok()?;
            assert_eq!(bytes.len(), len, "{pair} is another release");
            bytes
        }
    })
}

fn cut(bytes: &[u8], options: RabinOptions, piece: usize) -> Vec<RabinChunk> {
    let mut cutter = Cutter::new(options).unwrap();
    let mut chunks = Vec::new();
    for piece in bytes.chunks(piece) {
        cutter.handle_input(piece);
        chunks.extend(std::iter::from_fn(|| cutter.poll_chunk()));
    }
    cutter.handle_end();
    chunks.extend(std::iter::from_fn(|| cutter.poll_chunk()));
    chunks
}

#[test]
fn cuts_are_those_of_npm_rabin() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 144);
    let mut missing = 0;
    for case in cases {
        let (name, len) = (case["input"].as_str().unwrap(), case["len"].as_u64().unwrap() as usize);
        let Some(bytes) = input(name, len) else {
            missing += 1;
            continue;
        };
        let what = format!("{name}, {len} bytes, {:?}", case["options"]);
        let chunks = cut(&bytes, options(case), 65_536);
        let lens: Vec<u32> = chunks.iter().map(|chunk| chunk.len).collect();
        let told = case.get("lengths").unwrap_or(&case["first"]).as_array().unwrap();
        let told: Vec<u32> = told.iter().map(|len| len.as_u64().unwrap() as u32).collect();
        assert_eq!(&lens[..told.len()], told, "{what}");
        assert_eq!(lens.len() as u64, case["chunks"].as_u64().unwrap(), "{what}");
        let all: Vec<u8> = lens.iter().flat_map(|len| len.to_le_bytes()).collect();
        assert_eq!(ChunkHash::of(&all).to_string(), case["sha256_of_lengths"].as_str().unwrap(), "{what}");
        assert_eq!(cut(&bytes, options(case), 4_099), chunks, "{what}");
    }
    // The inputs from the corpus can be missing; the others are made above.
    assert!(missing <= 18, "{missing} inputs are missing");
}

#[test]
fn chunks_are_adjacent_and_have_their_hashes() {
    let bytes = input("text", 100_000).unwrap();
    let mut end = 0;
    for chunk in cut(&bytes, RabinOptions::new().bits(9).min(1024).max(4096), 1) {
        assert_eq!(chunk.range().start, end);
        assert_eq!(chunk.hash, ChunkHash::of(&bytes[chunk.range()]));
        end = chunk.range().end;
    }
    assert_eq!(end, bytes.len());
}

/// The loop of npm `rabin`, byte for byte. It skips no byte, and the fingerprint is the remainder of a polynomial.
fn naive(bytes: &[u8], (bits, min, max): (u32, usize, usize)) -> Vec<usize> {
    const POLYNOMIAL: u64 = 0x3d_a335_8b4d_c173;
    let append = |fingerprint: u64, byte: u8| {
        let mut rest = fingerprint << 8 | u64::from(byte);
        while 53 <= rest.checked_ilog2().unwrap_or(0) {
            rest ^= POLYNOMIAL << (rest.ilog2() - 53);
        }
        rest
    };
    let (mut lens, mut start) = (Vec::new(), 0);
    for end in 1..=bytes.len() {
        let len = end - start;
        let seen = [&[0; 63][..], &[1], &bytes[start..end]].concat();
        let fingerprint = seen[seen.len() - 64..].iter().fold(0, |rest, byte| append(rest, *byte));
        if (min <= len && fingerprint & ((1 << bits) - 1) == 0) || max <= len {
            lens.push(len);
            start = end;
        }
    }
    lens.extend(Some(bytes.len() - start).filter(|len| *len != 0));
    lens
}

#[test]
fn odd_options_cut_like_the_naive_loop() {
    let bytes = input("xorshift", 3_000).unwrap();
    for (bits, min, max) in
        [(1, 1, 5), (3, 1, 200), (5, 63, 64), (4, 64, 65), (6, 65, 700), (7, 300, 100), (30, 9, 999)]
    {
        let options = RabinOptions::new().bits(bits).min(min as u32).max(max as u32);
        for piece in [1, 7, 64, 3_000] {
            let lens: Vec<usize> = cut(&bytes, options, piece).iter().map(|chunk| chunk.len as usize).collect();
            assert_eq!(lens, naive(&bytes, (bits, min, max)), "{options:?} in pieces of {piece}");
        }
    }
}

#[test]
fn impossible_options_are_refused() {
    let refusal = |bits, max| Cutter::new(RabinOptions::new().bits(bits).max(max)).err().unwrap().to_string();
    assert_eq!(refusal(31, 0), "an average of 2^31 bytes is more than chunks can have; bits are at most 30");
    let long = refusal(0, (16 << 20) + 1);
    assert_eq!(long, "chunks of 16777217 bytes are more than receivers take; max is at most 16777216");
    let text = |text: &str| text.parse::<RabinOptions>().unwrap_err().to_string();
    assert_eq!(text("31,0,0"), refusal(31, 0));
    for malformed in ["", "9,1024", "9,1024,4096,1", "9,-1,4096", "9,1k,4096"] {
        assert_eq!(text(malformed), "the options must be three whole numbers, such as 9,1024,4096");
    }
}
