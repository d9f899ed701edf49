//! The bytes that the protocol's rules make of a file.
#![allow(dead_code)]

use std::collections::HashSet;

use driblet::browser_sync_stream::{ChunkHash, RabinOptions};
use driblet_core::browser_sync_stream::{Cutter, RabinChunk};

use crate::random::random_bytes;

pub(crate) const CHUNKS: RabinOptions = RabinOptions::new().bits(9).min(1024).max(4096);

/// A file's chunks, each with its bytes.
pub(crate) fn cut(file: &[u8]) -> Vec<(RabinChunk, &[u8])> {
    let mut cutter = Cutter::new(CHUNKS).unwrap();
    cutter.handle_input(file);
    cutter.handle_end();
    std::iter::from_fn(|| cutter.poll_chunk()).map(|chunk| (chunk, &file[chunk.range()])).collect()
}

pub(crate) fn hashes(file: &[u8]) -> HashSet<ChunkHash> {
    cut(file).into_iter().map(|(chunk, _)| chunk.hash).collect()
}

/// A message after its length, which is below 2^14.
pub(crate) fn message(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.concat();
    let len = bytes.len();
    let prefix = if len < 128 { vec![len as u8] } else { vec![len as u8 | 128, u8::try_from(len >> 7).unwrap()] };
    [prefix, bytes].concat()
}

/// The list of a receiver that holds these chunks.
pub(crate) fn list(held: &HashSet<ChunkHash>) -> Vec<u8> {
    let hashes = held.iter().flat_map(|hash| message(&[hash.as_bytes()]));
    hashes.chain([1, 0]).collect()
}

/// The bytes of a file for a receiver that holds these chunks.
pub(crate) fn answer(held: &HashSet<ChunkHash>, file: &[u8]) -> Vec<u8> {
    let told = |(chunk, bytes): (RabinChunk, &[u8])| {
        let bytes = if held.contains(&chunk.hash) { &[] } else { bytes };
        message(&[chunk.hash.as_bytes(), bytes])
    };
    cut(file).into_iter().flat_map(told).collect()
}

/// Two versions of a file that differ in three places, with a chunk that occurs twice.
pub(crate) fn versions() -> (Vec<u8>, Vec<u8>) {
    let old = random_bytes(1, 300_000);
    let twice = vec![7; 20_000];
    let new = [
        &old[..90_000],
        &random_bytes(2, 5_000),
        &old[100_000..250_000],
        &twice,
        &old[250_000..],
        &random_bytes(3, 999),
    ]
    .concat();
    (old, new)
}
