use wasm_bindgen::prelude::*;

/// Memory in the module that JavaScript fills before it passes bytes to a machine. One room can serve all machines.
#[wasm_bindgen]
pub struct Room(Vec<u8>);

#[wasm_bindgen]
impl Room {
    /// Room for `len` bytes. Its position does not change.
    #[wasm_bindgen(constructor)]
    pub fn new(len: usize) -> Room {
        Room(vec![0; len])
    }

    /// The position of the room in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn at(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// The length of the room in bytes.
    #[wasm_bindgen(getter)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the room has no bytes.
    #[wasm_bindgen(js_name = isEmpty)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `len` bytes of the room, or all of them.
    pub(crate) fn filled(&self, len: usize) -> &[u8] {
        &self.0[..len.min(self.0.len())]
    }
}
