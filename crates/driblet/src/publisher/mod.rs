//! The head of each path as the disk has it now: a file is read, hashed and copied once per version.

mod episode;
mod index;
mod settle;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::spawn_blocking;

use crate::artifacts::Artifacts;
use crate::churn::Look;
use crate::fingerprint::{self, Fingerprint};
use crate::history::{Head, History, HistoryError};
use crate::lease::has_writer;
use crate::source::{FindError, Found, Source};
use episode::{Episode, Failing};
use settle::{Settling, Snapshot};

/// How often a file that changes while it is read is read anew.
const TRIES: u32 = 5;
/// Files read at once.
const READERS: usize = 2;
/// How long a request waits for a file that was never published and still changes.
const FIRST: Duration = Duration::from_secs(5);
/// How long a plain request waits for a moment in which nobody has the file open for writing.
const MOMENT: Duration = Duration::from_millis(250);

pub(crate) struct Publisher {
    source: Source,
    history: Arc<dyn History>,
    artifacts: Arc<Artifacts>,
    deadline: Duration,
    /// Files that wait to be published, by path.
    settling: Mutex<HashMap<String, Arc<Settling>>>,
    /// When the files that were published last were last seen to change.
    recent: Mutex<HashMap<String, Instant>>,
    readers: Semaphore,
    readings: AtomicU64,
    published: Notify,
    indexed: watch::Sender<bool>,
    /// The root cannot be opened.
    away: Episode,
    /// Files that the history cannot keep.
    failing: Failing,
}

/// What stands at a path.
#[derive(Clone)]
pub(crate) enum Standing {
    File(Head),
    Folder,
    Nothing,
}

/// What stands at a path, for who does not care for versions.
pub(crate) enum Plain {
    /// As it is published.
    Head(Head),
    /// As the disk has it: the file still changes, and was not published.
    Snapshot(Snapshot),
    /// As the disk has it: the history cannot keep it.
    Direct(File, Fingerprint),
    Folder,
    Nothing,
}

/// What a look at the disk shows.
enum Looked {
    /// As published.
    Known(Standing),
    Changed(Look),
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
            settling: Mutex::default(),
            recent: Mutex::default(),
            readers: Semaphore::new(READERS),
            readings: AtomicU64::new(0),
            published: Notify::new(),
            indexed: watch::Sender::new(false),
            away: Episode::default(),
            failing: Failing::default(),
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

    /// How often a file was read.
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::Relaxed)
    }

    /// Waits until every file that was there at the start has been indexed.
    pub(crate) async fn indexed(&self) {
        // The sender lives as long as this publisher.
        let _ = self.indexed.subscribe().wait_for(|done| *done).await;
    }

    /// What is published at a path. Where the file has changed and rests, it is read and published first; the wait is at most the deadline.
    /// While it still changes, or cannot be kept, what was published last stays.
    pub(crate) async fn standing(self: &Arc<Self>, path: &str) -> Result<Standing, PublishError> {
        match self.look(path).await? {
            Looked::Known(standing) => Ok(standing),
            Looked::Changed(look) => self.settled(path, &look).await,
        }
    }

    /// What stands at a path now, published or not. The file is given whatever befalls the history.
    pub(crate) async fn plain(self: &Arc<Self>, path: &str) -> Result<Plain, PublishError> {
        let standing = match self.look(path).await? {
            Looked::Known(standing) => Ok(standing),
            Looked::Changed(look) => {
                if self.failing.is_fresh(path) {
                    return self.direct(path, None).await;
                }
                if !look.is_replacement() && look.published != Some(look.fingerprint) {
                    // It is published when it rests; who asks plainly gets what is there.
                    if let Some(plain) = self.unpublished(path).await? {
                        return Ok(plain);
                    }
                }
                self.settled(path, &look).await
            }
        };
        match standing {
            Ok(Standing::File(head)) if self.failing.has(path) => self.direct(path, Some(head)).await,
            Ok(Standing::File(head)) => Ok(Plain::Head(head)),
            Ok(Standing::Folder) => Ok(Plain::Folder),
            Ok(Standing::Nothing) => Ok(Plain::Nothing),
            Err(PublishError::History(_) | PublishError::Paused) => self.direct(path, None).await,
            Err(error) => Err(error),
        }
    }

    /// The file itself, where the history cannot give it; `head` if that is what the file is.
    pub(crate) async fn direct(self: &Arc<Self>, path: &str, head: Option<Head>) -> Result<Plain, PublishError> {
        let (publisher, path) = (self.clone(), path.to_owned());
        blocking(move || {
            let file = match publisher.find(&path)? {
                None => return Ok(Plain::Nothing),
                Some(Found::Folder) => return Ok(Plain::Folder),
                Some(Found::File(file)) => file,
            };
            let fingerprint = Fingerprint::of(&file.metadata()?);
            Ok(match head {
                Some(head) if head.seen.looks_like(&fingerprint) => Plain::Head(head),
                _ => Plain::Direct(file, fingerprint),
            })
        })
        .await
    }

    /// A consistent copy of a file that still changes, in a moment in which nobody writes to it, or of one that only grows.
    /// `None` where there is no such moment, or where the file was cut and is being written anew: better what was published before.
    async fn unpublished(self: &Arc<Self>, path: &str) -> Result<Option<Plain>, PublishError> {
        let end = Instant::now() + MOMENT;
        while Instant::now() < end {
            let look = match self.look(path).await? {
                Looked::Known(Standing::File(head)) => return Ok(Some(Plain::Head(head))),
                Looked::Known(_) => return Ok(None),
                Looked::Changed(look) if look.is_cut() => return Ok(None),
                Looked::Changed(look) => look,
            };
            // What is appended to can be copied as far as it goes.
            if look.has_writer != Some(true) || look.has_grown() {
                match self.settle(path).snapshot(self, path).await {
                    Ok(Some(snapshot)) => return Ok(Some(Plain::Snapshot(snapshot))),
                    Ok(None) => {}
                    Err(PublishError::History(_) | PublishError::Paused) => {
                        return self.direct(path, None).await.map(Some);
                    }
                    Err(error) => return Err(error),
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(None)
    }

    fn find(&self, path: &str) -> Result<Option<Found>, PublishError> {
        match self.source.find(path) {
            Ok(found) => {
                if self.away.end() {
                    tracing::info!(root = %self.source.path().display(), "the root is there again");
                }
                Ok(found)
            }
            Err(FindError::Io(error)) => Err(error.into()),
            Err(FindError::Away(error)) => {
                if self.away.begin() {
                    let root = self.source.path().display();
                    tracing::warn!(%root, %error, "the root is not there; requests are answered with 503 until it is");
                }
                Err(PublishError::Away(Arc::new(error)))
            }
        }
    }

    async fn look(self: &Arc<Self>, path: &str) -> Result<Looked, PublishError> {
        let (publisher, path) = (self.clone(), path.to_owned());
        blocking(move || publisher.look_at(&path)).await
    }

    fn look_at(&self, path: &str) -> Result<Looked, PublishError> {
        match self.find(path)? {
            None => {
                self.history.gone(path);
                Ok(Looked::Known(Standing::Nothing))
            }
            Some(Found::Folder) => Ok(Looked::Known(Standing::Folder)),
            Some(Found::File(file)) => self.look_into(path, &file),
        }
    }

    fn look_into(&self, path: &str, file: &File) -> Result<Looked, PublishError> {
        let fingerprint = Fingerprint::of(&file.metadata()?);
        let head = self.history.head(path);
        if let Some(head) = head.filter(|head| head.seen.settled && head.seen.looks_like(&fingerprint)) {
            return Ok(Looked::Known(Standing::File(head)));
        }
        let published = head.map(|head| head.seen.fingerprint);
        let age = fingerprint.age(fingerprint::now());
        Ok(Looked::Changed(Look { fingerprint, age, has_writer: has_writer(file), published }))
    }

    /// Notes whether the history could keep a file.
    fn note_history<T>(&self, path: &str, result: &Result<T, PublishError>) {
        match result {
            Ok(_) if self.failing.end(path) => tracing::info!("the history keeps all files again"),
            Err(PublishError::History(error)) if self.failing.begin(path) => tracing::warn!(
                path,
                %error,
                "the history cannot keep a new version; such files are served whole, and deltas to them wait until it can"
            ),
            _ => {}
        }
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_settling(&self) -> MutexGuard<'_, HashMap<String, Arc<Settling>>> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(PublishError::ended(&error)))
}

/// Why a path's head cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("what is published here is not there now; try again")]
    Away(Arc<io::Error>),
    #[error("the file is still being read; try again")]
    Busy,
    #[error("the file {path} still changes; try again when it is written")]
    Unstable { path: String },
    #[error("the file cannot be read: {0}")]
    Io(Arc<io::Error>),
    #[error(transparent)]
    History(Arc<HistoryError>),
    #[error("the history has no room for this file now; try again")]
    Paused,
    #[error("a task panicked; this is a bug in driblet, and what it printed says where")]
    Panicked,
}

impl PublishError {
    /// A task gave no result: it panicked, or the runtime ends.
    fn ended(error: &tokio::task::JoinError) -> PublishError {
        if error.is_panic() { PublishError::Panicked } else { PublishError::Busy }
    }
}

impl From<io::Error> for PublishError {
    fn from(error: io::Error) -> PublishError {
        PublishError::Io(Arc::new(error))
    }
}

impl From<HistoryError> for PublishError {
    fn from(error: HistoryError) -> PublishError {
        PublishError::History(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_neither_an_absence_nor_a_reason_to_try_again() {
        let result: Result<(), PublishError> = blocking(|| panic!("a bug")).await;
        assert!(matches!(result, Err(PublishError::Panicked)));
    }
}
