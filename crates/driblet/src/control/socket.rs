//! The socket of a running server, in the folder of its history.
//!
//! Only processes of the server's own user, and root, are answered. A client writes one line of JSON, and reads lines of
//! JSON until the connection ends.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::error::CommandError;
use super::wire::{Command, Line};
use crate::causes::with_causes;
use crate::disk;
use crate::site::Site;

/// The name of the socket.
const NAME: &str = "control.sock";
/// The longest path of a socket, in bytes.
const MAX_PATH: usize = 100;
/// The longest command.
const MAX_COMMAND: u64 = 64 << 10;
/// How long a client may take to send its command.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket of a server. It is removed when this is dropped.
#[derive(Debug)]
#[must_use = "the socket is removed when this is dropped"]
pub struct ControlSocket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl ControlSocket {
    /// Opens the socket of a server. A socket that another process left is replaced: the history belongs to this server.
    pub(crate) fn open(site: Arc<Site>, history: &Path) -> io::Result<ControlSocket> {
        let path = history.join(NAME);
        disk::remove(&path)?;
        let place = Place::of(&path)?;
        let listener = UnixListener::bind(place.path())?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let task = tokio::spawn(accept(listener, site));
        Ok(ControlSocket { path, task })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// A name of a socket that is short enough for the system.
pub(super) struct Place {
    path: PathBuf,
    /// The folder that the name refers to.
    _folder: Option<File>,
}

impl Place {
    /// The path itself, or one through an open file of its folder.
    fn of(path: &Path) -> io::Result<Place> {
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Place { path: path.to_path_buf(), _folder: None });
        }
        let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(NAME);
        Ok(Place { path, _folder: Some(folder) })
    }

    /// The place of the socket in a history's folder.
    pub(super) fn in_history(folder: &Path) -> io::Result<Place> {
        Place::of(&folder.join(NAME))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

async fn accept(listener: UnixListener, site: Arc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = site.clone();
                tokio::spawn(async move {
                    // A client that has gone needs no answer.
                    let _ = answer(stream, &site).await;
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection of the control socket");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, site: &Site) -> io::Result<()> {
    // Until the permissions were set, another user could connect.
    let user = stream.peer_cred()?.uid();
    if user != 0 && user != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut from = BufReader::new(from.take(MAX_COMMAND));
    timeout(LIMIT, from.read_line(&mut line)).await??;
    let lines = match serde_json::from_str(&line) {
        Ok(command) => run(command, site).await.unwrap_or_else(|error| vec![Line::Failed(with_causes(&error))]),
        Err(error) => vec![Line::Failed(format!("the server does not know this command: {error}"))],
    };
    let is_failed = matches!(lines.last(), Some(Line::Failed(_)));
    let mut text = Vec::new();
    for line in lines.into_iter().chain((!is_failed).then_some(Line::Done)) {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    to.write_all(&text).await?;
    to.shutdown().await
}

async fn run(command: Command, site: &Site) -> Result<Vec<Line>, CommandError> {
    Ok(match command {
        Command::Publish { path } => {
            let published = site.publish(path.as_deref()).await?;
            published.into_iter().map(Line::Published).collect()
        }
        Command::Versions { path } => {
            let stored = site.list(path.as_deref()).await?;
            stored.into_iter().map(Line::Versions).collect()
        }
        Command::Forget { path, version: None } => vec![Line::Forgotten(site.forget(&path, None).await?)],
        Command::Forget { path, version: Some(version) } => match version.parse() {
            Ok(version) => vec![Line::Forgotten(site.forget(&path, Some(version)).await?)],
            Err(_) => vec![Line::Failed(format!("{version:?} is no version: give 64 lower-case hex digits"))],
        },
    })
}
