use std::sync::Arc;

use driblet_core::directory::{self, Manifest, PartsEvent, PlannedPart};
use wasm_bindgen::prelude::*;

use crate::exception::Throw;
use crate::room::Room;
use crate::want::Want;

/// Turns a part and the old files that it names into new files, each verified. After each `handle…`, poll until the
/// decoder wants input or is done.
#[wasm_bindgen]
pub struct PartsDecoder {
    machine: directory::PartsDecoder,
    file: usize,
    start: f64,
    end: f64,
    is_last: bool,
}

impl PartsDecoder {
    pub(crate) fn new(part: PlannedPart, old: Option<Arc<Manifest>>, new: Arc<Manifest>) -> PartsDecoder {
        let machine = directory::PartsDecoder::new(vec![part], old, new);
        PartsDecoder { machine, file: 0, start: 0.0, end: 0.0, is_last: false }
    }
}

#[wasm_bindgen]
impl PartsDecoder {
    /// Takes the next bytes of the part: the first `len` bytes of the room.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, room: &Room, len: usize) {
        self.machine.handle_input(room.filled(len));
    }

    /// Takes the bytes of the old file that the decoder wanted: the first `len` bytes of the room.
    #[wasm_bindgen(js_name = handleBasis)]
    pub fn handle_basis(&mut self, room: &Room, len: usize) {
        self.machine.handle_basis(room.filled(len));
    }

    /// Call this when the part has ended.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.machine.handle_end();
    }

    /// What the decoder wants next. Throws if the part is refused, and in every later call.
    pub fn poll(&mut self) -> Result<Want, JsValue> {
        let want = match self.machine.poll_event().map_err(Throw::into_exception)? {
            PartsEvent::NeedInput => Want::Input,
            PartsEvent::NeedBasis { file, range } => {
                (self.file, self.start, self.end) = (file, range.start as f64, range.end as f64);
                Want::Basis
            }
            PartsEvent::Output { file, bytes, is_last } => {
                let start = bytes.as_ptr() as usize;
                (self.file, self.is_last) = (file, is_last);
                (self.start, self.end) = (start as f64, (start + bytes.len()) as f64);
                Want::Output
            }
            PartsEvent::Done => Want::Done,
        };
        Ok(want)
    }

    /// Which file the range is of: its index in the old manifest if the decoder wants bytes, otherwise in the new one.
    #[wasm_bindgen(getter)]
    pub fn file(&self) -> usize {
        self.file
    }

    /// Where the range begins: in the old file, or in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Where the range ends.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Whether the file is complete, and was found to have its version. Use no file before that.
    #[wasm_bindgen(getter, js_name = isLast)]
    pub fn is_last(&self) -> bool {
        self.is_last
    }
}
