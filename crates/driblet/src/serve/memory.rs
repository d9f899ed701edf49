//! Gives memory back that many clients needed at a time, once most of them are gone.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Handle;

/// For fewer connections it is not worth it.
const LEAST: usize = 64;
/// Memory is given back when no more than this share of the connections is left.
const SHARE: usize = 4;

/// The most connections since memory was given back.
#[derive(Default)]
pub(super) struct Peak(AtomicUsize);

impl Peak {
    pub(super) fn opened(&self, open: usize) {
        self.0.fetch_max(open, Relaxed);
    }

    pub(super) fn closed(&self, open: usize) {
        let peak = self.0.load(Relaxed);
        let is_far_below = LEAST <= peak && open <= peak / SHARE;
        if is_far_below && self.0.compare_exchange(peak, open, Relaxed, Relaxed).is_ok() {
            // Without a runtime, the process is about to end.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn_blocking(give_back);
            }
        }
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
