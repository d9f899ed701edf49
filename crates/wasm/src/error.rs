use driblet_core::{BadVersion, DecodeError, RunsError, UnknownChunkSize};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// JavaScript's own.
    #[derive(Clone, Debug)]
    pub type Error;

    #[wasm_bindgen(constructor)]
    fn new(message: &str) -> Error;

    #[wasm_bindgen(method, setter, structural)]
    fn set_code(this: &Error, code: &str);
}

/// The exception for a core error: its message, and its reason as `code`.
pub(crate) trait Refused {
    fn refused(self) -> JsValue;
}

impl Refused for DecodeError {
    fn refused(self) -> JsValue {
        exception(self.reason(), &self.to_string())
    }
}

impl Refused for RunsError {
    fn refused(self) -> JsValue {
        exception(self.reason(), &self.to_string())
    }
}

impl Refused for BadVersion {
    fn refused(self) -> JsValue {
        exception("bad-version", &self.to_string())
    }
}

impl Refused for UnknownChunkSize {
    fn refused(self) -> JsValue {
        exception("bad-chunk-size", &self.to_string())
    }
}

pub(crate) fn exception(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    error.set_code(code);
    error.into()
}
