use std::io::{self, ErrorKind};
use std::path::PathBuf;

use driblet_core::directory::{DirectoryDeltaError, ManifestError, PartError};

use crate::client::PullError;
use crate::task::TaskFailed;

/// The longest name that file systems permit, in bytes.
const MAX_NAME: usize = 255;
/// The name of the folder in a pulled folder where driblet keeps its own files. No file of a directory may have it.
pub(super) const INSIDE: &str = ".driblet";

/// Why a pull of a directory failed. No file was changed, or the next pull completes what was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullDirectoryError {
    /// As for a file.
    #[error(transparent)]
    Pull(Box<PullError>),
    /// The server sent a directory that breaks the rules of the format.
    #[error("the server's directory is invalid")]
    #[non_exhaustive]
    Invalid {
        /// Which rule is broken.
        source: InvalidDirectory,
    },
    /// A path of the directory cannot be written. Nothing was changed.
    #[error("cannot write {path:?}")]
    #[non_exhaustive]
    Path {
        /// The path, relative to the folder.
        path: String,
        /// Why, and what to do.
        source: PathProblem,
    },
    /// The folder cannot be pulled into.
    #[error("cannot pull into {}", path.display())]
    #[non_exhaustive]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why, and what to do.
        source: FolderProblem,
    },
    /// A pattern of paths to exclude is invalid.
    #[error("the pattern {pattern:?} is invalid")]
    #[non_exhaustive]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: PatternError,
    },
}

/// A rule of the format that a directory breaks.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InvalidDirectory(Box<InvalidCause>);

#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidCause {
    #[error(transparent)]
    Delta(#[from] DirectoryDeltaError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error("the list of accepted versions is malformed")]
    Accepted,
    #[error("a file that is needed is in no part")]
    NoPart,
}

/// Why a path cannot be written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathProblem {
    /// A program would take the file for a part of a git repository.
    #[error("git would take it for a part of a repository: exclude it, or remove it from the directory")]
    Git,
    /// driblet keeps its own files there.
    #[error("the name .driblet is reserved: exclude it, or remove it from the directory")]
    Reserved,
    /// A name is longer than file systems permit.
    #[error("the name {name:?} has {len} bytes; at most {max} are possible: exclude it, or rename it in the directory")]
    #[non_exhaustive]
    NameTooLong {
        /// The part of the path.
        name: String,
        /// Its length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The file system takes two names for the same.
    #[error(
        "this file system cannot hold it beside another path, from which it differs by letter case or by Unicode normalisation: exclude one of both"
    )]
    Twin,
    /// The file system refuses the name.
    #[error("the file system refuses the name: {0}")]
    Refused(String),
    /// A part of the path begins with a dot.
    #[error("it begins with a dot, or lies in a folder that does: give --hidden to write it")]
    Hidden,
    /// A part of the path is a symbolic link here.
    #[error("{0:?} is a symbolic link, which is not followed: remove it, or replace it by a folder")]
    BelowLink(String),
    /// A part of the path is a file here.
    #[error("{0:?} is a file here, and no earlier pull wrote it: remove it")]
    BelowFile(String),
    /// A folder stands at the path.
    #[error("a folder with other files stands there, such as {0:?}: move them away")]
    Folder(String),
}

/// Why a folder cannot be pulled into.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderProblem {
    /// The URL has no `/` at its end.
    #[error("the URL of a directory ends with /: add it, or pull the file into a path that is no folder")]
    UrlOfFile,
    /// The path names a file.
    #[error("it is not a folder: name a folder, or pull a file by a URL without / at its end")]
    NotAFolder,
    /// Another pull into the folder is running.
    #[error("another pull into it is running: wait for it")]
    Busy,
    /// The folder with what driblet keeps belongs to another user.
    #[error("{} is not a folder of this user: remove it", .0.display())]
    Foreign(PathBuf),
    /// With `atomic` the path must be a link that an earlier pull made, or nothing.
    #[error("it is a folder, and an atomic pull replaces a link: move the folder away, or pull without --atomic")]
    NotALink,
    /// The path is a link that an atomic pull made.
    #[error("it is a link that an atomic pull made: pull with --atomic, or remove the link")]
    AtomicLink,
    /// The state of an atomic pull cannot lie beside the path.
    #[error("an atomic pull keeps its trees beside it, and no folder can be made there")]
    NoRoomBeside,
    /// A file of the old tree that no pull wrote cannot be carried over.
    #[error("{0:?} is neither a file nor a link, so an atomic pull cannot carry it over: move it away")]
    Special(String),
}

/// What is wrong with a pattern.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PatternError(pub(crate) ignore::Error);

impl PathProblem {
    /// Why a path is never written, whatever the folder holds.
    pub(crate) fn of(path: &str) -> Option<PathProblem> {
        path.split('/').find_map(|part| match part {
            _ if part.eq_ignore_ascii_case(".git") => Some(PathProblem::Git),
            _ if part.eq_ignore_ascii_case(INSIDE) => Some(PathProblem::Reserved),
            _ if MAX_NAME < part.len() => {
                Some(PathProblem::NameTooLong { name: part.to_owned(), len: part.len(), max: MAX_NAME })
            }
            _ => None,
        })
    }

    /// What the error of the file system says of the path of a new file, if it is about the path.
    pub(crate) fn of_error(error: &io::Error) -> Option<PathProblem> {
        match error.kind() {
            // A folder whose name a file has, or the other way round.
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Some(PathProblem::Twin),
            ErrorKind::InvalidInput | ErrorKind::InvalidFilename => Some(PathProblem::Refused(error.to_string())),
            _ => None,
        }
    }
}

impl PullDirectoryError {
    /// Whether the server publishes a file at the URL: a single file is published at the root too.
    pub fn is_url_of_file(&self) -> bool {
        matches!(self, PullDirectoryError::Pull(error) if error.is_file())
    }

    pub(super) fn invalid(cause: impl Into<InvalidCause>) -> PullDirectoryError {
        PullDirectoryError::Invalid { source: InvalidDirectory(Box::new(cause.into())) }
    }

    pub(super) fn path(path: &str, source: PathProblem) -> PullDirectoryError {
        PullDirectoryError::Path { path: path.to_owned(), source }
    }

    pub(super) fn folder(path: impl Into<PathBuf>, source: FolderProblem) -> PullDirectoryError {
        PullDirectoryError::Folder { path: path.into(), source }
    }

    pub(super) fn store(what: impl Into<String>, source: std::io::Error) -> PullDirectoryError {
        PullError::store(what, source).into()
    }

    /// Whether a connection failed.
    pub(super) fn is_network(&self) -> bool {
        matches!(self, PullDirectoryError::Pull(error) if matches!(**error, PullError::Network { .. }))
    }

    /// Whether other bytes, in another response, could be right.
    pub(super) fn is_about_bytes(&self) -> bool {
        match self {
            PullDirectoryError::Pull(error) => error.is_about_bytes(),
            PullDirectoryError::Invalid { .. } => true,
            _ => false,
        }
    }
}

impl From<PullError> for PullDirectoryError {
    fn from(error: PullError) -> PullDirectoryError {
        PullDirectoryError::Pull(Box::new(error))
    }
}

impl From<TaskFailed> for PullDirectoryError {
    fn from(failed: TaskFailed) -> PullDirectoryError {
        PullError::from(failed).into()
    }
}
