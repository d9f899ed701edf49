use crate::history::HistoryError;
use crate::publisher::PublishError;
use crate::task::TaskFailed;

/// Why a server did not do what an operator asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is neither a file nor a snapshot of a directory at the path.
    #[error("there is neither a file nor a snapshot of a directory at /{path}")]
    #[non_exhaustive]
    NoSnapshot {
        /// The path below the root.
        path: String,
    },
    /// The history does not have the version, or no version of the path.
    #[error("the history does not have that version of /{path}; list what it has")]
    #[non_exhaustive]
    NotStored {
        /// The path below the root.
        path: String,
    },
    /// A version that is to be forgotten is published now.
    #[error(
        "that version is published at /{path} now; remove or replace it there first, or it would be published again"
    )]
    #[non_exhaustive]
    StillPublished {
        /// Where it is published.
        path: String,
    },
    /// The file or directory cannot be published.
    #[error("cannot publish /{path}")]
    #[non_exhaustive]
    Publish {
        /// The path below the root.
        path: String,
        /// Why.
        source: PublishFailure,
    },
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Why a file or a directory cannot be published.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PublishFailure(PublishError);

impl CommandError {
    pub(crate) fn publish(path: &str, error: PublishError) -> CommandError {
        CommandError::Publish { path: path.to_owned(), source: PublishFailure(error) }
    }
}

impl From<TaskFailed> for CommandError {
    fn from(failed: TaskFailed) -> CommandError {
        CommandError::History(failed.into())
    }
}
