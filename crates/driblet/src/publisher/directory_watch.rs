//! Watches directories, so that a request need not look at every file.
//!
//! The events only say that something changed: the directory is looked at then, so a lost event delays a version and
//! does no other harm. If the system cannot watch, the directory is looked at every two seconds and at each request.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::fingerprint::Fingerprint;

/// What the events of a directory told.
#[derive(Default)]
pub(super) struct Watch {
    /// Grows at each event.
    changes: AtomicU64,
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

    fn note(&self) {
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
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) if event.need_rescan() => {
            info!(folder = %place.display(), "more changed than the system reports; the directory is looked at anew");
            noted.note();
        }
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        Ok(_) => noted.note(),
        Err(error) => {
            noted.warn_once(&place, &error);
            noted.note();
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
