use std::error::Error;
use std::fmt;
use std::io;
#[cfg(feature = "client")]
use std::time::Duration;

use crate::task::TaskFailed;

/// Why a pull failed. The destination is as it was. If the pull had finished a delta that an earlier one began, the
/// destination has the version of that delta.
///
/// `Display` says what the client was doing; [`source`](Error::source) says what went wrong.
///
/// ```
/// use std::error::Error;
///
/// use driblet::PullError;
///
/// /// Whether the same pull may succeed later.
/// fn may_pass(error: &PullError) -> bool {
///     match error {
///         PullError::Network { phase, source, .. } => {
///             eprintln!("{error} ({phase:?}): {source}");
///             true
///         }
///         PullError::Protocol { .. } => false,
///         // The disk may be full.
///         PullError::Store { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
///         _ => false,
///     }
/// }
/// # drop(may_pass as fn(&PullError) -> bool);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The server cannot be reached, does not answer, or closes the connection early. Try again: the next pull
    /// continues where this one ended.
    #[error("{doing}")]
    #[non_exhaustive]
    Network {
        /// How far the pull had come.
        phase: Phase,
        /// What the client was doing.
        doing: String,
        /// What went wrong.
        source: NetworkError,
    },
    /// The server refuses, does not speak driblet, or sent bytes that fail verification.
    #[error("{what}")]
    #[non_exhaustive]
    Protocol {
        /// What is wrong.
        what: String,
        /// Why.
        source: ProtocolError,
    },
    /// A local file cannot be read or written.
    #[error("{what}")]
    #[non_exhaustive]
    Store {
        /// What the client was doing, and with which file.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A task of the client ended without a result.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

/// How far a pull had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// The client was looking up the address, or setting up a connection or TLS.
    Connecting,
    /// The server was reached and had not answered.
    Waiting,
    /// The response had begun and was not complete.
    Reading,
}

/// An error of a connection.
pub struct NetworkError(NetworkCause);

/// A server that refuses, or that does not follow the protocol.
pub struct ProtocolError(ProtocolCause);

#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkCause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[cfg(feature = "client")]
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The message contains those of its causes, so it has no source.
    #[cfg(all(feature = "client", feature = "browser-sync-stream"))]
    #[error("{0}")]
    WebSocket(tokio_tungstenite::tungstenite::Error),
    #[cfg(feature = "browser-sync-stream")]
    #[error(transparent)]
    GaveUp(driblet_core::browser_sync_stream::WireError),
    #[error("nothing came for {0:?}")]
    Silent(std::time::Duration),
    #[cfg(feature = "client")]
    #[error("no connection within {0:?}")]
    NoConnection(Duration),
    #[cfg(feature = "client")]
    #[error("no TLS session within {0:?}")]
    NoTls(Duration),
    #[cfg(feature = "client")]
    #[error("{0}")]
    Busy(String),
    #[error("the stream was cut off")]
    CutOff,
    #[cfg(feature = "client")]
    #[error("the response ends before its runs do")]
    NoRuns,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolCause {
    #[cfg(feature = "client")]
    #[error(transparent)]
    Decode(driblet_core::DecodeError),
    #[cfg(feature = "client")]
    #[error(transparent)]
    Runs(driblet_core::RunsError),
    #[cfg(feature = "client")]
    #[error(transparent)]
    ChunkSize(driblet_core::UnknownChunkSize),
    #[cfg(feature = "client")]
    #[error(transparent)]
    Base64(base64::DecodeError),
    #[cfg(feature = "client")]
    #[error(transparent)]
    Http(reqwest::Error),
    #[cfg(feature = "browser-sync-stream")]
    #[error(transparent)]
    Wire(driblet_core::browser_sync_stream::WireError),
    #[cfg(all(feature = "client", feature = "browser-sync-stream"))]
    #[error(transparent)]
    Io(io::Error),
    #[cfg(feature = "browser-sync-stream")]
    #[error("the file is longer than the {limit} bytes that are accepted")]
    TooLong { limit: u64 },
    /// The server's own words.
    #[cfg(feature = "client")]
    #[error("{detail}")]
    Refused { status: u16, detail: String },
    #[cfg(feature = "client")]
    #[error("{0}")]
    Live(&'static str),
    #[cfg(feature = "client")]
    #[error("{found} is neither {expected} nor {expected}s")]
    Scheme { found: String, expected: &'static str },
    #[cfg(feature = "client")]
    #[error("the response has the media type {found:?} instead of {expected}; is there a driblet server at this URL?")]
    MediaType { found: String, expected: &'static str },
    #[cfg(feature = "client")]
    #[error("it is the URL of a directory: pull it into a folder (Client::pull_directory), or name a file in it")]
    IsDirectory,
    #[cfg(feature = "client")]
    #[error("it is the URL of a file: pull it into a file (Client::pull)")]
    IsFile,
    #[cfg(feature = "client")]
    #[error("the file is on another server; leave out where the basis was published")]
    OtherServer,
    #[cfg(feature = "client")]
    #[error("the request cannot be repeated")]
    NotRepeatable,
}

impl PullError {
    /// The response that is being read breaks off.
    pub(crate) fn network(doing: impl Into<String>, cause: impl Into<NetworkCause>) -> PullError {
        PullError::during(Phase::Reading, doing, cause)
    }

    pub(crate) fn during(phase: Phase, doing: impl Into<String>, cause: impl Into<NetworkCause>) -> PullError {
        PullError::Network { phase, doing: doing.into(), source: NetworkError(cause.into()) }
    }

    /// The error does not show the URL: if the URL has no scheme, the user name in `user:password@host` is read as one.
    #[cfg(feature = "client")]
    pub(crate) fn scheme(url: &url::Url, expected: &'static str) -> PullError {
        let cause = ProtocolCause::Scheme { found: url.scheme().to_owned(), expected };
        PullError::protocol("cannot pull from this URL", cause)
    }

    /// The basis was published on another server than the file at `url`.
    #[cfg(feature = "client")]
    pub(crate) fn other_server(url: &url::Url) -> PullError {
        let host = url.host_str().unwrap_or_default();
        PullError::protocol(format!("cannot use the URL of the basis for a file of {host}"), ProtocolCause::OtherServer)
    }

    pub(crate) fn protocol(what: impl Into<String>, cause: ProtocolCause) -> PullError {
        PullError::Protocol { what: what.into(), source: ProtocolError(cause) }
    }

    pub(crate) fn store(what: impl Into<String>, source: io::Error) -> PullError {
        PullError::Store { what: what.into(), source }
    }

    /// Whether the URL of a directory is the URL of a file.
    #[cfg(feature = "client")]
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, PullError::Protocol { source: ProtocolError(ProtocolCause::IsFile), .. })
    }

    /// Whether the server publishes a directory at the URL of a file.
    #[cfg(feature = "client")]
    pub fn is_url_of_directory(&self) -> bool {
        matches!(self, PullError::Protocol { source: ProtocolError(ProtocolCause::IsDirectory), .. })
    }

    /// The error for a [`Store`](crate::browser_sync_stream::Store). The error of a store keeps its kind.
    #[cfg(feature = "browser-sync-stream")]
    pub(crate) fn into_io(self) -> io::Error {
        match &self {
            PullError::Store { source, .. } => io::Error::new(source.kind(), self),
            _ => io::Error::other(self),
        }
    }

    /// Whether other bytes, in another response, could be right.
    #[cfg(feature = "client")]
    pub(crate) fn is_about_bytes(&self) -> bool {
        matches!(self, PullError::Protocol { source: ProtocolError(ProtocolCause::Decode(_)), .. })
    }
}

#[cfg(feature = "client")]
impl ProtocolError {
    /// The status of the response, if the server refused the request over HTTP.
    ///
    /// ```
    /// use driblet::PullError;
    ///
    /// /// Whether credentials are missing or wrong.
    /// fn is_denied(error: &PullError) -> bool {
    ///     matches!(error, PullError::Protocol { source, .. } if matches!(source.status(), Some(401 | 403)))
    /// }
    /// # drop(is_denied as fn(&PullError) -> bool);
    /// ```
    pub fn status(&self) -> Option<u16> {
        match &self.0 {
            ProtocolCause::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

#[cfg(feature = "browser-sync-stream")]
impl ProtocolError {
    /// The violation of the protocol of browser-sync-stream, if it is one.
    ///
    /// ```
    /// use driblet::PullError;
    /// use driblet::browser_sync_stream::{MemoryStore, WireError, receive};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// // A sender that announces a message of three bytes where a hash of 32 should be.
    /// let sender = tokio_util::io::StreamReader::new(futures_util::stream::iter([std::io::Result::Ok(&b"\x03abc"[..])]));
    /// let error = receive(tokio::io::join(sender, tokio::io::sink()), MemoryStore::default()).await.unwrap_err();
    /// let PullError::Protocol { source, .. } = error else { panic!("{error}") };
    /// assert!(matches!(source.wire_error(), Some(WireError::NoHash { len: 3 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wire_error(&self) -> Option<&driblet_core::browser_sync_stream::WireError> {
        match &self.0 {
            ProtocolCause::Wire(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Debug for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for NetworkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Debug for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ProtocolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(all(feature = "client", feature = "browser-sync-stream"))]
impl From<tokio_tungstenite::tungstenite::Error> for NetworkCause {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> NetworkCause {
        match error {
            tokio_tungstenite::tungstenite::Error::Io(error) => NetworkCause::Io(error),
            error => NetworkCause::WebSocket(error),
        }
    }
}
