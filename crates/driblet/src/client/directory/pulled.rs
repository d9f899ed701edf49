use std::time::Duration;

use driblet_core::Version;

use crate::client::PullState;

/// The result of a pull of a directory, and its cost.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PulledDirectory {
    /// The version of the directory.
    pub version: Version,
    /// Whether nothing had to be changed.
    pub same: bool,
    /// Files that the pull keeps up to date: those of the directory that are not left out.
    pub files: usize,
    /// Files that were made.
    pub added: usize,
    /// Files that were replaced, or whose executable flag was changed.
    pub changed: usize,
    /// Files that were removed.
    pub removed: usize,
    /// Files that the server's directory no longer has, and that were kept because they were changed here.
    pub kept: Vec<String>,
    /// Files of the server's directory that were left out because a part of their path begins with a dot.
    pub hidden: usize,
    /// Files of the server's directory that were left out by a pattern.
    pub excluded: usize,
    /// Bytes of the files that were not held at any path.
    pub new_len: u64,
    /// Bytes sent: request bodies, and the versions in URLs.
    pub sent: u64,
    /// Bytes received: response bodies.
    pub received: u64,
    /// The number of requests.
    pub requests: u32,
    /// What would be changed, if nothing was to be changed.
    pub changes: Vec<Change>,
    /// How long the pull took.
    pub elapsed: Duration,
}

/// A change to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The path, relative to the folder.
    pub path: String,
    /// What happens to the file.
    pub kind: ChangeKind,
}

/// What happens to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The file is made.
    Add,
    /// The file is replaced.
    Replace,
    /// Only the executable flag is changed.
    Mode,
    /// The file is removed.
    Remove,
}

/// The progress of a pull of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DirectoryProgress {
    /// New files that are verified and staged.
    pub files: u64,
    /// New files; 0 if that is not known yet.
    pub total_files: u64,
    /// Bytes of new files that are staged.
    pub done: u64,
    /// Bytes of all new files; 0 if that is not known yet.
    pub total: u64,
    /// Bytes received.
    pub received: u64,
    /// What the pull is doing.
    pub state: PullState,
}
