//! Exceptions for JavaScript. Both wasm crates include this file, so that their exceptions are alike.

use std::error;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The `Error` of JavaScript.
    #[derive(Clone, Debug)]
    pub type Error;

    #[wasm_bindgen(constructor)]
    fn new(message: &str) -> Error;

    #[wasm_bindgen(method, setter, structural)]
    fn set_code(this: &Error, code: &str);
}

/// A core error that can be thrown. Each wasm crate says which `code` its errors get.
pub(crate) trait Throw: error::Error {
    /// The `code` of the exception.
    fn code(&self) -> &'static str;

    /// The exception: the error's message, and its code.
    fn into_exception(self) -> JsValue
    where
        Self: Sized,
    {
        exception(self.code(), &self.to_string())
    }
}

/// An exception with this code and message.
pub(crate) fn exception(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    error.set_code(code);
    error.into()
}
