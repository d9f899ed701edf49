//! Notices that a server is silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Knows when a server last gave a sign of life: a new connection, or bytes.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog(Arc<watch::Sender<Sign>>);

#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Instant,
    is_connecting: bool,
}

impl Watchdog {
    pub(crate) fn new() -> Watchdog {
        Watchdog(Arc::new(watch::Sender::new(Sign { at: Instant::now(), is_connecting: false })))
    }

    /// Notes a sign of life.
    pub(crate) fn reset(&self) {
        self.0.send_replace(Sign { at: Instant::now(), is_connecting: false });
    }

    /// Notes that a connection is being set up.
    #[cfg(feature = "client")]
    pub(crate) fn connecting(&self) {
        self.0.send_replace(Sign { at: Instant::now(), is_connecting: true });
    }

    /// Completes when there was no sign of life for `timeout`. The set-up of a connection has a limit of its own, which
    /// ends it earlier.
    pub(crate) async fn expired(&self, timeout: Duration) {
        let mut signs = self.0.subscribe();
        loop {
            let sign = *signs.borrow_and_update();
            let limit = if sign.is_connecting { timeout.saturating_mul(2) } else { timeout };
            let Some(end) = sign.at.checked_add(limit) else { return std::future::pending().await };
            tokio::select! {
                _ = signs.changed() => {}
                () = sleep_until(end) => return,
            }
        }
    }
}
