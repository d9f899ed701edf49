use driblet_core::browser_sync_stream::{BadOptions, WireError};
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

impl Refused for WireError {
    fn refused(self) -> JsValue {
        let code = match self {
            WireError::CutOff { .. } | WireError::ListCutOff { .. } | WireError::GaveUp => "network",
            WireError::BadLength { .. }
            | WireError::MessageTooLong { .. }
            | WireError::NoHash { .. }
            | WireError::NeverAnnounced { .. }
            | WireError::WrongHash { .. } => "protocol",
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
