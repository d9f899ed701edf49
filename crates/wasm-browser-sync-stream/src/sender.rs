use driblet_core::browser_sync_stream::SenderEvent;
use wasm_bindgen::prelude::*;

use crate::chunks::Chunks;
use crate::exception::Throw;

/// Reads a receiver's list, and tells what to send for each chunk. After each `handle…`, poll.
#[wasm_bindgen]
pub struct Sender(driblet_core::browser_sync_stream::Sender);

/// What a [`Sender`] wants.
#[wasm_bindgen]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The sender wants more of the list.
    Input,
    /// The list is long, so the sender wants all chunks of the file.
    Chunks,
    /// Nothing: the list is complete.
    Nothing,
}

#[wasm_bindgen]
impl Sender {
    /// A sender that holds at most `room` hashes before it gets the chunks of the file.
    #[wasm_bindgen(constructor)]
    pub fn new(room: usize) -> Sender {
        Sender(driblet_core::browser_sync_stream::Sender::new(room))
    }

    /// Takes the next bytes of the list.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.0.handle_input(bytes);
    }

    /// Call this when the receiver has ended its side.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.0.handle_end();
    }

    /// Takes all chunks of the file.
    #[wasm_bindgen(js_name = handleChunks)]
    pub fn handle_chunks(&mut self, chunks: &Chunks) {
        self.0.keep_only(chunks.index());
    }

    /// What the sender wants next. Throws if the list is refused, and in every later call.
    pub fn poll(&mut self) -> Result<Asked, JsValue> {
        Ok(match self.0.poll_event().map_err(Throw::into_exception)? {
            SenderEvent::NeedInput => Asked::Input,
            SenderEvent::Full => Asked::Chunks,
            SenderEvent::Listed => Asked::Nothing,
        })
    }

    /// The message about the chunk with this index, without the chunk's bytes. The bytes must follow if the first byte
    /// of the message is not 32.
    pub fn head(&self, chunks: &Chunks, at: usize) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        self.0.put_head(chunks.known.get(at)?, &mut head);
        Some(head)
    }
}
