//! What the streams have seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What all streams share.
pub(crate) struct Board {
    pub(crate) count: usize,
    seen: Mutex<Seen>,
    changed: Notify,
}

/// What happened since the last command.
#[derive(Default)]
pub(crate) struct Seen {
    /// When each stream got its first event, also after it came back.
    pub(crate) began: Vec<Instant>,
    /// When each `head` event came that is not the first of its stream.
    pub(crate) heads: Vec<Instant>,
    /// When the server accepted each connection.
    pub(crate) connected: Vec<Instant>,
    /// Attempts that failed: nobody listened, or the answer was no stream.
    pub(crate) failed: usize,
    /// The bytes that one stream read when the last `head` came.
    pub(crate) bytes: Vec<u8>,
}

impl Board {
    pub(crate) fn new(count: usize) -> Board {
        Board { count, seen: Mutex::default(), changed: Notify::new() }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was seen, and begins to measure.
    pub(crate) fn begin(&self) -> Instant {
        *self.seen() = Seen::default();
        Instant::now()
    }

    pub(crate) fn note(&self, note: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        note(&mut seen);
        if seen.began.len() == self.count || seen.heads.len() == self.count {
            self.changed.notify_one();
        }
    }

    /// Waits until every stream has one of these. An error after a minute.
    pub(crate) async fn all(&self, which: impl Fn(&Seen) -> &Vec<Instant>) -> Result<(), String> {
        let all = async {
            while which(&self.seen()).len() < self.count {
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), all).await;
        waited.map_err(|_| format!("{} of {} streams after a minute", which(&self.seen()).len(), self.count))
    }
}
