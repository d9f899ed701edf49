//! States that last for a while: logged once when they begin and once when they end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon something that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// A path that was not tried again for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Something that does not work for now.
#[derive(Default)]
pub(super) struct Episode(AtomicBool);

impl Episode {
    /// Notes that it does not work. Gives whether it did before.
    pub(super) fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Notes that it works. Gives whether it did not before.
    pub(super) fn end(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Paths with which something does not work for now.
#[derive(Default)]
pub(super) struct Failing(Mutex<HashMap<String, Instant>>);

impl Failing {
    /// Notes that a path failed. Gives whether none did before.
    pub(super) fn begin(&self, path: &str) -> bool {
        let mut paths = self.lock();
        paths.retain(|_, last| last.elapsed() < FORGOTTEN);
        let is_first = paths.is_empty();
        paths.insert(path.to_owned(), Instant::now());
        is_first
    }

    /// Notes that a path worked. Gives whether it was the last that did not.
    pub(super) fn end(&self, path: &str) -> bool {
        let mut paths = self.lock();
        paths.remove(path).is_some() && paths.is_empty()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.lock().contains_key(path)
    }

    /// Whether a path failed so shortly ago that it is not tried again yet.
    pub(super) fn is_fresh(&self, path: &str) -> bool {
        self.lock().get(path).is_some_and(|last| last.elapsed() < RETRY)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
