//! Work that blocks a thread: reading files, hashing, encoding.

use std::any::Any;
use std::io;
#[cfg(feature = "server")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

/// Why a task of driblet ended without a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskFailed {
    /// The task panicked.
    #[error("a task panicked; this is a bug in driblet, and its message is in the log")]
    Panicked,
    /// The Tokio runtime stopped.
    #[error("a task was cancelled because the runtime is stopping")]
    Cancelled,
}

impl TaskFailed {
    /// Logs a panic.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> TaskFailed {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        error!("a task panicked; this is a bug in driblet: {}", text.unwrap_or("no message"));
        TaskFailed::Panicked
    }

    /// Logs a panic.
    pub(crate) fn of(error: JoinError) -> TaskFailed {
        error.try_into_panic().map_or(TaskFailed::Cancelled, |payload| TaskFailed::panicked(&*payload))
    }
}

impl From<TaskFailed> for io::Error {
    fn from(failed: TaskFailed) -> io::Error {
        io::Error::other(failed)
    }
}

/// Runs work on a thread that it may block. A panic is logged and becomes an error.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<TaskFailed> + Send + 'static,
{
    spawn_blocking(work).await.unwrap_or_else(|error| Err(TaskFailed::of(error).into()))
}

/// The result of a future. A panic is logged and becomes an error.
#[cfg(feature = "server")]
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, TaskFailed> {
    use futures_util::FutureExt;
    let caught = AssertUnwindSafe(future).catch_unwind().await;
    caught.map_err(|payload| TaskFailed::panicked(&*payload))
}

/// Runs work on a new thread. A runtime that ends waits for its blocking tasks, but not for this thread. A panic is
/// logged and becomes an error.
#[cfg(feature = "server")]
pub(crate) async fn on_own_thread<T: Send + 'static, E: From<TaskFailed> + From<io::Error>>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, E> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| TaskFailed::panicked(&*payload));
        drop(sender.send(result));
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    // The thread always sends.
    Ok(receiver.await.unwrap_or(Err(TaskFailed::Cancelled))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let result: io::Result<()> = blocking(|| panic!("a bug")).await;
        assert!(result.unwrap_err().to_string().contains("panicked"));
        assert_eq!(blocking(|| io::Result::Ok(1)).await.unwrap(), 1);
    }

    #[cfg(feature = "server")]
    #[tokio::test]
    async fn a_panic_on_a_thread_or_in_a_future_is_an_error() {
        let result: io::Result<()> = on_own_thread("test", || panic!("a bug")).await;
        assert!(result.unwrap_err().to_string().contains("panicked"));
        assert_eq!(on_own_thread::<_, io::Error>("test", || 1).await.unwrap(), 1);
        assert_eq!(caught(async { panic!("a bug") }).await, Err::<(), _>(TaskFailed::Panicked));
        assert_eq!(caught(async { 1 }).await, Ok(1));
    }
}
