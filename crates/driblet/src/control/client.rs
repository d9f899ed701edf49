use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use driblet_core::Version;

use super::commands::{ForgottenVersions, PublishedSnapshot};
use super::socket::Place;
use super::wire::{Command, Line};
use crate::history::{DirectoryHistory, PathVersions};
use crate::source::Source;

/// A running server, as other processes of its user reach it. Calls block.
///
/// ```no_run
/// use driblet::control::Control;
///
/// // A build is complete.
/// for snapshot in Control::of_root("dist")?.publish(None)? {
///     println!("{} is {}", snapshot.path, snapshot.version);
/// }
/// # Ok::<(), driblet::control::ControlError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Control {
    history: PathBuf,
}

impl Control {
    /// The server that has this folder as its history.
    pub fn of_history(folder: impl Into<PathBuf>) -> Control {
        Control { history: folder.into() }
    }

    /// The server of a root that has its history at the default place.
    ///
    /// # Errors
    /// [`ControlError::NoCache`] if there is no default place.
    pub fn of_root(root: impl AsRef<Path>) -> Result<Control, ControlError> {
        let root = Source::named(root.as_ref()).map_err(|source| ControlError::Io { source })?;
        DirectoryHistory::default_folder(&root).map(Control::of_history).ok_or(ControlError::NoCache)
    }

    /// Publishes a file or a directory now, or all directories. See [`Server::publish`](crate::Server::publish).
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if no server uses the history; [`ControlError::Refused`] with its reason.
    pub fn publish(&self, path: Option<&str>) -> Result<Vec<PublishedSnapshot>, ControlError> {
        let lines = self.ask(&Command::Publish { path: path.map(str::to_owned) })?;
        lines.into_iter().map(|line| if let Line::Published(it) = line { Ok(it) } else { Err(unexpected()) }).collect()
    }

    /// Lists what the history has. See [`Server::versions`](crate::Server::versions).
    ///
    /// # Errors
    /// As [`publish`](Control::publish).
    pub fn versions(&self, path: Option<&str>) -> Result<Vec<PathVersions>, ControlError> {
        let lines = self.ask(&Command::Versions { path: path.map(str::to_owned) })?;
        lines.into_iter().map(|line| if let Line::Versions(it) = line { Ok(it) } else { Err(unexpected()) }).collect()
    }

    /// Forgets a version of a path, or all. See [`Server::forget`](crate::Server::forget).
    ///
    /// # Errors
    /// As [`publish`](Control::publish).
    pub fn forget(&self, path: &str, version: Option<Version>) -> Result<ForgottenVersions, ControlError> {
        let version = version.map(|version| version.to_string());
        match self.ask(&Command::Forget { path: path.to_owned(), version })?.pop() {
            Some(Line::Forgotten(forgotten)) => Ok(forgotten),
            _ => Err(unexpected()),
        }
    }

    /// The lines of the answer, without the last one, which says that all is done.
    fn ask(&self, command: &Command) -> Result<Vec<Line>, ControlError> {
        let failed = |source| ControlError::Io { source };
        let place = Place::in_history(&self.history);
        let stream = place.and_then(|place| UnixStream::connect(place.path()));
        let mut stream = stream.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ControlError::NotRunning { history: self.history.clone() }
            }
            _ => failed(source),
        })?;
        let command = serde_json::to_string(command).map_err(|error| failed(error.into()))?;
        stream.write_all(format!("{command}\n").as_bytes()).map_err(failed)?;
        stream.shutdown(Shutdown::Write).map_err(failed)?;
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            match serde_json::from_str(&line.map_err(failed)?).map_err(|error| failed(error.into()))? {
                Line::Done => return Ok(lines),
                Line::Failed(reason) => return Err(ControlError::Refused { reason }),
                line => lines.push(line),
            }
        }
        Err(failed(io::ErrorKind::UnexpectedEof.into()))
    }
}

fn unexpected() -> ControlError {
    ControlError::Io { source: io::Error::new(io::ErrorKind::InvalidData, "the server answered another question") }
}

/// Why a running server could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No server uses the history.
    #[error("no server runs with the history {}; start one, or name the history of the one that runs", history.display())]
    #[non_exhaustive]
    NotRunning {
        /// The folder of the history.
        history: PathBuf,
    },
    /// The server refuses.
    #[error("{reason}")]
    #[non_exhaustive]
    Refused {
        /// In the server's own words.
        reason: String,
    },
    /// There is no default folder for the history.
    #[error("neither XDG_CACHE_HOME nor a home folder is set; name the folder of the history")]
    NoCache,
    /// The server cannot be asked, or its answer cannot be read.
    #[error("cannot speak to the server")]
    #[non_exhaustive]
    Io {
        /// The error of the operating system.
        source: io::Error,
    },
}
