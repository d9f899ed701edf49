//! The `code` of each exception about a directory.

use driblet_core::directory::{DirectoryDeltaError, ManifestError, PartError};
use wasm_bindgen::prelude::*;

use crate::exception::{Throw, exception};

impl Throw for ManifestError {
    fn code(&self) -> &'static str {
        self.reason()
    }
}

impl Throw for DirectoryDeltaError {
    fn code(&self) -> &'static str {
        self.reason()
    }

    fn into_exception(self) -> JsValue {
        // Not `source`, with which the code that shows errors to programmers would become part of the module.
        let message = match &self {
            DirectoryDeltaError::ManifestDelta(reason) => format!("{self}: {reason}"),
            DirectoryDeltaError::Manifest(reason) => format!("{self}: {reason}"),
            _ => self.to_string(),
        };
        exception(self.code(), &message)
    }
}

impl Throw for PartError {
    fn code(&self) -> &'static str {
        self.reason()
    }
}
