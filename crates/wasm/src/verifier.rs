use driblet_core::{BadVersion, GroupVerifier, Outboard, Version};
use wasm_bindgen::prelude::*;

use crate::error::Refused;
use crate::room::Room;

/// Verifies what is read of a version that is kept, group by group.
#[wasm_bindgen]
pub struct Verifier {
    outboard: Outboard,
    group: GroupVerifier,
}

#[wasm_bindgen]
impl Verifier {
    /// For a version of `len` bytes, by its [outboard](crate::Decoder::outboard); without one, or where it is wrong, the version is one group.
    #[wasm_bindgen(constructor)]
    pub fn new(version: &str, len: f64, outboard: &[u8]) -> Result<Verifier, JsValue> {
        let version: Version = version.parse().map_err(BadVersion::refused)?;
        let outboard = Outboard::decode(version, len as u64, outboard);
        let group = outboard.verify(0);
        Ok(Verifier { outboard, group })
    }

    /// How long the groups are, in bytes; the last is what is left.
    #[wasm_bindgen(getter, js_name = groupLength)]
    pub fn group_len(&self) -> f64 {
        self.outboard.group_len() as f64
    }

    /// Starts with the group that begins at `offset`.
    pub fn begin(&mut self, offset: f64) {
        self.group = self.outboard.verify(offset as u64);
    }

    /// Takes the first `len` bytes of the room, the next of the group.
    pub fn update(&mut self, room: &Room, len: usize) {
        self.group.update(room.filled(len));
    }

    /// Whether what came is the group, and all of it.
    #[wasm_bindgen(js_name = isRight)]
    pub fn is_right(&self) -> bool {
        self.group.is_right()
    }
}
