//! The head of each path as the disk has it now: a file is read, hashed and copied once per version.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::artifacts::Artifacts;
use crate::fingerprint::{self, Fingerprint};
use crate::history::{Head, History, HistoryError, Seen, Staged};
use crate::source::{Found, Source};

/// How often a file that changes while it is read is read anew.
const TRIES: u32 = 5;
/// Paths are published one at a time by the lock they hash to.
const LOCKS: usize = 64;
/// Files read at once.
const READERS: usize = 2;

pub(crate) struct Publisher {
    source: Source,
    history: Arc<dyn History>,
    artifacts: Arc<Artifacts>,
    deadline: Duration,
    locks: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
    readers: Semaphore,
    published: Notify,
    indexed: watch::Sender<bool>,
}

/// What stands at a path.
pub(crate) enum Standing {
    File(Head),
    Folder,
    Nothing,
}

impl Publisher {
    pub(crate) fn new(
        source: Source,
        history: Arc<dyn History>,
        artifacts: Arc<Artifacts>,
        deadline: Duration,
    ) -> Arc<Publisher> {
        let publisher = Arc::new(Publisher {
            source,
            history,
            artifacts,
            deadline,
            locks: (0..LOCKS).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
            readers: Semaphore::new(READERS),
            published: Notify::new(),
            indexed: watch::Sender::new(false),
        });
        tokio::spawn(publisher.clone().index());
        publisher
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Wakes when any path gets a new head.
    pub(crate) fn published(&self) -> &Notify {
        &self.published
    }

    /// Waits until every file that was there at the start has been indexed.
    pub(crate) async fn indexed(&self) {
        // The sender lives as long as this publisher.
        let _ = self.indexed.subscribe().wait_for(|done| *done).await;
    }

    /// What stands at a path now. Reads the file if it changed; waits for a reading that is under way, up to the deadline.
    pub(crate) async fn standing(self: &Arc<Self>, path: &str) -> Result<Standing, PublishError> {
        if let Some(standing) = self.known(path).await? {
            return Ok(standing);
        }
        // A task of its own: a request that gives up does not undo the reading that others wait for.
        let (publisher, owned) = (self.clone(), path.to_owned());
        let work = tokio::spawn(async move { publisher.publish(owned).await });
        match tokio::time::timeout(self.deadline, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PublishError::Busy),
            Err(_) => Err(PublishError::Busy),
        }
    }

    async fn index(self: Arc<Self>) {
        let publisher = self.clone();
        let paths = spawn_blocking(move || publisher.source.paths()).await.unwrap_or_default();
        // What the history has and the disk has not: it is noticed that those are gone.
        for path in paths.into_iter().chain(self.history.paths()) {
            if let Err(error) = self.standing(&path).await {
                debug!(path, %error, "not indexed at the start; the first request tries again");
            }
        }
        self.indexed.send_replace(true);
    }

    /// The head, where the disk says that the file is the one read before.
    async fn known(self: &Arc<Self>, path: &str) -> Result<Option<Standing>, PublishError> {
        let (publisher, path) = (self.clone(), path.to_owned());
        blocking(move || {
            let file = match publisher.source.find(&path)? {
                None => {
                    publisher.history.gone(&path);
                    return Ok(Some(Standing::Nothing));
                }
                Some(Found::Folder) => return Ok(Some(Standing::Folder)),
                Some(Found::File(file)) => file,
            };
            let fingerprint = Fingerprint::of(&file.metadata()?);
            let head = publisher.history.head(&path).filter(|head| is_current(head, &fingerprint));
            Ok(head.map(Standing::File))
        })
        .await
    }

    async fn publish(self: Arc<Self>, path: String) -> Result<Standing, PublishError> {
        let lock = self.locks[self.hasher.hash_one(&path) as usize % LOCKS].clone();
        let _alone = lock.lock().await;
        // Whoever held the lock before may have published this very file.
        if let Some(standing) = self.known(&path).await? {
            return Ok(standing);
        }
        let _turn = self.readers.acquire().await.map_err(|_| PublishError::Busy)?;
        let publisher = self.clone();
        let standing = blocking(move || {
            let before = publisher.history.head(&path).map(|head| head.counter);
            let standing = publisher.read(&path)?;
            // Still alone with this path, so that its heads are told in their order.
            if matches!(&standing, Standing::File(head) if before != Some(head.counter)) {
                publisher.artifacts.new_head(&path, &publisher.history.versions(&path));
            }
            Ok(standing)
        })
        .await?;
        self.published.notify_waiters();
        Ok(standing)
    }

    /// Reads a file until it does not change meanwhile, and publishes what it was.
    fn read(&self, path: &str) -> Result<Standing, PublishError> {
        for _ in 0..TRIES {
            let read = fingerprint::now();
            let file = match self.source.find(path)? {
                None => return Ok(Standing::Nothing),
                Some(Found::Folder) => return Ok(Standing::Folder),
                Some(Found::File(file)) => file,
            };
            let before = Fingerprint::of(&file.metadata()?);
            let staged = self.history.stage(&file, before.len)?;
            // A write stamps the file when it begins, and may go on while it is read; what it mixes does not read the same twice.
            let is_quiet = before.is_settled(read) || self.reads_as(path, &staged)?;
            let is_unchanged = staged.len == before.len && before == Fingerprint::of(&file.metadata()?);
            if is_quiet && is_unchanged && self.is_at(path, &before)? {
                let seen = Seen { fingerprint: before, read };
                return Ok(Standing::File(self.history.publish(path, staged, seen)?));
            }
        }
        Err(PublishError::Unstable { path: path.to_owned(), tries: TRIES })
    }

    /// Whether the file reads again as what was staged.
    fn reads_as(&self, path: &str, staged: &Staged) -> Result<bool, PublishError> {
        match self.source.find(path)? {
            Some(Found::File(file)) => Ok(self.history.stage(&file, staged.len)?.version == staged.version),
            _ => Ok(false),
        }
    }

    /// Whether the path still leads to the file that was read.
    fn is_at(&self, path: &str, fingerprint: &Fingerprint) -> Result<bool, PublishError> {
        match self.source.find(path)? {
            Some(Found::File(file)) => Ok(Fingerprint::of(&file.metadata()?) == *fingerprint),
            _ => Ok(false),
        }
    }
}

fn is_current(head: &Head, fingerprint: &Fingerprint) -> bool {
    head.seen.fingerprint == *fingerprint && fingerprint.is_settled(head.seen.read)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    spawn_blocking(work).await.unwrap_or(Err(PublishError::Busy))
}

/// Why a path's head cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("the file is still being read; try again")]
    Busy,
    #[error("the file {path} changed {tries} times while it was read; try again when it is written")]
    Unstable { path: String, tries: u32 },
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    History(#[from] HistoryError),
}
