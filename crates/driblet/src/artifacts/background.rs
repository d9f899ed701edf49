//! Deltas that no request waits for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use moka::future::Cache;
use tokio::sync::{Notify, Semaphore, oneshot};
use tracing::{info, warn};

use super::deltas::Deltas;
use super::queue::{Cause, Job, Queue};
use super::spool::Artifact;
use super::{ArtifactError, Key};
use crate::history::{History, HistoryError, Kept};

/// Deltas made at once: nobody waits for them, and each may take a core for seconds.
const WORKERS: usize = 1;

/// Makes what waits in a queue, as long as the history is open elsewhere.
///
/// Workers are tasks that end when nothing waits. None of them keeps the history open, so that who drops a server can open its folder at once.
pub(super) struct Background {
    history: Weak<dyn History>,
    made: Cache<Key, Artifact>,
    deltas: Deltas,
    makers: Arc<Semaphore>,
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
    /// `made` takes what is made, `makers` are the turns of those that requests wait for.
    pub(super) fn new(
        history: &Arc<dyn History>,
        made: Cache<Key, Artifact>,
        deltas: Deltas,
        makers: Arc<Semaphore>,
    ) -> Arc<Background> {
        Arc::new(Background {
            history: Arc::downgrade(history),
            made,
            deltas,
            makers,
            state: Mutex::default(),
            rested: Notify::new(),
            ahead: AtomicU64::new(0),
        })
    }

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
            let rested = self.rested.notified();
            if self.state().workers == 0 {
                return;
            }
            rested.await;
        }
    }

    /// How many deltas were made before anybody asked for them.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    async fn work(self: Arc<Self>) {
        while let Some((job, cause)) = self.next().await {
            if let Err(error) = self.make(&job, cause).await {
                warn!(path = &*job.path, from = %job.from, "a delta could not be made in the background: {error}");
            }
        }
        self.rested.notify_waiters();
    }

    /// What is made next; `None` ends the worker.
    async fn next(&self) -> Option<(Job, Cause)> {
        // Requests come first: nothing is begun while one waits for its turn. The turn itself stays free for the next request.
        drop(self.makers.acquire().await);
        let mut state = self.state();
        let next = state.queue.next().filter(|_| self.history.strong_count() != 0);
        if next.is_none() {
            state.workers -= 1;
        }
        next
    }

    async fn make(&self, job: &Job, cause: Cause) -> Result<(), ArtifactError> {
        let key = job.key();
        // For a request meanwhile, or for another path with the same versions.
        if self.made.contains_key(&key) {
            return Ok(());
        }
        // Before it is begun: requests that come to wait for it have both open themselves, and must not fail with this.
        let Some((from, to)) = self.open(job).await? else { return Ok(()) };
        let (deltas, codec) = (self.deltas.clone(), job.codec);
        let make = async {
            let artifact = on_a_thread(move || deltas.at_leisure(codec, &from, &to)).await??;
            if cause == Cause::Ahead {
                self.ahead.fetch_add(1, Ordering::Relaxed);
            }
            let (path, bytes) = (&*job.path, artifact.content.len());
            info!(path, from = %job.from, to = %job.to, ?codec, bytes, ?cause, "made a delta in the background");
            Ok(artifact)
        };
        self.made.try_get_with(key, make).await.map(drop).map_err(ArtifactError::shared)
    }

    /// Opens both versions; `None` where one is not kept any more, so that nobody can ask for this delta.
    async fn open(&self, job: &Job) -> Result<Option<(Arc<Kept>, Arc<Kept>)>, ArtifactError> {
        let (history, job) = (self.history.clone(), job.clone());
        let open = move || -> Result<_, HistoryError> {
            let Some(history) = history.upgrade() else { return Ok(None) };
            let Some(from) = history.open(&job.path, &job.from)? else { return Ok(None) };
            Ok(history.open(&job.path, &job.to)?.map(|to| (from, to)))
        };
        on_a_thread(open).await?.map_err(|error| std::io::Error::other(error).into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work on a thread of its own. A runtime that ends waits for its blocking tasks, but not for this.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ArtifactError> {
    let (sender, receiver) = oneshot::channel();
    let run = move || drop(sender.send(work()));
    std::thread::Builder::new().name("driblet-background".into()).spawn(run)?;
    receiver.await.map_err(|_| ArtifactError::Interrupted)
}
