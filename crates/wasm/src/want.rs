use wasm_bindgen::prelude::*;

/// What a decoder wants or gives out. `start` and `end` tell the range.
#[wasm_bindgen]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// The decoder wants more of the delta.
    Input,
    /// The decoder wants the bytes of the basis, or of an old file, from `start` to `end`, at most 1 MiB.
    Basis,
    /// Verified output is in the module's memory from `start` to `end`. It stays there until the next call of the
    /// decoder.
    Output,
    /// All output was given out, and the input ended where it should.
    Done,
    /// The receiver holds the head already: it is the version that the request named.
    Same,
}
