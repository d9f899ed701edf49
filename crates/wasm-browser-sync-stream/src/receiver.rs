use driblet_core::browser_sync_stream::{ChunkHash, MAX_CHUNK, ReceiverEvent};
use wasm_bindgen::prelude::*;

use crate::exception::{Throw, exception};

/// Announces the held chunks, and reads and verifies what the sender sends. After each `handle…`, poll until the
/// receiver wants input or is done.
#[wasm_bindgen]
pub struct Receiver {
    machine: driblet_core::browser_sync_stream::Receiver,
    hash: Option<ChunkHash>,
    start: usize,
    end: usize,
}

/// What a [`Receiver`] gives out.
#[wasm_bindgen]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// Nothing: the receiver wants more input.
    Nothing,
    /// The hash of a chunk that was announced.
    Held,
    /// A new chunk and its hash. The chunk is in the module's memory from `start` to `end`, until the next call of the
    /// receiver.
    New,
    /// The end of the file.
    End,
}

#[wasm_bindgen]
impl Receiver {
    /// A receiver that has announced no chunk.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Receiver {
        Receiver { machine: driblet_core::browser_sync_stream::Receiver::new(MAX_CHUNK), hash: None, start: 0, end: 0 }
    }

    /// Announces a held chunk by the 32 bytes of its hash.
    pub fn announce(&mut self, hash: &[u8]) -> Result<(), JsValue> {
        let hash = hash.try_into().map_err(|_| exception("store", "a hash is 32 bytes"))?;
        self.machine.announce(ChunkHash::from_bytes(hash));
        Ok(())
    }

    /// Ends the list of held chunks.
    #[wasm_bindgen(js_name = endAnnouncing)]
    pub fn end_announcing(&mut self) {
        self.machine.end_announcing();
    }

    /// The next bytes to send.
    #[wasm_bindgen(js_name = pollOutput)]
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.machine.poll_output()
    }

    /// Takes the next bytes from the sender.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.machine.handle_input(bytes);
    }

    /// Call this when the sender has ended its side.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.machine.handle_end();
    }

    /// What came next. Throws if the sender's bytes are refused, and in every later call.
    pub fn poll(&mut self) -> Result<Came, JsValue> {
        Ok(match self.machine.poll_event().map_err(Throw::into_exception)? {
            ReceiverEvent::NeedInput => Came::Nothing,
            ReceiverEvent::Held(hash) => {
                self.hash = Some(hash);
                Came::Held
            }
            ReceiverEvent::New { hash, bytes } => {
                self.hash = Some(hash);
                self.start = bytes.as_ptr() as usize;
                self.end = self.start + bytes.len();
                Came::New
            }
            ReceiverEvent::Done => Came::End,
        })
    }

    /// The hash of the last chunk, as 64 hex digits.
    #[wasm_bindgen(getter)]
    pub fn hash(&self) -> Option<String> {
        self.hash.map(|hash| hash.to_string())
    }

    /// Where the new chunk begins in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where the new chunk ends.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> usize {
        self.end
    }
}
