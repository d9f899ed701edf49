use driblet_core::seed::{BadOptions, SeedError};
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

/// The exception for a core error: its message, and as `code` what kind of failure it is to the caller.
pub(crate) trait Refused {
    fn refused(self) -> JsValue;
}

impl Refused for SeedError {
    fn refused(self) -> JsValue {
        let code = match self {
            SeedError::CutOff { .. } | SeedError::ListCutOff { .. } | SeedError::GaveUp => "network",
            SeedError::BadLength { .. }
            | SeedError::MessageTooLong { .. }
            | SeedError::NoHash { .. }
            | SeedError::NeverAnnounced { .. }
            | SeedError::WrongHash { .. } => "protocol",
        };
        exception(code, &self.to_string())
    }
}

impl Refused for BadOptions {
    fn refused(self) -> JsValue {
        exception("protocol", &self.to_string())
    }
}

pub(crate) fn exception(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    error.set_code(code);
    error.into()
}
