use std::io;
use std::path::PathBuf;

use driblet_core::directory::{DirectoryDeltaError, ManifestError, PartError};

use crate::client::{PathProblem, PatternError};
use crate::files::{FileError, Input};

/// Why directories could not be diffed or patched. The output is as it was.
///
/// `Display` says what failed; [`source`](std::error::Error::source) says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A file cannot be read, encoded or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pattern of paths to exclude is invalid.
    #[error("a pattern to exclude is invalid")]
    Pattern(#[source] PatternError),
    /// A manifest cannot hold the files of a folder.
    #[error("cannot describe {}", folder.display())]
    #[non_exhaustive]
    Manifest {
        /// The folder.
        folder: PathBuf,
        /// Which rule they break.
        source: ManifestError,
    },
    /// The old directory is not the one that the delta was made from.
    #[error(
        "cannot apply {delta}: it was made from other files than those of {}: \
         name that directory, unchanged, and give --hidden and --exclude as they were given to diff",
        folder.display()
    )]
    #[non_exhaustive]
    OtherDirectory {
        /// The delta.
        delta: Input,
        /// The old directory.
        folder: PathBuf,
    },
    /// The old directory was changed while it was read.
    #[error("{} was changed while it was read; try again when no program writes to it", folder.display())]
    #[non_exhaustive]
    Changed {
        /// The old directory.
        folder: PathBuf,
    },
    /// The delta is invalid.
    #[error("cannot apply {delta}")]
    #[non_exhaustive]
    Apply {
        /// The delta.
        delta: Input,
        /// What is wrong.
        source: DirectoryDeltaError,
    },
    /// A part of the delta is invalid.
    #[error("cannot apply {delta}")]
    #[non_exhaustive]
    ApplyPart {
        /// The delta.
        delta: Input,
        /// What is wrong.
        source: PartError,
    },
    /// A path of the new directory cannot be written.
    #[error("cannot write {path:?}")]
    #[non_exhaustive]
    Path {
        /// The path, relative to the new directory.
        path: String,
        /// Why, and what to do.
        source: PathProblem,
    },
    /// A file of the old directory cannot be copied.
    #[error("cannot copy {}", path.display())]
    #[non_exhaustive]
    Copy {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
