//! What no request waits for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use moka::sync::Cache;
use tokio::sync::{Notify, oneshot};
use tracing::{info, warn};

use super::coding::Effort;
use super::deltas::Deltas;
use super::error::ArtifactError;
use super::key::Key;
use super::permits::Turns;
use super::queue::{Cause, Job, Queue, Work};
use super::requested::{Making, fill};
use super::spool::{Artifact, Content, Room, Spool};
use super::store::Store;
use crate::history::{History, HistoryError, Kept};

/// Artifacts made at once: nobody waits for them, and each may take a core for seconds.
const WORKERS: usize = 1;

/// Makes what waits in a queue, as long as the history is open elsewhere.
///
/// Workers are tasks that end when nothing waits. None of them keeps the history open, so that who drops a server can open its folder at once.
pub(super) struct Background {
    pub(super) history: Weak<dyn History>,
    pub(super) made: Cache<Key, Artifact>,
    pub(super) making: Arc<Making>,
    pub(super) store: Arc<Store>,
    pub(super) room: Arc<Room>,
    pub(super) deltas: Deltas,
    pub(super) turns: Arc<Turns>,
    pub(super) line: Line,
}

/// What waits, and who works on it.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    rested: Notify,
    ahead: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: Queue,
    workers: usize,
}

impl Background {
    /// Changes what waits, and sees to it that it is made.
    pub(super) fn change(self: &Arc<Self>, change: impl FnOnce(&mut Queue)) {
        let mut state = self.state();
        change(&mut state.queue);
        if state.workers < WORKERS.min(state.queue.len()) {
            state.workers += 1;
            tokio::spawn(self.clone().work());
        }
    }

    /// Waits until nothing waits or is being made.
    pub(super) async fn rested(&self) {
        loop {
            let rested = self.line.rested.notified();
            if self.state().workers == 0 {
                return;
            }
            rested.await;
        }
    }

    /// How many deltas were made before anybody asked for them.
    pub(super) fn ahead(&self) -> u64 {
        self.line.ahead.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    async fn work(self: Arc<Self>) {
        while let Some((job, cause)) = self.next().await {
            match self.make(&job, cause).await {
                // Said by the room.
                Ok(()) | Err(ArtifactError::NoRoom) => {}
                Err(error) => {
                    warn!(path = &*job.path, work = ?job.work, "could not be made in the background: {error}")
                }
            }
        }
        self.line.rested.notify_waiters();
    }

    /// What is made next; `None` ends the worker.
    async fn next(&self) -> Option<(Job, Cause)> {
        // Requests come first: nothing is begun while one waits for its turn.
        self.turns.are_free().await;
        let mut state = self.state();
        let next = state.queue.next().filter(|_| self.history.strong_count() != 0);
        if next.is_none() {
            state.workers -= 1;
        }
        next
    }

    async fn make(&self, job: &Job, cause: Cause) -> Result<(), ArtifactError> {
        let key = job.key();
        // Before, or for another path with the same versions.
        if self.made.contains_key(&key) || self.store.has(&key) {
            return Ok(());
        }
        // Seconds of work that would come to nothing.
        let room = self.room.clone();
        if !on_a_thread(move || room.is_free()).await? {
            return Err(ArtifactError::NoRoom);
        }
        // Not both at once of what a request waits for just now.
        self.making.ended(&key.at_once()).await;
        let Some((from, to)) = self.open(job).await? else { return Ok(()) };
        let (deltas, work, spool) = (self.deltas.clone(), job.work, Spool::new(self.room.clone()));
        let artifact = spool.artifact();
        let make = move || {
            fill(spool, |spool| match work {
                Work::Delta { codec, .. } => deltas.at_leisure(codec, from.as_deref(), &to, spool),
                Work::Coding(coding) => coding.compress(Effort::AtLeisure, to.bytes(), |bytes| spool.write(bytes)),
            })
        };
        let Some(made) = on_a_thread(make).await? else {
            return artifact.content.finished().await.map(drop);
        };
        if let Content::Growing(_) = made.content {
            return Err(ArtifactError::NoRoom);
        }
        if cause == Cause::Ahead {
            self.line.ahead.fetch_add(1, Ordering::Relaxed);
        }
        let (path, bytes) = (&*job.path, made.content.len());
        match work {
            Work::Delta { .. } => info!(path, to = %job.to, ?work, bytes, ?cause, "made a delta in the background"),
            Work::Coding(_) => {
                info!(path, to = %job.to, ?work, bytes, ?cause, "made an encoded file in the background")
            }
        }
        self.made.insert(key.clone(), self.kept(key, job, made).await?);
        Ok(())
    }

    /// The artifact as it is kept beyond this run, where it is.
    async fn kept(&self, key: Key, job: &Job, made: Artifact) -> Result<Artifact, ArtifactError> {
        let (store, room, path) = (self.store.clone(), self.room.clone(), job.path.clone());
        let keep = move || {
            let kept = store.keep(&key, &path, &made);
            room.note(&kept);
            kept.ok().flatten().unwrap_or(made)
        };
        // Not into a folder that another server may have opened by now.
        let Some(_history) = self.history.upgrade() else { return Err(ArtifactError::Interrupted) };
        on_a_thread(keep).await
    }

    /// Opens the versions; `None` where one is not kept any more, so that nobody can ask for what would be made of them.
    async fn open(&self, job: &Job) -> Result<Option<(Option<Arc<Kept>>, Arc<Kept>)>, ArtifactError> {
        let (history, job) = (self.history.clone(), job.clone());
        let open = move || -> Result<_, HistoryError> {
            let Some(history) = history.upgrade() else { return Ok(None) };
            let from = match job.from() {
                None => None,
                Some(from) => match history.open(&job.path, &from)? {
                    Some(from) => Some(from),
                    None => return Ok(None),
                },
            };
            Ok(history.open(&job.path, &job.to)?.map(|to| (from, to)))
        };
        on_a_thread(open).await?.map_err(|error| std::io::Error::other(error).into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.line.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work on a thread of its own. A runtime that ends waits for its blocking tasks, but not for this.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ArtifactError> {
    let (sender, receiver) = oneshot::channel();
    let run = move || drop(sender.send(work()));
    std::thread::Builder::new().name("driblet-background".into()).spawn(run)?;
    // It always sends, unless it panics.
    receiver.await.map_err(|_| ArtifactError::Panicked)
}
