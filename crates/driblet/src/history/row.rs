//! What the index has of one path.

use driblet_core::Version;
use serde::{Deserialize, Serialize};

use super::version_text;
use crate::fingerprint::Fingerprint;

/// One path. Versions are newest first.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) counter: u64,
    pub(super) fingerprint: Fingerprint,
    /// As in [`Observation`].
    pub(super) read: i64,
    /// As in [`Observation`].
    #[serde(default)]
    pub(super) settled: bool,
    /// As in [`Observation`].
    #[serde(default)]
    pub(super) renumbered: bool,
    /// Whether the file is missing.
    #[serde(default)]
    pub(super) gone: bool,
    pub(super) versions: Vec<VersionEntry>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct VersionEntry {
    #[serde(with = "version_text")]
    pub(super) version: Version,
    pub(super) len: u64,
    pub(super) sequence: u64,
    /// When the version became the head, in seconds since the epoch.
    #[serde(default)]
    pub(super) published: i64,
    /// When the version stopped being the head, in seconds since the epoch; 0 for the head.
    #[serde(default)]
    pub(super) replaced: i64,
}

/// The least time, in seconds, that a version counts as having been the head.
const MOMENT: i64 = 2;

impl VersionEntry {
    /// How much an old version is worth keeping: the time that it was the head, divided by the time since then. A
    /// version that was the head for long was loaded by many receivers, and each day fewer of them hold it still.
    pub(super) fn worth(&self, now: i64) -> f64 {
        let lived = self.replaced.saturating_sub(self.published).max(MOMENT);
        let since = now.saturating_sub(self.replaced).max(MOMENT);
        lived as f64 / since as f64
    }
}

impl Row {
    /// The versions that may be evicted.
    pub(super) fn old(&self) -> &[VersionEntry] {
        if self.gone { &self.versions } else { self.versions.get(1..).unwrap_or_default() }
    }

    /// Drops missing versions. If the head is one of them, the file counts as never read.
    pub(super) fn keep(&mut self, is_there: impl Fn(&VersionEntry) -> bool) {
        if !self.versions.first().is_some_and(&is_there) {
            self.settled = false;
            self.fingerprint = Fingerprint::NONE;
        }
        self.versions.retain(is_there);
    }
}

/// Whether a row is a directory's.
pub(super) fn is_directory(path: &str) -> bool {
    path.ends_with('/')
}
