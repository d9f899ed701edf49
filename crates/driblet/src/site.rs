//! What every request works with, and the opening of heads and versions.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use driblet_core::Version;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::artifacts::Artifacts;
use crate::browser_sync_stream::Lists;
use crate::fingerprint::Fingerprint;
use crate::history::{Head, History, HistoryError, Kept, Seen};
use crate::publisher::{Plain, PublishError, Publisher, Standing};

/// What every request works with.
pub(crate) struct Shared {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) deadline: Duration,
    pub(crate) max_tags: u64,
    /// Turns to send a signature, each of which holds as much memory as its tags.
    pub(crate) signers: Semaphore,
    /// What the sessions of the protocol of browser-sync-stream share, where it is spoken.
    pub(crate) browser_sync_stream: Option<Arc<Lists>>,
    pub(crate) history: Arc<dyn History>,
}

/// What stands at a path, open for reading.
pub(crate) enum Open {
    File(Head, Arc<Kept>),
    Folder,
    Nothing,
}

/// What stands at a path, open for who does not care for versions.
pub(crate) enum OpenPlain {
    /// A version, published or not, and what the file looked like when it was read.
    File(Seen, Arc<Kept>),
    /// The file itself, where the history cannot give it.
    Direct(Arc<File>, Fingerprint),
    Folder,
    Nothing,
}

/// Signatures received at once.
pub(crate) const SIGNERS: usize = 16;
/// How long a request waits for its turn at most: less than clients wait for a sign of life.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a head is looked for that goes before it is open.
const TRIES: u32 = 4;

impl Shared {
    /// Opens what stands at a path now.
    pub(crate) async fn open(&self, path: &str) -> Result<Open, PublishError> {
        for _ in 0..TRIES {
            match self.publisher.standing(path).await? {
                Standing::File(head) => {
                    // Bytes that were changed or removed behind our back are dropped by opening them; the file is then read anew.
                    if let Some(kept) = self.kept(path, head.version).await? {
                        return Ok(Open::File(head, kept));
                    }
                }
                Standing::Folder => return Ok(Open::Folder),
                Standing::Nothing => return Ok(Open::Nothing),
            }
        }
        Err(PublishError::Unstable { path: path.to_owned() })
    }

    /// Opens what stands at a path now, published or not, whatever befalls the history.
    pub(crate) async fn open_plain(&self, path: &str) -> Result<OpenPlain, PublishError> {
        let mut plain = self.publisher.plain(path).await?;
        for _ in 0..TRIES {
            plain = match plain {
                Plain::Head(head) => match self.kept(path, head.version).await {
                    Ok(Some(kept)) => return Ok(OpenPlain::File(head.seen, kept)),
                    // As above: it is read anew.
                    Ok(None) => self.publisher.plain(path).await?,
                    Err(error) => {
                        warn!(path, %error, "a version cannot be opened; the file itself is served");
                        self.publisher.direct(path, None).await?
                    }
                },
                Plain::Snapshot(snapshot) => return Ok(OpenPlain::File(snapshot.seen, snapshot.kept)),
                Plain::Direct(file, fingerprint) => return Ok(OpenPlain::Direct(Arc::new(file), fingerprint)),
                Plain::Folder => return Ok(OpenPlain::Folder),
                Plain::Nothing => return Ok(OpenPlain::Nothing),
            };
        }
        Err(PublishError::Unstable { path: path.to_owned() })
    }

    /// How much work has been done.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            readings: self.publisher.readings(),
            encodes: self.artifacts.encodes(),
            ahead: self.artifacts.made_ahead(),
            waiting: self.artifacts.waiting(),
        }
    }

    /// Opens a version of a path, off the runtime's threads: the first time it is read through.
    pub(crate) async fn kept(&self, path: &str, version: Version) -> Result<Option<Arc<Kept>>, HistoryError> {
        let (history, path) = (self.history.clone(), path.to_owned());
        let opened = spawn_blocking({
            let path = path.clone();
            move || history.open(&path, &version)
        });
        // A panic is no sign that the version is not kept.
        opened
            .await
            .unwrap_or_else(|error| Err(HistoryError::Io { path: path.into(), source: io::Error::other(error) }))
    }
}

/// How much work a server has done since it was built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// How often a file was read to be published.
    pub readings: u64,
    /// Deltas computed; equal requests share one.
    pub encodes: u64,
    /// Those of them that were made before anybody asked for them.
    pub ahead: u64,
    /// Deltas and encoded files that wait to be made in the background.
    pub waiting: usize,
}
