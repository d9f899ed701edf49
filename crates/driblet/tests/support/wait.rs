//! Waits for events, with a limit that is generous even on a busy machine.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::timeout;

/// The longest wait for an event.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Waits until a condition holds. Fails after [`LIMIT`].
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            yield_now().await;
        }
    };
    within(waiting).await;
}

/// The result of a future. Fails after [`LIMIT`].
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("the event happens within the limit")
}

/// The result of work that blocks a thread. Fails after [`LIMIT`].
pub(crate) fn within_on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(thread::spawn(work))
}

/// The result of a thread. Fails after [`LIMIT`].
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> T {
    eventually_on_thread(|| thread.is_finished());
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// As [`eventually`], on a thread.
pub(crate) fn eventually_on_thread(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "the event happens within the limit");
        thread::yield_now();
    }
}

/// Lets time pass, for a test of what a certain pace does. No test waits for an event by this.
pub(crate) fn let_pass(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}
