use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use driblet_core::Version;

use super::error::HistoryError;
use super::stored_version::Kept;
use crate::fingerprint::Fingerprint;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Versions of each path. Default: 8. Beyond, those go first that were the newest for the shortest time and longest ago.
    pub versions: usize,
    /// Bytes of all versions together; heads are kept even beyond it. Default: 2 GiB.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { versions: 8, bytes: 2 << 30 }
    }
}

/// A place where versions are kept. All calls may block on a disk.
///
/// The order of writing is part of the contract: a version's bytes are durable under their name before anything names them.
pub(crate) trait History: Send + Sync {
    /// The newest version of a path.
    fn head(&self, path: &str) -> Option<Head>;

    /// The versions of a path and their lengths, newest first.
    fn versions(&self, path: &str) -> Vec<(Version, u64)>;

    /// Copies a file's bytes as they are now, from its beginning to its end or up to `most` bytes, without publishing them.
    fn stage(&self, file: &File, most: u64) -> Result<Staged, HistoryError>;

    /// Makes staged bytes the heads of their paths, or only notes the fingerprint where they are it already; all of them or none. Old
    /// versions go beyond the limits.
    fn publish(&self, publications: Vec<(String, Staged, Seen)>) -> Result<(), HistoryError>;

    /// Opens staged bytes that will not be published.
    fn snapshot(&self, staged: Staged) -> Result<Arc<Kept>, HistoryError>;

    /// The file at this path is gone: its head is worth no more than an old version, until it is published again.
    fn gone(&self, path: &str);

    /// Every path that has versions.
    fn paths(&self) -> Vec<String>;

    /// Opens a version *of this path*; `None` if it is not kept, or no longer whole. What is open stays readable, whatever is evicted.
    fn open(&self, path: &str, version: &Version) -> Result<Option<Arc<Kept>>, HistoryError>;

    /// An unnamed file that goes when it is closed.
    fn scratch(&self) -> io::Result<File>;

    /// A folder for what is made of versions and outlives the server, if there is one. It may not exist yet.
    fn artifacts(&self) -> Option<PathBuf>;
}

/// What a file looked like when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) fingerprint: Fingerprint,
    /// Nanoseconds since the epoch.
    pub(crate) read: i64,
    /// Whether any later write would have changed the fingerprint.
    pub(crate) settled: bool,
    /// Whether the file system gave the file another number without a change, so that numbers say nothing.
    pub(crate) renumbered: bool,
}

impl Seen {
    /// Whether a file with this fingerprint looks as it did.
    pub(crate) fn looks_like(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint || self.renumbered && self.fingerprint.has_stamps_of(fingerprint)
    }
}

/// A copy of a file that nothing names yet.
pub(crate) struct Staged {
    pub(crate) bytes: StagedBytes,
    pub(crate) version: Version,
    pub(crate) len: u64,
}

/// Where it lies.
pub(crate) enum StagedBytes {
    /// A short one.
    Memory(Vec<u8>),
    File(tempfile::NamedTempFile),
}

/// The newest version of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) len: u64,
    /// Grows by one at every change.
    pub(crate) counter: u64,
    pub(crate) seen: Seen,
}
