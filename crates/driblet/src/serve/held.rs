//! What the answers on one connection hold in memory while the client does not take it (HTTP/2).
//!
//! A client of HTTP/2 may ask for a hundred answers at a time and take none. Each answer then holds a piece that hyper
//! has and pieces that h2 has queued.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Bytes that the bodies on a connection may hold together before a body that holds some itself must wait. A body that
/// holds nothing need not wait: a client, or a proxy, that leaves some answers alone still gets the others.
const MANY: usize = 1 << 20;

/// What all bodies on a connection hold.
#[derive(Default)]
pub(super) struct HeldBytes(Mutex<Held>);

#[derive(Default)]
struct Held {
    bytes: usize,
    next: u64,
    /// Bodies that wait until less is held, by number.
    waiting: HashMap<u64, Waker>,
}

/// What one body holds.
pub(super) struct BodyBytes {
    all: Arc<HeldBytes>,
    own: Arc<AtomicUsize>,
    id: u64,
}

impl BodyBytes {
    pub(super) fn new(all: &Arc<HeldBytes>) -> BodyBytes {
        let mut held = all.lock();
        held.next += 1;
        BodyBytes { all: all.clone(), own: Arc::default(), id: held.next }
    }

    /// Ready when the body may hold another piece.
    pub(super) fn poll_more(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut held = self.all.lock();
        if held.bytes < MANY || self.own.load(SeqCst) == 0 {
            return Poll::Ready(());
        }
        let before = held.waiting.insert(self.id, context.waker().clone());
        drop(held);
        // Dropped without the lock: a waker may own what takes it.
        drop(before);
        Poll::Pending
    }

    /// Counts a piece until it is dropped.
    pub(super) fn hold(&self, bytes: Bytes) -> Bytes {
        self.all.lock().bytes += bytes.len();
        self.own.fetch_add(bytes.len(), SeqCst);
        Bytes::from_owner(Piece { bytes, all: self.all.clone(), own: self.own.clone() })
    }
}

impl Drop for BodyBytes {
    fn drop(&mut self) {
        let waker = self.all.lock().waiting.remove(&self.id);
        drop(waker);
    }
}

struct Piece {
    bytes: Bytes,
    all: Arc<HeldBytes>,
    own: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let waiting = {
            let mut held = self.all.lock();
            held.bytes -= self.bytes.len();
            self.own.fetch_sub(self.bytes.len(), SeqCst);
            std::mem::take(&mut held.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

impl HeldBytes {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(body: &BodyBytes) -> bool {
        body.poll_more(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_body_waits_while_it_holds_some_of_too_much() {
        let all = Arc::default();
        let (greedy, late) = (BodyBytes::new(&all), BodyBytes::new(&all));
        let first = greedy.hold(Bytes::from(vec![0; MANY]));
        assert!(!is_ready(&greedy) && is_ready(&late));
        let second = late.hold(Bytes::from_static(b"a"));
        assert!(!is_ready(&late));
        drop(first);
        assert!(is_ready(&greedy) && is_ready(&late));
        drop(second);
        let held = all.lock();
        assert_eq!((held.bytes, held.waiting.len()), (0, 0));
    }

    #[test]
    fn a_body_that_is_gone_waits_for_nothing() {
        let all = Arc::default();
        let body = BodyBytes::new(&all);
        let piece = body.hold(Bytes::from(vec![0; MANY]));
        assert!(!is_ready(&body));
        drop(body);
        assert_eq!(all.lock().waiting.len(), 0);
        drop(piece);
        assert_eq!(all.lock().bytes, 0);
    }
}
