//! What the live streams of one asset share: the newest event, which is encoded once for all of them.
//!
//! A stream that is read slowly skips events: it holds no more than the one that it is sending.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A head, as all streams tell it.
pub(crate) struct LiveEvent {
    pub(crate) counter: u64,
    /// The bytes of the event.
    pub(crate) text: Bytes,
}

/// The newest event of an asset; `None` until its head is known.
pub(crate) type Newest = Option<Arc<LiveEvent>>;

/// The streams of all assets.
pub(crate) struct LiveStreams {
    /// By the asset's path, with a `/` at the end of a directory's. An asset without streams has no entry.
    assets: Mutex<HashMap<String, Arc<watch::Sender<Newest>>>>,
    permits: Arc<Semaphore>,
}

/// One stream.
pub(crate) struct LiveStream {
    pub(crate) events: watch::Receiver<Newest>,
    _permit: OwnedSemaphorePermit,
}

impl LiveStreams {
    pub(crate) fn new(max: usize) -> LiveStreams {
        LiveStreams { assets: Mutex::default(), permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))) }
    }

    /// Adds a stream of an asset; `None` if there are too many. If it is the asset's first one, the caller must send the
    /// asset's events to the sender that comes with it, until [`end`](LiveStreams::end) takes that away.
    pub(crate) fn add(&self, path: &str) -> Option<(LiveStream, Option<Arc<watch::Sender<Newest>>>)> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let mut assets = self.assets();
        let (events, new) = match assets.get(path) {
            Some(newest) => (newest.subscribe(), None),
            None => {
                let newest = Arc::new(watch::Sender::new(None));
                assets.insert(path.to_owned(), newest.clone());
                (newest.subscribe(), Some(newest))
            }
        };
        Some((LiveStream { events, _permit: permit }, new))
    }

    /// Forgets an asset, if it has no stream any more. Gives whether it has none.
    pub(crate) fn end(&self, path: &str, newest: &watch::Sender<Newest>) -> bool {
        // Under the lock, so that no stream is added meanwhile.
        let mut assets = self.assets();
        let has_none = newest.receiver_count() == 0;
        if has_none {
            assets.remove(path);
        }
        has_none
    }

    fn assets(&self) -> MutexGuard<'_, HashMap<String, Arc<watch::Sender<Newest>>>> {
        self.assets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_and_forgotten() {
        let streams = LiveStreams::new(2);
        let (first, sender) = streams.add("a").unwrap();
        let sender = sender.unwrap();
        let (second, again) = streams.add("a").unwrap();
        assert!(again.is_none() && streams.add("b").is_none());
        drop(first);
        assert!(!streams.end("a", &sender));
        drop(second);
        assert!(streams.end("a", &sender) && streams.assets().is_empty());
        let (_other, sender) = streams.add("b").unwrap();
        assert!(sender.is_some());
    }
}
