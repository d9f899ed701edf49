use std::io;
use std::path::PathBuf;

/// Why access rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The file cannot be read.
    #[error("cannot read the access rules {}", file.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has no rules, or one that is invalid.
    #[error("{}, line {line}: {reason}", file.display())]
    #[non_exhaustive]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A new rule is about a path that a snapshot holds.
    #[error(
        "{}: the snapshot of a directory above {path} holds what the new rule guards; restart the server, which leaves it out then",
        file.display()
    )]
    #[non_exhaustive]
    Restart {
        /// The file.
        file: PathBuf,
        /// The path of the rule.
        path: String,
    },
    /// The system gives no random numbers.
    #[error("cannot get random numbers from the system")]
    #[non_exhaustive]
    Random {
        /// The error of the operating system.
        source: io::Error,
    },
}
