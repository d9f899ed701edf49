use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::task::TaskFailed;

/// Why a server cannot use its history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The folder cannot be made, read or written.
    #[error("cannot use the history {}", path.display())]
    #[non_exhaustive]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another process uses the history.
    #[error(
        "the history {} is in use by another process; stop that process, or set another folder with ServerBuilder::history",
        path.display()
    )]
    #[non_exhaustive]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is not empty and is not a history.
    #[error(
        "{} holds other files and no history; set a new or empty folder with ServerBuilder::history",
        path.display()
    )]
    #[non_exhaustive]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The history lies inside the published folder.
    #[error(
        "the history {} lies inside the published folder {}; set another folder with ServerBuilder::history",
        path.display(),
        root.display()
    )]
    #[non_exhaustive]
    InsideRoot {
        /// The folder of the history.
        path: PathBuf,
        /// The published folder.
        root: PathBuf,
    },
    /// The index is damaged or cannot be written.
    #[error(
        "cannot use the history's index {}; if it stays so, remove the history's folder: receivers then send signatures instead of versions",
        path.display()
    )]
    #[non_exhaustive]
    Index {
        /// The index file.
        path: PathBuf,
        /// The error of the database.
        source: IndexError,
    },
    /// A task ended without a result.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

/// An error of the database that holds the index.
pub struct IndexError(redb::Error);

impl fmt::Debug for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for IndexError {}

impl IndexError {
    pub(super) fn new(error: redb::Error) -> IndexError {
        IndexError(error)
    }
}
