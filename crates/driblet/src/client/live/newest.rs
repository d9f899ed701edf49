//! Hands the newest head to a consumer, who may be slow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::head::LiveHead;

/// A place for one head. A newer one replaces it.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Place>>);

#[derive(Default)]
struct Place {
    head: Option<LiveHead>,
    consumer: Option<Waker>,
}

impl Newest {
    pub(super) fn put(&self, head: LiveHead) {
        let mut place = self.place();
        place.head = Some(head);
        let consumer = place.consumer.take();
        drop(place);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    /// Takes the head, or waits for one.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<LiveHead> {
        let mut place = self.place();
        match place.head.take() {
            Some(head) => Poll::Ready(head),
            None => {
                place.consumer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
