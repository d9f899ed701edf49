use std::io;
use std::sync::Arc;

use driblet_core::EncodeError;

use crate::history::HistoryError;
use crate::task::TaskFailed;

/// Why an artifact could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    #[error("the server is making other deltas; try again")]
    Busy,
    #[error("the server is stopping")]
    Interrupted,
    #[error("the server has no room to make this now; try again later, or fetch the file itself")]
    NoRoom,
    #[error("a file of this version is not stored any more; ask for the delta to the newest version")]
    Missing,
    #[error("the history cannot be read")]
    History(#[source] Arc<HistoryError>),
    #[error("the artifact cannot be read or written")]
    Io(#[source] Arc<io::Error>),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

impl ArtifactError {
    pub(super) fn shared(error: Arc<ArtifactError>) -> ArtifactError {
        ArtifactError::clone(&error)
    }
}

impl From<io::Error> for ArtifactError {
    fn from(error: io::Error) -> ArtifactError {
        ArtifactError::Io(Arc::new(error))
    }
}

impl From<HistoryError> for ArtifactError {
    fn from(error: HistoryError) -> ArtifactError {
        ArtifactError::History(Arc::new(error))
    }
}
