use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use driblet_core::Version;
use driblet_core::directory::Manifest;
use serde::{Deserialize, Serialize};

use super::epoch::Epoch;
use super::error::HistoryError;
use super::stored_version::StoredVersion;
use super::version_text;
use crate::fingerprint::Fingerprint;

/// How much a history stores.
///
/// ```
/// let limits = driblet::HistoryLimits::default().versions(20).bytes(10 << 30);
/// # let _ = driblet::Server::builder("dist").history_limits(limits);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// The most versions of each path. Default: 8. If a path has more, the server first evicts versions that were the
    /// head only briefly, or long ago.
    pub versions: usize,
    /// The most bytes of all versions together. Heads stay even beyond this limit. Default: 2 GiB.
    pub bytes: u64,
}

impl HistoryLimits {
    /// Sets the most versions of each path.
    #[must_use]
    pub fn versions(self, versions: usize) -> HistoryLimits {
        HistoryLimits { versions, ..self }
    }

    /// Sets the most bytes of all versions together.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> HistoryLimits {
        HistoryLimits { bytes, ..self }
    }
}

impl Default for HistoryLimits {
    fn default() -> HistoryLimits {
        HistoryLimits { versions: 8, bytes: 2 << 30 }
    }
}

/// Stores versions. All calls may wait for a disk.
///
/// An implementation makes a version's bytes durable before it lists the version.
pub(crate) trait History: Send + Sync {
    /// The newest version of a path.
    fn head(&self, path: &str) -> Option<Head>;

    /// The epoch of this history.
    fn epoch(&self) -> Epoch;

    /// The versions of a path and their lengths, newest first.
    fn versions(&self, path: &str) -> Vec<(Version, u64)>;

    /// Copies a file's bytes, at most `most`, without publishing them.
    fn stage(&self, file: &File, most: u64) -> Result<StagedVersion, HistoryError>;

    /// Makes staged bytes the heads of their paths in one step, but for those that were overtaken: their paths have
    /// another head than before the file was opened, and so perhaps a newer one. Gives the paths of these. If a path has
    /// these bytes as its head already, only the observation is noted. Old versions beyond the limits are evicted.
    fn publish(&self, candidates: Vec<Candidate>) -> Result<Vec<String>, HistoryError>;

    /// Makes a manifest the head of a directory, whose path ends with `/`. All files that it names must be stored. They
    /// stay as long as the manifest does.
    fn publish_directory(&self, path: &str, manifest: &Manifest) -> Result<(), HistoryError>;

    /// Notes that a directory version was requested, so that it stays for a while.
    fn requested(&self, version: &Version);

    /// The versions of a path, or of all, with their times.
    fn list(&self, path: Option<&str>) -> Vec<PathVersions>;

    /// The paths whose head is one of these versions, unless the file there is gone.
    fn heads_among(&self, versions: &HashSet<Version>) -> Vec<String>;

    /// How often versions were removed that were damaged or to be forgotten. Heads may be missing since.
    fn losses(&self) -> u64;

    /// Removes versions from every path, and the directory versions that contain them. Gives the paths that had them.
    fn forget(&self, versions: &HashSet<Version>) -> Result<Vec<String>, HistoryError>;

    /// Opens staged bytes that will not be published.
    fn open_staged(&self, staged: StagedVersion) -> Result<Arc<StoredVersion>, HistoryError>;

    /// Notes that the file at a path is gone: the path's head may be evicted as an old version, until the path is
    /// published again.
    fn gone(&self, path: &str);

    /// Every path of a file that has versions.
    fn paths(&self) -> Vec<String>;

    /// Opens a version *of this path* after verifying its bytes; `None` if it is not stored. A damaged version is
    /// dropped from every path, and counts as not stored. An open version stays readable when it is evicted.
    fn open_or_drop(&self, path: &str, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError>;

    /// A version of any path that is open already, if no other program has changed it since. Never waits for a disk.
    fn opened(&self, version: &Version) -> Option<Arc<StoredVersion>>;

    /// As [`open_or_drop`](History::open_or_drop), for a version of any path. Callers must know that the receiver may see it: only the
    /// files of a manifest are opened so.
    fn open_named_or_drop(&self, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError>;

    /// The verified bytes of a short version of any path; `None` if it is not stored, or damaged.
    fn read_named_or_drop(&self, version: &Version) -> Result<Option<Vec<u8>>, HistoryError>;

    /// How much is stored.
    fn size(&self) -> HistorySize;

    /// An unnamed file. The system removes it when it is closed.
    fn scratch(&self) -> io::Result<File>;

    /// A folder for artifacts that outlive the server, if there is one. The folder may not exist yet.
    fn artifacts(&self) -> Option<PathBuf>;
}

/// How much a history stores. A version that several paths have counts once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistorySize {
    pub(crate) versions: usize,
    pub(crate) bytes: u64,
}

/// What a file looked like when it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Observation {
    pub(crate) fingerprint: Fingerprint,
    /// When the reading began, in nanoseconds since the epoch.
    pub(crate) read: i64,
    /// Whether any write after the reading changes the fingerprint.
    pub(crate) settled: bool,
    /// Whether the file system gives the file a new inode number without a change, so that the number says nothing.
    pub(crate) renumbered: bool,
}

impl Observation {
    /// Whether a file with this fingerprint looks unchanged.
    pub(crate) fn looks_like(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint || self.renumbered && self.fingerprint.has_stamps_of(fingerprint)
    }
}

/// A copy that is to become the head of a path.
pub(crate) struct Candidate {
    pub(crate) path: String,
    pub(crate) staged: StagedVersion,
    pub(crate) observation: Observation,
    /// The head before the file was opened.
    pub(crate) before: Option<Head>,
}

/// A copy of a file that is not published yet.
pub(crate) struct StagedVersion {
    pub(crate) bytes: StagedBytes,
    pub(crate) version: Version,
    pub(crate) len: u64,
}

/// Where the copy is.
pub(crate) enum StagedBytes {
    /// A short copy.
    Memory(Vec<u8>),
    File(tempfile::NamedTempFile),
}

/// The newest version of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) len: u64,
    /// Grows by one at each change.
    pub(crate) counter: u64,
    pub(crate) observation: Observation,
}

/// The versions that the history has of one path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PathVersions {
    /// The path below the root. The path of a directory ends with `/`, and its versions are manifests.
    pub path: String,
    /// The newest version is the first.
    pub versions: Vec<VersionRecord>,
}

/// A version in the history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionRecord {
    /// The version.
    #[serde(with = "version_text")]
    pub version: Version,
    /// The length of its bytes.
    pub len: u64,
    /// When it became the head, in seconds since 1970.
    pub published: i64,
    /// When it stopped being the head, in seconds since 1970; `None` for the head.
    pub replaced: Option<i64>,
}
