use std::sync::Arc;

use driblet_core::browser_sync_stream::{Chunk, ChunkHash, ChunkIndex, Cutter, RabinOptions};
use wasm_bindgen::prelude::*;

use crate::error::Refused;

/// The hash of a chunk's bytes, as 64 hex digits.
#[wasm_bindgen]
pub fn hash(bytes: &[u8]) -> String {
    ChunkHash::of(bytes).to_string()
}

/// The chunks of a file that comes piece by piece, without their bytes.
#[wasm_bindgen]
pub struct Chunks {
    cutter: Cutter,
    pub(crate) known: Vec<Chunk>,
}

#[wasm_bindgen]
impl Chunks {
    /// Of a file of which nothing is cut yet. 0 means an option's default.
    #[wasm_bindgen(constructor)]
    pub fn new(bits: u32, min: u32, max: u32) -> Result<Chunks, JsValue> {
        let cutter = Cutter::new(RabinOptions { bits, min, max }).map_err(Refused::refused)?;
        Ok(Chunks { cutter, known: Vec::new() })
    }

    /// Takes the next bytes of the file.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.cutter.handle_input(bytes);
        self.collect();
    }

    /// The file has ended.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.cutter.handle_end();
        self.collect();
    }

    /// How many chunks are known so far.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// The hash of the chunk of that number, as 64 hex digits; nothing where there is none, here and below.
    pub fn hash(&self, at: usize) -> Option<String> {
        self.known.get(at).map(|chunk| chunk.hash.to_string())
    }

    /// Where it begins in the file.
    pub fn offset(&self, at: usize) -> Option<f64> {
        self.known.get(at).map(|chunk| chunk.offset as f64)
    }

    /// Its length in bytes.
    pub fn length(&self, at: usize) -> Option<u32> {
        self.known.get(at).map(|chunk| chunk.len)
    }

    fn collect(&mut self) {
        self.known.extend(std::iter::from_fn(|| self.cutter.poll_chunk()));
    }

    pub(crate) fn index(&self) -> Arc<ChunkIndex> {
        Arc::new(ChunkIndex::of(&self.known))
    }
}
