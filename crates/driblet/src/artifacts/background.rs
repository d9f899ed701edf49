//! Makes queued artifacts, for which no request waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::coding::Effort;
use super::deltas::DeltaEncoder;
use super::error::ArtifactError;
use super::key::Key;
use super::made::Made;
use super::permits::EncoderPermits;
use super::queue::{Cause, Job, MatchedChunks, Queue, Work};
use super::requested::{Requested, fill};
use super::scratch_space::ScratchSpace;
use super::spool::{Artifact, Content, Spool};
use super::store::ArtifactStore;
use crate::causes::with_causes;
use crate::history::{History, HistoryError, StoredVersion};
use crate::task::{self, caught};

/// How many artifacts are made at the same time. Each may take a core for seconds.
const WORKERS: usize = 1;

/// Works on the queue as long as the history is open elsewhere.
///
/// Workers are tasks that end when the queue is empty. They do not keep the history open: once a server is dropped,
/// another one can open the same folder.
pub(super) struct Background {
    pub(super) history: Weak<dyn History>,
    pub(super) made: Made,
    pub(super) requested: Arc<Requested>,
    pub(super) store: Arc<ArtifactStore>,
    pub(super) space: Arc<ScratchSpace>,
    pub(super) encoder: DeltaEncoder,
    pub(super) encoder_permits: Arc<EncoderPermits>,
    pub(super) state: BackgroundState,
}

/// The queue and its workers.
#[derive(Default)]
pub(super) struct BackgroundState {
    workers: Mutex<Workers>,
    idle: Notify,
    made_ahead: AtomicU64,
}

#[derive(Default)]
struct Workers {
    queue: Queue,
    count: usize,
}

impl Background {
    /// Changes the queue, and starts a worker if one is missing.
    pub(super) fn change(self: &Arc<Self>, change: impl FnOnce(&mut Queue)) {
        let mut workers = self.workers();
        change(&mut workers.queue);
        if workers.count < WORKERS.min(workers.queue.len()) {
            workers.count += 1;
            tokio::spawn(self.clone().work());
        }
    }

    /// Waits until the queue is empty and no worker runs.
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.state.idle.notified();
            if self.workers().count == 0 {
                return;
            }
            idle.await;
        }
    }

    /// How many deltas were made before any request asked for them.
    pub(super) fn made_ahead(&self) -> u64 {
        self.state.made_ahead.load(Ordering::Relaxed)
    }

    /// How many jobs are queued.
    pub(super) fn waiting(&self) -> usize {
        self.workers().queue.len()
    }

    async fn work(self: Arc<Self>) {
        while let Some((job, cause)) = self.next().await {
            // A worker outlives a panic: `prepared` waits for its end.
            match caught(self.make(&job, cause)).await.unwrap_or_else(|failed| Err(failed.into())) {
                // The scratch space logs that it has no room.
                Ok(()) | Err(ArtifactError::NoRoom) => {}
                Err(error) => {
                    let error = with_causes(&error);
                    warn!(path = &*job.path, work = ?job.work, error, "an artifact could not be made in the background");
                }
            }
        }
        self.state.idle.notify_waiters();
    }

    /// The next job. `None` ends the worker.
    async fn next(&self) -> Option<(Job, Cause)> {
        // Requests come first: no job begins while a request waits for an encoder.
        self.encoder_permits.no_request_waits().await;
        let mut workers = self.workers();
        let next = workers.queue.next().filter(|_| self.history.strong_count() != 0);
        if next.is_none() {
            workers.count -= 1;
        }
        next
    }

    async fn make(&self, job: &Job, cause: Cause) -> Result<(), ArtifactError> {
        let key = job.key();
        // It may be made already, for another path with the same versions.
        if self.made.has(&key) || self.store.has(&key) {
            return Ok(());
        }
        // Without room, seconds of work would be lost.
        let space = self.space.clone();
        if !on_own_thread(move || space.is_free()).await? {
            return Err(ArtifactError::NoRoom);
        }
        // A request may be waiting for the interactive form of the same artifact. It goes first.
        self.requested.ended(&key.interactive()).await;
        let Some((from, to)) = self.open(job).await? else { return Ok(()) };
        let (encoder, work, spool) = (self.encoder.clone(), job.work.clone(), Spool::new(self.space.clone()));
        let artifact = spool.artifact();
        let make = move || {
            fill(spool, |spool| match &work {
                Work::Delta { codec, .. } => encoder.background(*codec, from.as_deref(), &to, spool),
                Work::Matched(MatchedChunks(matches)) => encoder.matched(matches, &to, Effort::Background, spool),
                Work::Coding(coding) => {
                    coding.compress(Effort::Background, to.bytes(), encoder.metrics(), |bytes| spool.write(bytes))
                }
                Work::WithDictionary { coding, hash, .. } => {
                    let named = (from.as_deref().map_or(&[][..], StoredVersion::bytes), hash);
                    let (effort, metrics) = (Effort::Background, encoder.metrics());
                    coding.compress(effort, named, to.bytes(), metrics, |bytes| spool.write(bytes))
                }
            })
        };
        let Some(made) = on_own_thread(make).await? else {
            return artifact.content.finished().await.map(drop);
        };
        if let Content::Growing(_) = made.content {
            return Err(ArtifactError::NoRoom);
        }
        if cause == Cause::Ahead {
            self.state.made_ahead.fetch_add(1, Ordering::Relaxed);
        }
        let (path, bytes) = (&*job.path, made.content.len());
        let work = &job.work;
        match work {
            Work::Delta { .. } | Work::Matched(_) => {
                info!(path, to = %job.to, ?work, bytes, ?cause, "made a delta in the background")
            }
            Work::Coding(_) | Work::WithDictionary { .. } => {
                info!(path, to = %job.to, ?work, bytes, ?cause, "made an encoded file in the background")
            }
        }
        self.made.insert(key.clone(), self.stored(key, job, made).await?);
        Ok(())
    }

    /// Puts an artifact into the store, if the store takes it; otherwise gives it as it is.
    async fn stored(&self, key: Key, job: &Job, made: Artifact) -> Result<Artifact, ArtifactError> {
        let (store, space, path) = (self.store.clone(), self.space.clone(), job.path.clone());
        let put = move || {
            let stored = store.put(&key, &path, &made);
            space.note(&stored);
            stored.ok().flatten().unwrap_or(made)
        };
        // Once the history is closed, its folder may belong to another server.
        let Some(_history) = self.history.upgrade() else { return Err(ArtifactError::Interrupted) };
        on_own_thread(put).await
    }

    /// Opens the versions of a job; `None` if one is no longer stored, so that no request can ask for the artifact.
    async fn open(&self, job: &Job) -> Result<Option<(Option<Arc<StoredVersion>>, Arc<StoredVersion>)>, ArtifactError> {
        let (history, job) = (self.history.clone(), job.clone());
        let open = move || -> Result<_, HistoryError> {
            let Some(history) = history.upgrade() else { return Ok(None) };
            let from = match job.from() {
                None => None,
                Some((path, from)) => match history.open_or_drop(path, &from)? {
                    Some(from) => Some(from),
                    None => return Ok(None),
                },
            };
            Ok(history.open_or_drop(&job.path, &job.to)?.map(|to| (from, to)))
        };
        on_own_thread(open).await?.map_err(|error| std::io::Error::other(error).into())
    }

    fn workers(&self) -> MutexGuard<'_, Workers> {
        self.state.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ArtifactError> {
    task::on_own_thread("driblet-background", work).await
}
