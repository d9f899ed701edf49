use driblet_core::{BadVersion, GroupVerifier, Outboard, Version};
use wasm_bindgen::prelude::*;

use crate::exception::Throw;
use crate::room::Room;

/// Verifies a stored version group by group, as it is read.
#[wasm_bindgen]
pub struct Verifier {
    outboard: Outboard,
    group: GroupVerifier,
}

#[wasm_bindgen]
impl Verifier {
    /// A verifier for a version of `len` bytes with this [outboard](crate::Decoder::outboard). If the outboard is empty
    /// or wrong, the version is one group.
    #[wasm_bindgen(constructor)]
    pub fn new(version: &str, len: f64, outboard: &[u8]) -> Result<Verifier, JsValue> {
        let version: Version = version.parse().map_err(BadVersion::into_exception)?;
        let outboard = Outboard::decode(version, len as u64, outboard);
        let group = outboard.verify(0);
        Ok(Verifier { outboard, group })
    }

    /// The length of the groups in bytes. The last group can be shorter.
    #[wasm_bindgen(getter, js_name = groupLength)]
    pub fn group_len(&self) -> f64 {
        self.outboard.group_len() as f64
    }

    /// Begins to verify the group that begins at `offset`.
    pub fn begin(&mut self, offset: f64) {
        self.group = self.outboard.verify(offset as u64);
    }

    /// Takes the next bytes of the group: the first `len` bytes of the room.
    pub fn update(&mut self, room: &Room, len: usize) {
        self.group.update(room.filled(len));
    }

    /// Whether the bytes so far are the group, from its first byte to its last.
    #[wasm_bindgen(js_name = isRight)]
    pub fn is_right(&self) -> bool {
        self.group.is_right()
    }
}
