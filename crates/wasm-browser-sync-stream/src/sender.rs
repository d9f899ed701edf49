use driblet_core::browser_sync_stream::SenderEvent;
use wasm_bindgen::prelude::*;

use crate::chunks::Chunks;
use crate::error::Refused;

/// Takes a receiver's list, and says of each chunk what is to be sent. After each `handle…`, poll.
#[wasm_bindgen]
pub struct Sender(driblet_core::browser_sync_stream::Sender);

/// What a [`Sender`] wants or has.
#[wasm_bindgen]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// More of the list.
    Input,
    /// To know all chunks of the file, for the list is long.
    Chunks,
    /// Nothing: the list is complete.
    Nothing,
}

#[wasm_bindgen]
impl Sender {
    /// A sender that holds at most `room` hashes before it knows the file's chunks.
    #[wasm_bindgen(constructor)]
    pub fn new(room: usize) -> Sender {
        Sender(driblet_core::browser_sync_stream::Sender::new(room))
    }

    /// Takes the next bytes of the list.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.0.handle_input(bytes);
    }

    /// The receiver has ended its side.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.0.handle_end();
    }

    /// All chunks of the file.
    #[wasm_bindgen(js_name = handleChunks)]
    pub fn handle_chunks(&mut self, chunks: &Chunks) {
        self.0.keep_only(chunks.index());
    }

    /// What to do next; throws where the list is refused, and then always.
    pub fn poll(&mut self) -> Result<Asked, JsValue> {
        Ok(match self.0.poll_event().map_err(Refused::refused)? {
            SenderEvent::NeedInput => Asked::Input,
            SenderEvent::Full => Asked::Chunks,
            SenderEvent::Listed => Asked::Nothing,
        })
    }

    /// The message about the chunk of that number, without the chunk's bytes. They follow where its first byte is not 32.
    pub fn head(&self, chunks: &Chunks, at: usize) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        self.0.put_head(chunks.known.get(at)?, &mut head);
        Some(head)
    }
}
