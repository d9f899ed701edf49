use std::io;
use std::time::Duration;

use driblet_core::browser_sync_stream::{BadOptions, WireError};

/// Why a file could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The stream failed.
    #[error("the stream to the receiver failed: {0}")]
    Network(#[from] io::Error),
    /// The receiver does not speak this protocol.
    #[error(transparent)]
    Receiver(#[from] WireError),
    /// The receiver's list did not end in time.
    #[error("the list of held chunks did not end within {patience:?}; {announced} hashes came")]
    ListLate {
        /// Hashes that came.
        announced: u64,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The file cannot be cut like that.
    #[error(transparent)]
    Options(#[from] BadOptions),
    /// The file is missing or cannot be read.
    #[error("the file cannot be read: {source}")]
    File {
        /// What the system says.
        source: io::Error,
    },
    /// The list of the file's chunks would take too much memory.
    #[error("the file has more than {limit} chunks; cut longer ones, or sync it by driblet's own protocol")]
    TooManyChunks {
        /// The limit.
        limit: usize,
    },
    /// Other work has to be done first.
    #[error("the server is busy; try again")]
    Busy,
}
