use driblet_core::{Chunk, ChunkSize, ChunkSizes, Chunker, MatchedBasis, Runs, Signature};
use wasm_bindgen::prelude::*;

use crate::exception::{Throw, exception};
use crate::room::Room;

/// Describes what a receiver holds to a server that does not know its version.
#[wasm_bindgen]
pub struct Signer {
    chunker: Chunker,
    signed: Option<Vec<Chunk>>,
}

#[wasm_bindgen]
impl Signer {
    /// A signer that cuts at the sizes that the server named.
    #[wasm_bindgen(constructor)]
    pub fn new(sections: u8, chunks: u8) -> Result<Signer, JsValue> {
        let size = |log2| ChunkSize::new(log2).map_err(Throw::into_exception);
        let sizes = ChunkSizes { sections: size(sections)?, chunks: size(chunks)? };
        Ok(Signer { chunker: Chunker::new(sizes), signed: None })
    }

    /// Takes the next bytes of the held file: the first `len` bytes of the room.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, room: &Room, len: usize) {
        self.chunker.handle_input(room.filled(len));
    }

    /// The signature of the held file, after all its bytes were handed in. `nonce` is 16 random bytes, `list` is the
    /// list of the head's sections.
    pub fn sign(&mut self, nonce: &[u8], list: &[u8]) -> Result<Vec<u8>, JsValue> {
        let nonce = nonce.try_into().map_err(|_| exception("bad-nonce", "a nonce is 16 bytes"))?;
        let chunks = self.chunker.finish().describe(list);
        Ok(Signature::sign(nonce, self.signed.insert(chunks)).encode())
    }

    /// Reads the start of the matched answer; `undefined` if more bytes are needed.
    pub fn matched(&self, answer: &[u8]) -> Result<Option<Matched>, JsValue> {
        let Some(chunks) = &self.signed else {
            return Err(exception("not-signed", "an answer needs a signature first"));
        };
        let decoded = Runs::decode(answer, Signature::count_of(chunks)).map_err(Throw::into_exception)?;
        Ok(decoded.map(|(runs, consumed)| Matched { basis: MatchedBasis::new(&runs, chunks), consumed }))
    }
}

/// The basis that the matched chunks make.
#[wasm_bindgen]
pub struct Matched {
    pub(crate) basis: MatchedBasis,
    consumed: usize,
}

#[wasm_bindgen]
impl Matched {
    /// How many bytes of the answer the runs took. The delta follows them.
    #[wasm_bindgen(getter)]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// The ranges of the held file that make up the basis from `start` to `end`: a start and an end for each range, in
    /// basis order.
    pub fn locate(&self, start: f64, end: f64) -> Vec<f64> {
        let ranges = self.basis.locate(start as u64..end as u64);
        ranges.flat_map(|range| [range.start as f64, range.end as f64]).collect()
    }
}
