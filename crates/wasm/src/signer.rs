use driblet_core::{Chunk, Chunker, MatchedBasis, Rung, Runs, Signature};
use wasm_bindgen::prelude::*;

use crate::error::{Refused, exception};
use crate::room::Room;

/// Describes what is held to a server that does not know it.
#[wasm_bindgen]
pub struct Signer {
    chunker: Chunker,
    rung: Rung,
    chunks: Vec<Chunk>,
    signature: Option<Signature>,
}

#[wasm_bindgen]
impl Signer {
    /// Cuts at the rung that the server named.
    #[wasm_bindgen(constructor)]
    pub fn new(rung: u8) -> Result<Signer, JsValue> {
        let rung = Rung::new(rung).map_err(Refused::refused)?;
        Ok(Signer { chunker: Chunker::new(rung), rung, chunks: Vec::new(), signature: None })
    }

    /// Takes the first `len` bytes of the room, the next of what is held.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, room: &Room, len: usize) {
        self.chunker.handle_input(room.filled(len));
        self.take_chunks();
    }

    /// The signature, once all that is held has been handed in. `nonce` is 16 random bytes, `head_chunks` the
    /// number of the server's chunks.
    pub fn sign(&mut self, nonce: &[u8], head_chunks: f64) -> Result<Vec<u8>, JsValue> {
        let nonce = nonce.try_into().map_err(|_| exception("bad-nonce", "a nonce is 16 bytes"))?;
        self.chunker.handle_end();
        self.take_chunks();
        let signature = Signature::sign(nonce, self.rung, &self.chunks, head_chunks as u64);
        Ok(self.signature.insert(signature).encode())
    }

    /// Reads the start of the matched answer; nothing where more bytes are needed.
    pub fn matched(&self, answer: &[u8]) -> Result<Option<Matched>, JsValue> {
        let Some(signature) = &self.signature else {
            return Err(exception("not-signed", "an answer needs a signature first"));
        };
        let decoded = Runs::decode(answer, signature.count()).map_err(Refused::refused)?;
        Ok(decoded
            .map(|(runs, consumed)| Matched { basis: MatchedBasis::new(&runs, signature, &self.chunks), consumed }))
    }

    fn take_chunks(&mut self) {
        while let Some(chunk) = self.chunker.poll_chunk() {
            self.chunks.push(chunk);
        }
    }
}

/// The basis that a server made of the chunks that matched.
#[wasm_bindgen]
pub struct Matched {
    pub(crate) basis: MatchedBasis,
    consumed: usize,
}

#[wasm_bindgen]
impl Matched {
    /// How many bytes of the answer the runs took; the delta follows.
    #[wasm_bindgen(getter)]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// Where the basis' bytes from `start` to `end` lie in what is held: starts and ends by turns, in basis order.
    pub fn locate(&self, start: f64, end: f64) -> Vec<f64> {
        let ranges = self.basis.locate(start as u64..end as u64);
        ranges.flat_map(|range| [range.start as f64, range.end as f64]).collect()
    }
}
