use std::io;
use std::sync::Arc;

use driblet_core::EncodeError;
use tokio::task::spawn_blocking;

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(if error.is_panic() { ArtifactError::Panicked } else { ArtifactError::Interrupted })
    })
}

/// Why an artifact could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    #[error("others are being made; try again")]
    Busy,
    #[error("the server is stopping")]
    Interrupted,
    #[error("a task panicked; this is a bug in driblet, and what it printed says where")]
    Panicked,
    #[error("the server has no room to make this now; try again later, or fetch the file itself")]
    NoRoom,
    #[error("it cannot be made: {0}")]
    Io(Arc<io::Error>),
    #[error(transparent)]
    Encode(#[from] EncodeError),
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
