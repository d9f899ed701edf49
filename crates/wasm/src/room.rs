use wasm_bindgen::prelude::*;

/// Memory that JavaScript fills before it hands bytes to a machine; one serves all of them.
#[wasm_bindgen]
pub struct Room(Vec<u8>);

#[wasm_bindgen]
impl Room {
    /// Room for `len` bytes. It stays where it is until the machine's memory is freed.
    #[wasm_bindgen(constructor)]
    pub fn new(len: usize) -> Room {
        Room(vec![0; len])
    }

    /// Where the room begins in the module's memory.
    #[wasm_bindgen(getter)]
    pub fn at(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// How many bytes it holds.
    #[wasm_bindgen(getter)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    #[wasm_bindgen(js_name = isEmpty)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `len` bytes, or all that are there.
    pub(crate) fn filled(&self, len: usize) -> &[u8] {
        &self.0[..len.min(self.0.len())]
    }
}
