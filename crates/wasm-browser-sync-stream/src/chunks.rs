use std::sync::Arc;

use driblet_core::browser_sync_stream::{ChunkHash, ChunkIndex, Cutter, RabinChunk, RabinOptions};
use wasm_bindgen::prelude::*;

use crate::exception::Throw;

/// The hash of a chunk's bytes, as 64 hex digits.
#[wasm_bindgen]
pub fn hash(bytes: &[u8]) -> String {
    ChunkHash::of(bytes).to_string()
}

/// Cuts a file into chunks piece by piece. It keeps the chunks, without their bytes.
#[wasm_bindgen]
pub struct Chunks {
    cutter: Cutter,
    pub(crate) known: Vec<RabinChunk>,
}

#[wasm_bindgen]
impl Chunks {
    /// Cuts by these options of npm `rabin`. 0 means the default of an option.
    #[wasm_bindgen(constructor)]
    pub fn new(bits: u32, min: u32, max: u32) -> Result<Chunks, JsValue> {
        let cutter = Cutter::new(RabinOptions::new().bits(bits).min(min).max(max)).map_err(Throw::into_exception)?;
        Ok(Chunks { cutter, known: Vec::new() })
    }

    /// Takes the next bytes of the file.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.cutter.handle_input(bytes);
        self.collect();
    }

    /// Call this when the file has ended.
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

    /// The hash of the chunk with this index, as 64 hex digits; `undefined` if there is no such chunk.
    pub fn hash(&self, at: usize) -> Option<String> {
        self.known.get(at).map(|chunk| chunk.hash.to_string())
    }

    /// The position of the chunk with this index in the file; `undefined` if there is no such chunk.
    pub fn offset(&self, at: usize) -> Option<f64> {
        self.known.get(at).map(|chunk| chunk.offset as f64)
    }

    /// The length of the chunk with this index in bytes; `undefined` if there is no such chunk.
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
