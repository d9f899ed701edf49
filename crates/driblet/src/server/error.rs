use std::io;
use std::path::PathBuf;

#[cfg(feature = "browser-sync-stream")]
use crate::browser_sync_stream::BadOptions;
use crate::history::HistoryError;
use crate::task::TaskFailed;
use crate::trusted_proxies::BadProxy;

/// Why a server cannot start.
///
/// ```no_run
/// use driblet::{BuildError, HistoryError, Server};
///
/// # async fn run() -> Result<(), BuildError> {
/// let server = match Server::builder("dist").history("/var/cache/app").build().await {
///     // Another process uses the history.
///     Err(BuildError::History(HistoryError::InUse { .. })) => Server::builder("dist").build().await?,
///     built => built?,
/// };
/// # drop(server);
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The folder or file to publish cannot be read.
    #[error("cannot publish {}", path.display())]
    #[non_exhaustive]
    Root {
        /// The folder or file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A trusted proxy is neither an address nor a range of addresses.
    #[error("{}", BadProxy { given: given.clone() })]
    #[non_exhaustive]
    Proxy {
        /// The text that was given.
        given: String,
    },
    /// A pattern of [`ServerBuilder::exclude`](super::ServerBuilder::exclude) is invalid.
    #[error("a pattern of files to leave out is invalid")]
    #[non_exhaustive]
    Exclude {
        /// What is wrong with it.
        source: BadPattern,
    },
    /// A call of [`ServerBuilder::header`](super::ServerBuilder::header) is invalid.
    #[error("a header cannot be set: {reason}")]
    #[non_exhaustive]
    Header {
        /// What is wrong with it.
        reason: String,
    },
    /// A call of [`ServerBuilder::redirect`](super::ServerBuilder::redirect) is invalid.
    #[error("a path cannot be redirected: {reason}")]
    #[non_exhaustive]
    Redirect {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no default folder for the history.
    #[error(
        "neither XDG_CACHE_HOME nor a home folder is set; set a folder for the history with ServerBuilder::history"
    )]
    NoCache,
    /// The system gives no random numbers.
    #[error("cannot get random numbers from the system")]
    #[non_exhaustive]
    Random {
        /// The error of the operating system.
        source: io::Error,
    },
    /// The options for cutting files for browser-sync-stream are invalid.
    #[cfg(feature = "browser-sync-stream")]
    #[error(transparent)]
    BrowserSyncStream(#[from] BadOptions),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Why a pattern is invalid.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadPattern(pub(super) ignore::Error);

impl From<TaskFailed> for BuildError {
    fn from(failed: TaskFailed) -> BuildError {
        BuildError::History(failed.into())
    }
}
