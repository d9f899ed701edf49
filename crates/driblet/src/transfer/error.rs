use std::error::Error;
use std::io;

use url::Url;

/// Why a pull brought nothing. The destination is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server cannot be reached, stalls, or cuts the connection. Trying again goes on from where this ended.
    #[error("{doing}: {source}")]
    Network {
        /// How far it had come.
        phase: Phase,
        /// What was being done.
        doing: String,
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server refuses, does not speak driblet, or sent what does not verify.
    #[error("{what}: {source}")]
    Protocol {
        /// Of what.
        what: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
        /// Whether other bytes, asked for anew, could be right.
        about_bytes: bool,
    },
    /// A local file cannot be read or written.
    #[error("{what}: {source}")]
    Store {
        /// Which.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

/// How far a pull had come with the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Finding its address, or setting up a connection or TLS.
    Connecting,
    /// The server was reached, and has not answered.
    Waiting,
    /// The answer has begun, and is not complete.
    Reading,
}

impl PullError {
    /// The answer that was being read has no end.
    pub(crate) fn network(doing: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> PullError {
        PullError::during(Phase::Reading, doing, source)
    }

    pub(crate) fn during(
        phase: Phase,
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> PullError {
        PullError::Network { phase, doing: doing.into(), source: source.into() }
    }

    /// The URL is not shown: where it has no scheme, `user:password@host` is read as one.
    pub(crate) fn scheme(url: &Url, one: &str) -> PullError {
        PullError::protocol("cannot pull from this URL", format!("{} is neither {one} nor {one}s", url.scheme()))
    }

    pub(crate) fn protocol(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> PullError {
        PullError::Protocol { what: what.into(), source: source.into(), about_bytes: false }
    }

    /// The delta does not verify; asked for anew it might.
    pub(crate) fn bytes(source: driblet_core::DecodeError) -> PullError {
        PullError::Protocol { what: "the delta".into(), source: source.into(), about_bytes: true }
    }

    pub(crate) fn store(what: impl Into<String>, source: io::Error) -> PullError {
        PullError::Store { what: what.into(), source }
    }

    pub(crate) fn is_about_bytes(&self) -> bool {
        matches!(self, PullError::Protocol { about_bytes: true, .. })
    }
}

/// For where only the system's errors pass.
impl From<PullError> for io::Error {
    fn from(error: PullError) -> io::Error {
        match error {
            PullError::Store { what, source } => io::Error::new(source.kind(), format!("{what}: {source}")),
            error => io::Error::other(error),
        }
    }
}
