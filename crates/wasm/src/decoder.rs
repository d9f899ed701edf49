use driblet_core::{Basis, Event, Limits, Version};
use wasm_bindgen::prelude::*;

use crate::exception::Throw;
use crate::room::Room;
#[cfg(feature = "codecs")]
use crate::signer::Matched;
use crate::want::Want;

/// Turns a delta and its basis into a verified target. After each `handle…`, poll until the decoder wants input or is
/// done.
#[wasm_bindgen]
pub struct Decoder {
    machine: driblet_core::Decoder,
    start: f64,
    end: f64,
}

#[wasm_bindgen]
impl Decoder {
    /// A decoder for a first sync whose target has at most `limit` bytes.
    pub fn none(limit: f64) -> Decoder {
        decoder(Basis::EMPTY, limit)
    }

    /// A decoder for a delta against the version that the request named. The version has `len` bytes.
    pub fn version(version: &str, len: f64, limit: f64) -> Result<Decoder, JsValue> {
        let version: Version = version.parse().map_err(driblet_core::BadVersion::into_exception)?;
        Ok(decoder(Basis::of(&version, len as u64), limit))
    }

    /// A decoder for the delta after the runs of a matched answer.
    #[cfg(feature = "codecs")]
    pub fn matched(matched: &Matched, limit: f64) -> Decoder {
        decoder(Basis::matched(&matched.basis), limit)
    }

    /// Takes the next bytes of the delta: the first `len` bytes of the room.
    #[wasm_bindgen(js_name = handleInput)]
    pub fn handle_input(&mut self, room: &Room, len: usize) {
        self.machine.handle_input(room.filled(len));
    }

    /// Takes the bytes of the basis that the decoder wanted: the first `len` bytes of the room.
    #[wasm_bindgen(js_name = handleBasis)]
    pub fn handle_basis(&mut self, room: &Room, len: usize) {
        self.machine.handle_basis(room.filled(len));
    }

    /// Call this when the delta has ended.
    #[wasm_bindgen(js_name = handleEnd)]
    pub fn handle_end(&mut self) {
        self.machine.handle_end();
    }

    /// What the decoder wants next. Throws if the delta is refused, and in every later call.
    pub fn poll(&mut self) -> Result<Want, JsValue> {
        let (want, start, end) = match self.machine.poll_event().map_err(Throw::into_exception)? {
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

    /// Where the range begins: in the basis, or in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Where the range ends.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> f64 {
        self.end
    }

    /// The version that the delta makes, if its header has come.
    #[wasm_bindgen(getter)]
    pub fn target(&self) -> Option<String> {
        self.machine.header().map(|header| header.target().to_string())
    }

    /// The length of the target in bytes, if the header has come.
    #[wasm_bindgen(getter)]
    pub fn length(&self) -> Option<f64> {
        self.machine.header().map(|header| header.len() as f64)
    }

    /// The outboard that verifies the target group by group when it is read later, if the header has come. It is empty
    /// if the target is one group.
    #[wasm_bindgen(getter)]
    pub fn outboard(&self) -> Option<Vec<u8>> {
        self.machine.header().map(|header| header.outboard().encode())
    }

    /// How many bytes were copied from the basis so far.
    #[wasm_bindgen(getter)]
    pub fn reused(&self) -> f64 {
        self.machine.reused() as f64
    }
}

fn decoder(basis: Basis, limit: f64) -> Decoder {
    Decoder { machine: driblet_core::Decoder::new(basis, Limits::new().target(limit as u64)), start: 0.0, end: 0.0 }
}
