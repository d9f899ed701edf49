//! Failures that last for a while. The caller logs the begin and the end of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon a failed path is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a failed path is remembered if no request tries it again.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// One failure that may last for a while.
#[derive(Default)]
pub(super) struct Episode(AtomicBool);

impl Episode {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes a failure. Gives whether it is the first one.
    pub(super) fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Notes a success. Gives whether a failure was before it.
    pub(super) fn end(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Paths that fail at the moment.
#[derive(Default)]
pub(super) struct FailingPaths(Mutex<HashMap<String, Instant>>);

impl FailingPaths {
    /// Notes that a path failed. Gives whether it is the only one.
    pub(super) fn begin(&self, path: &str) -> bool {
        let mut paths = self.lock();
        paths.retain(|_, last| last.elapsed() < FORGOTTEN);
        let is_first = paths.is_empty();
        paths.insert(path.to_owned(), Instant::now());
        is_first
    }

    /// Notes that a path succeeded. Gives whether it was the last one that failed.
    pub(super) fn end(&self, path: &str) -> bool {
        let mut paths = self.lock();
        paths.remove(path).is_some() && paths.is_empty()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.lock().contains_key(path)
    }

    /// Whether a path failed so recently that it is not tried again yet.
    pub(super) fn is_fresh(&self, path: &str) -> bool {
        self.lock().get(path).is_some_and(|last| last.elapsed() < RETRY)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
