//! Gives memory back that many clients needed at a time, once most of them are gone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// For fewer connections it is not worth it.
const LEAST: usize = 64;
/// Memory is given back when no more than a quarter of the connections is left, and when none is.
const SHARE: usize = 4;
/// The connections that have just ended free what they held meanwhile. Threads that waited for files keep some of it
/// until they end, after ten seconds.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(12)];

/// How many connections were open lately.
#[derive(Default)]
pub(super) struct Peak {
    /// The most since memory was given back.
    most: AtomicUsize,
    /// Whether there were many since there was none.
    had_many: AtomicBool,
}

impl Peak {
    pub(super) fn opened(&self, open: usize) {
        self.most.fetch_max(open, Relaxed);
    }

    /// Gives memory back if most connections are gone. Gives whether that is so.
    pub(super) fn closed(&self, open: usize) -> bool {
        let most = self.most.load(Relaxed);
        let is_far_below = LEAST <= most && open <= most / SHARE;
        if is_far_below && self.most.compare_exchange(most, open, Relaxed, Relaxed).is_ok() {
            self.had_many.store(true, Relaxed);
        } else if 0 < open || !self.had_many.swap(false, Relaxed) {
            return false;
        }
        // Without a runtime, the process is about to end.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async {
                for pause in PAUSES {
                    sleep(pause).await;
                    let _ = spawn_blocking(give_back).await;
                }
            });
        }
        true
    }
}

/// The allocator of GNU's C library keeps what was freed, unless it is asked.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call has no condition; it takes the allocator's own locks.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
