use std::io;
use std::time::Duration;

use driblet_core::browser_sync_stream::{BadOptions, WireError};

use crate::task::TaskFailed;

/// Why a file could not be sent.
///
/// `Display` says what failed; [`source`](std::error::Error::source) says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream failed.
    #[error("the stream to the receiver failed")]
    Network(#[from] io::Error),
    /// The receiver does not follow the protocol.
    #[error(transparent)]
    Receiver(#[from] WireError),
    /// The receiver's list did not end in time.
    #[error("the list of held chunks did not end within {timeout:?}; {announced} hashes came")]
    #[non_exhaustive]
    ListLate {
        /// Hashes that arrived.
        announced: u64,
        /// How long the sender waited.
        timeout: Duration,
    },
    /// The options for cutting are invalid.
    #[error(transparent)]
    Options(#[from] BadOptions),
    /// The file is missing or cannot be read.
    #[error("the file cannot be read")]
    #[non_exhaustive]
    File {
        /// The error of the operating system.
        source: io::Error,
    },
    /// The list of the file's chunks would take too much memory.
    #[error("the file has more than {limit} chunks; cut longer chunks, or use driblet's own protocol")]
    #[non_exhaustive]
    TooManyChunks {
        /// The most chunks.
        limit: usize,
    },
    /// The server has other work to do first.
    #[error("the server is busy; try again")]
    Busy,
    /// A task ended without a result.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}
