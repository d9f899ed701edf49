use driblet_core::{Basis, Event, Limits, Version};
use wasm_bindgen::prelude::*;

use crate::error::Refused;
use crate::room::Room;
use crate::signer::Matched;

/// Turns a delta and its basis into a verified target. After each `handle…`, poll until it wants input, or is done.
#[wasm_bindgen]
pub struct Decoder {
    machine: driblet_core::Decoder,
    start: f64,
    end: f64,
}

/// What a [`Decoder`] wants or has; `start` and `end` say where.
#[wasm_bindgen]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// More of the delta.
    Input,
    /// The basis' bytes from `start` to `end`, at most 1 MiB.
    Basis,
    /// Nothing: verified output lies in the module's memory from `start` to `end`, until the decoder is touched again.
    Output,
    /// Nothing: the target is complete, and the delta has ended where it should.
    Done,
    /// Nothing: the version named is the head.
    Same,
}

#[wasm_bindgen]
impl Decoder {
    /// For a delta against nothing that makes at most `limit` bytes.
    pub fn none(limit: f64) -> Decoder {
        decoder(Basis::EMPTY, limit)
    }

    /// For a delta against the version that was named in the request, of `len` bytes.
    pub fn version(version: &str, len: f64, limit: f64) -> Result<Decoder, JsValue> {
        let version: Version = version.parse().map_err(driblet_core::BadVersion::refused)?;
        Ok(decoder(Basis::of(&version, len as u64), limit))
    }

    /// For the delta that follows the runs of a matched answer.
    pub fn matched(matched: &Matched, limit: f64) -> Decoder {
        decoder(Basis::matched(&matched.basis), limit)
    }

    /// Takes the first `len` bytes of the room, the next of the delta.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, room: &Room, len: usize) {
        self.machine.handle_input(room.filled(len));
    }

    /// Takes the first `len` bytes of the room, those of the basis that were wanted.
    #[wasm_bindgen(js_name = handleBasis)]
    pub fn handle_basis(&mut self, room: &Room, len: usize) {
        self.machine.handle_basis(room.filled(len));
    }

    /// The delta has ended.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.machine.handle_end();
    }

    /// What to do next; throws where the delta is refused, and then always.
    pub fn poll(&mut self) -> Result<Want, JsValue> {
        let (want, start, end) = match self.machine.poll_event().map_err(Refused::refused)? {
            Event::NeedInput => (Want::Input, 0.0, 0.0),
            Event::NeedBasis(range) => (Want::Basis, range.start as f64, range.end as f64),
            Event::Output(bytes) => {
                let start = bytes.as_ptr() as usize;
                (Want::Output, start as f64, (start + bytes.len()) as f64)
            }
            Event::Done => (Want::Done, 0.0, 0.0),
            Event::Same => (Want::Same, 0.0, 0.0),
        };
        (self.start, self.end) = (start, end);
        Ok(want)
    }

    /// Where what was polled begins: in the basis, or in memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Where it ends.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> f64 {
        self.end
    }

    /// The version that the delta makes, once its header has come.
    #[wasm_bindgen(getter)]
    pub fn target(&self) -> Option<String> {
        self.machine.header().map(|header| header.target().to_string())
    }

    /// The target's length in bytes, once the header has come.
    #[wasm_bindgen(getter)]
    pub fn length(&self) -> Option<f64> {
        self.machine.header().map(|header| header.len() as f64)
    }

    /// What verifies the target group by group when it is read later, once the header has come; of no bytes where it is one group.
    #[wasm_bindgen(getter)]
    pub fn outboard(&self) -> Option<Vec<u8>> {
        self.machine.header().map(|header| header.outboard().encode())
    }

    /// Bytes copied from the basis so far.
    #[wasm_bindgen(getter)]
    pub fn reused(&self) -> f64 {
        self.machine.reused() as f64
    }
}

fn decoder(basis: Basis, limit: f64) -> Decoder {
    Decoder { machine: driblet_core::Decoder::new(basis, Limits::new().target(limit as u64)), start: 0.0, end: 0.0 }
}
