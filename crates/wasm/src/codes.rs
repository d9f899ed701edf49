//! The `code` of each exception: the name of the error's reason.

use driblet_core::{BadVersion, DecodeError, RunsError, UnknownChunkSize};

use crate::exception::Throw;

impl Throw for DecodeError {
    fn code(&self) -> &'static str {
        self.reason()
    }
}

impl Throw for RunsError {
    fn code(&self) -> &'static str {
        self.reason()
    }
}

impl Throw for BadVersion {
    fn code(&self) -> &'static str {
        "bad-version"
    }
}

impl Throw for UnknownChunkSize {
    fn code(&self) -> &'static str {
        "bad-chunk-size"
    }
}
