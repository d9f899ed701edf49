//! The `code` of each exception: the kind of failure that the caller sees.

use driblet_core::browser_sync_stream::{BadOptions, WireError};

use crate::exception::Throw;

impl Throw for WireError {
    fn code(&self) -> &'static str {
        if self.is_interruption() { "network" } else { "protocol" }
    }
}

impl Throw for BadOptions {
    fn code(&self) -> &'static str {
        "protocol"
    }
}
