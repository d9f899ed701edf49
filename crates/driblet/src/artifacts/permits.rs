//! Whose turn it is to take a core for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::ArtifactError;

/// Work on more bytes than this takes turns apart: it may hold them for seconds, and what is done in a moment must not wait for it.
const SHORT: u64 = 8 << 20;

/// Turns for the work that requests wait for.
pub(super) struct Turns {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    patience: Duration,
}

/// A turn, until it is dropped.
pub(super) struct Turn(#[allow(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Turns {
    /// So many at once of each kind. Nobody waits longer than `patience`.
    pub(super) fn new(count: usize, patience: Duration) -> Turns {
        Turns { short: Arc::new(Semaphore::new(count)), long: Arc::new(Semaphore::new(count)), patience }
    }

    /// Waits for a turn to work on so many bytes.
    pub(super) async fn take(&self, bytes: u64) -> Result<Turn, ArtifactError> {
        let turns = if bytes <= SHORT { &self.short } else { &self.long };
        let turn = timeout(self.patience, turns.clone().acquire_owned()).await.map_err(|_| ArtifactError::Busy)?;
        turn.map(Turn).map_err(|_| ArtifactError::Interrupted)
    }

    /// Waits until no request waits for its turn. The turn itself stays free for the next one.
    pub(super) async fn are_free(&self) {
        drop(self.short.acquire().await);
        drop(self.long.acquire().await);
    }
}
