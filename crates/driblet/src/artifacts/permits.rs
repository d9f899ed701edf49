//! Permits to use a core for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::ArtifactError;

/// The most bytes of short work. Longer work takes permits of another kind, so that short work does not wait for seconds.
const SHORT: u64 = 8 << 20;

/// Permits for the work that requests wait for.
pub(super) struct EncoderPermits {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    queue_timeout: Duration,
}

/// A permit. Dropping it returns it.
pub(super) struct EncoderPermit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl EncoderPermits {
    /// `count` permits of each kind. A request waits for one no longer than `queue_timeout`.
    pub(super) fn new(count: usize, queue_timeout: Duration) -> EncoderPermits {
        let permits = || Arc::new(Semaphore::new(count));
        EncoderPermits { short: permits(), long: permits(), queue_timeout }
    }

    /// Waits for a permit to work on this many bytes.
    pub(super) async fn acquire(&self, bytes: u64) -> Result<EncoderPermit, ArtifactError> {
        let permits = if bytes <= SHORT { &self.short } else { &self.long };
        let acquired = timeout(self.queue_timeout, permits.clone().acquire_owned()).await;
        acquired.map_err(|_| ArtifactError::Busy)?.map(EncoderPermit).map_err(|_| ArtifactError::Interrupted)
    }

    /// Waits until no request waits for a permit, and takes none.
    pub(super) async fn no_request_waits(&self) {
        drop(self.short.acquire().await);
        drop(self.long.acquire().await);
    }
}
