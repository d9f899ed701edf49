use std::io;
use std::path::PathBuf;

/// Why the history cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The folder cannot be made, read or written.
    #[error("the history {path} cannot be used: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the history {path} is in use by another process; stop that one, or name another folder with --history")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It has files in it that no history put there.
    #[error("{path} holds other files and no history; name a new or empty folder with --history")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// It lies inside what is published.
    #[error("the history {path} lies inside the published folder {root}; name another folder with --history")]
    InsideRoot {
        /// The folder.
        path: PathBuf,
        /// What is published.
        root: PathBuf,
    },
    /// Its index is damaged.
    #[error(
        "the history's index {path} cannot be used: {source}; remove the folder to start anew, receivers fall back to signatures"
    )]
    Index {
        /// The index file.
        path: PathBuf,
        /// What the index says.
        source: Box<redb::Error>,
    },
}
