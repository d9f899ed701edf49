use driblet_core::Version;
use wasm_bindgen::prelude::*;

use crate::room::Room;

/// Hashes bytes to the version that they are.
#[wasm_bindgen]
pub struct VersionHasher(driblet_core::VersionHasher);

#[wasm_bindgen]
impl VersionHasher {
    /// A hasher of no bytes yet.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> VersionHasher {
        VersionHasher(driblet_core::VersionHasher::new())
    }

    /// Takes the first `len` bytes of the room.
    pub fn update(&mut self, room: &Room, len: usize) {
        self.0.update(room.filled(len));
    }

    /// The version, as 64 hex digits.
    pub fn finalize(&self) -> String {
        let version: Version = self.0.finalize();
        version.to_string()
    }
}
