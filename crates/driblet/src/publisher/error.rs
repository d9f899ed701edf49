use std::io;
use std::sync::Arc;

use driblet_core::directory::ManifestError;

use crate::history::HistoryError;
use crate::task::TaskFailed;

/// Why the server cannot tell what is published at a path.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("the published folder or file is missing at the moment; try again")]
    RootMissing(#[source] Arc<io::Error>),
    #[error("the server is still reading the file; try again")]
    Busy,
    #[error("the file {path} is still changing; try again when it is complete")]
    Unstable { path: String },
    #[error("cannot read the file")]
    Io(#[source] Arc<io::Error>),
    #[error(transparent)]
    History(Arc<HistoryError>),
    #[error("there is no folder /{path} here")]
    NoDirectory { path: String },
    #[error("the directory cannot be published: {0}")]
    Manifest(Arc<ManifestError>),
    #[error("the history has no room for this file at the moment; try again")]
    Paused,
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

impl From<io::Error> for PublishError {
    fn from(error: io::Error) -> PublishError {
        PublishError::Io(Arc::new(error))
    }
}

impl From<HistoryError> for PublishError {
    fn from(error: HistoryError) -> PublishError {
        match error {
            // A bug is no reason to try again.
            HistoryError::Task(failed) => failed.into(),
            error => PublishError::History(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::blocking;

    #[tokio::test]
    async fn a_panic_is_neither_an_absence_nor_a_reason_to_try_again() {
        let result: Result<(), PublishError> = blocking(|| panic!("a bug")).await;
        assert!(matches!(result, Err(PublishError::Task(TaskFailed::Panicked))));
    }
}
