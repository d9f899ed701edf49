//! Work that blocks a thread: reading files, hashing, encoding.

use std::any::Any;
use std::io;

use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

/// A task that ended without a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TaskFailed {
    #[error("a task panicked; this is a bug in driblet, and its message is in the log")]
    Panicked,
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
}

impl From<JoinError> for TaskFailed {
    fn from(error: JoinError) -> TaskFailed {
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
    spawn_blocking(work).await.unwrap_or_else(|error| Err(TaskFailed::from(error).into()))
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
}
