//! Watches directories, so that a request need not look at every file.
//!
//! Events only name paths: these are looked at then, and if events were lost, the whole directory. If the system cannot
//! watch, the directory is looked at every two seconds and at each request.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::fingerprint::Fingerprint;
use crate::walk::edits::ListedPath;

/// The most paths that are looked at one by one.
const MOST: usize = 1 << 16;

/// What may have changed in a directory.
#[derive(Default)]
pub(super) struct Touched {
    /// These paths below the directory, and all below them.
    pub(super) paths: BTreeSet<ListedPath>,
    /// Whether it may be anything.
    pub(super) all: bool,
}

impl Touched {
    pub(super) fn add(&mut self, other: Touched) {
        self.all |= other.all || MOST < self.paths.len() + other.paths.len();
        match self.all {
            true => self.paths.clear(),
            false => self.paths.extend(other.paths),
        }
    }

    fn all() -> Touched {
        Touched { all: true, ..Touched::default() }
    }

    /// These paths in a folder.
    fn of(paths: &[PathBuf], folder: &Path) -> Touched {
        let relative = |path: &PathBuf| Some(ListedPath(path.strip_prefix(folder).ok()?.to_str()?.to_owned()));
        let relative: Option<BTreeSet<ListedPath>> = paths.iter().map(relative).collect();
        match relative {
            Some(paths) if !paths.is_empty() => Touched { paths, all: false },
            _ => Touched::all(),
        }
    }
}

/// What the events of a directory told.
#[derive(Default)]
pub(super) struct Watch {
    /// Grows at each event.
    changes: AtomicU64,
    touched: Mutex<Touched>,
    /// Whether events come.
    pub(super) works: AtomicBool,
    has_warned: AtomicBool,
    pub(super) changed: Notify,
}

impl Watch {
    /// How many changes were seen; `None` if changes may be missed, so that the directory must be looked at.
    pub(super) fn changes(&self) -> Option<u64> {
        self.works.load(Ordering::Acquire).then(|| self.changes.load(Ordering::Acquire))
    }

    /// What may have changed since the last call.
    pub(super) fn take(&self) -> Touched {
        std::mem::take(&mut self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn touch(&self, touched: Touched) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).add(touched);
    }

    fn note(&self, touched: Touched) {
        // First the paths: who sees the count finds them.
        self.touch(touched);
        self.changes.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
    }

    pub(super) fn warn_once(&self, folder: &Path, error: &notify::Error) {
        self.works.store(false, Ordering::Release);
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let folder = folder.display();
            warn!(%folder, %error, "the directory cannot be watched; it is looked at every 2 s and at each request");
        }
    }
}

/// Watches a folder until the watcher is dropped.
pub(super) fn start(watch: &Arc<Watch>, folder: &Path) -> notify::Result<RecommendedWatcher> {
    let (noted, place) = (watch.clone(), folder.to_path_buf());
    // What happened before is not known. That is no event: nobody needs to wake.
    watch.touch(Touched::all());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) if event.need_rescan() => {
            info!(folder = %place.display(), "more changed than the system reports; the directory is looked at anew");
            noted.note(Touched::all());
        }
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        Ok(event) => noted.note(Touched::of(&event.paths, &place)),
        Err(error) => {
            noted.warn_once(&place, &error);
            noted.note(Touched::all());
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Which folder a path leads to now; `None` if none.
pub(super) fn identity(folder: &Path) -> Option<(u64, u64, i64)> {
    let fingerprint = Fingerprint::of(&fs::metadata(folder).ok()?);
    Some((fingerprint.device, fingerprint.inode, fingerprint.born))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_missing_is_no_event() {
        let watch = Arc::new(Watch::default());
        let missing = tempfile::tempdir().unwrap().path().join("missing");
        assert!(start(&watch, &missing).is_err());
        assert!(timeout(Duration::ZERO, watch.changed.notified()).await.is_err());
        assert!(watch.take().all);
    }
}
