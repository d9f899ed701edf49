//! Waits until a changed file is quiet, and publishes it then. There is one task for each path, however many requests
//! wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::error::PublishError;
use super::files::{Files, Looked, PathState, UnpublishedCopy};
use crate::churn::{self, Churn, Look, Verdict};
use crate::fingerprint::Fingerprint;
use crate::history::Head;
use crate::task::{TaskFailed, blocking};

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 5;
/// How long a request waits for a file that was never published and still changes.
pub(super) const FIRST: Duration = Duration::from_secs(5);
/// A change this soon after a file was published may continue the change before.
const CONTINUES: Duration = Duration::from_secs(5);
/// The most paths whose last change is remembered. The oldest entries are dropped first.
const MAX_RECENT: usize = 1024;

/// Publishes files once they are quiet.
pub(super) struct Settler {
    pub(super) files: Arc<Files>,
    /// The longest that a request waits for a file to be read.
    pub(super) queue_timeout: Duration,
    /// The tasks that run now, by path.
    tasks: Mutex<HashMap<String, Arc<Settling>>>,
    /// When each path that was published last was last seen to change.
    recent: Mutex<HashMap<String, Instant>>,
}

/// The task of one path.
pub(super) struct Settling {
    progress: watch::Sender<SettleProgress>,
    /// The last copy for callers that do not wait.
    copy: tokio::sync::Mutex<Option<UnpublishedCopy>>,
}

#[derive(Clone, Default)]
struct SettleProgress {
    /// The file as it was last seen; it may still change.
    changed: Option<Fingerprint>,
    /// The result, and when the file was looked at for it.
    result: Option<(Result<PathState, PublishError>, Instant)>,
}

impl Settler {
    pub(super) fn new(files: Arc<Files>, queue_timeout: Duration) -> Arc<Settler> {
        Arc::new(Settler { files, queue_timeout, tasks: Mutex::default(), recent: Mutex::default() })
    }

    /// Publishes the file at a path if it has changed and is quiet, and says what is published then.
    pub(super) async fn refresh(self: &Arc<Self>, path: &str) -> Result<PathState, PublishError> {
        let looked = self.files.look(path).await?;
        self.files.note_absence(path, &looked);
        match looked {
            Looked::Known(state) => Ok(state),
            Looked::Changed(look) => self.settled(path, &look).await,
        }
    }

    /// Waits until the changed file at a path is quiet and published. If that takes too long, the version before stays
    /// published.
    pub(super) async fn settled(self: &Arc<Self>, path: &str, look: &Look) -> Result<PathState, PublishError> {
        let settling = self.settle(path);
        // The published bytes were read too soon after a write: a later write in the same second would leave the same
        // stamps. The task reads the file again once that second is over; this request does not wait for it.
        if look.published == Some(look.fingerprint)
            && look.fingerprint.is_coarse()
            && let Some(head) = self.files.history.head(path)
        {
            return Ok(PathState::File(head));
        }
        let limit = if look.published.is_some() { self.queue_timeout } else { self.queue_timeout.min(FIRST) };
        let failed = match timeout(limit, self.settled_or_changed(path, *look, settling)).await {
            Ok(Some(Ok(state))) => return Ok(state),
            Ok(Some(Err(error))) => error,
            Ok(None) => PublishError::Unstable { path: path.to_owned() },
            Err(_) if look.published.is_none() && FIRST <= limit => PublishError::Unstable { path: path.to_owned() },
            Err(_) => PublishError::Busy,
        };
        // The version before stays published while a file changes, and while the history cannot store it.
        match (failed, self.published_head(path).await?) {
            (PublishError::Unstable { .. } | PublishError::History(_) | PublishError::Paused, Some(head)) => {
                Ok(PathState::File(head))
            }
            (error, _) => Err(error),
        }
    }

    /// Waits for the result of a look that was made just now; `None` once a published file is seen to change again.
    async fn settled_or_changed(
        self: &Arc<Self>,
        path: &str,
        mut look: Look,
        mut settling: Arc<Settling>,
    ) -> Option<Result<PathState, PublishError>> {
        let asked = Instant::now();
        loop {
            let (result, at) = settling.result(look.published.map(|_| look.fingerprint)).await?;
            // A result from before the question may be of a file that has changed since.
            if asked <= at || result.is_err() {
                return Some(result);
            }
            look = match self.files.look(path).await {
                Ok(Looked::Changed(look)) => look,
                Ok(Looked::Known(state)) => return Some(Ok(state)),
                Err(error) => return Some(Err(error)),
            };
            settling = self.settle(path);
        }
    }

    /// Starts the task that publishes a path once its file is quiet, unless the task runs already.
    pub(super) fn settle(self: &Arc<Self>, path: &str) -> Arc<Settling> {
        let mut tasks = self.tasks();
        if let Some(settling) = tasks.get(path) {
            return settling.clone();
        }
        let progress = watch::Sender::new(SettleProgress::default());
        let settling = Arc::new(Settling { progress, copy: tokio::sync::Mutex::default() });
        tasks.insert(path.to_owned(), settling.clone());
        drop(tasks);
        // A request that gives up does not stop the task, since others may wait for it.
        let (settler, path, running) = (self.clone(), path.to_owned(), settling.clone());
        tokio::spawn(async move {
            let inner = tokio::spawn({
                let (settler, path, running) = (settler.clone(), path.clone(), running.clone());
                async move {
                    let mut at = Instant::now();
                    let result = settler.publish_when_quiet(&path, &running, &mut at).await;
                    (result, at)
                }
            });
            let ended = |error| (Err(TaskFailed::of(error).into()), Instant::now());
            let (result, at) = inner.await.unwrap_or_else(ended);
            // Later callers look at the file again.
            settler.tasks().remove(&path);
            if result.is_ok() {
                settler.files.published.notify_waiters();
            }
            running.progress.send_modify(|progress| progress.result = Some((result, at)));
        });
        settling
    }

    /// The head that was published last, if there is still a file at the path.
    async fn published_head(self: &Arc<Self>, path: &str) -> Result<Option<Head>, PublishError> {
        Ok(match self.files.look(path).await? {
            Looked::Known(PathState::File(head)) => Some(head),
            Looked::Known(_) => None,
            // If the newest version was lost, an older one is not what is published.
            Looked::Changed(_) => {
                let head = self.files.history.head(path);
                head.filter(|head| head.observation.fingerprint != Fingerprint::NONE)
            }
        })
    }

    /// The work of a path's task. `at` becomes the time of its last look.
    async fn publish_when_quiet(
        self: &Arc<Self>,
        path: &str,
        settling: &Settling,
        at: &mut Instant,
    ) -> Result<PathState, PublishError> {
        let mut churn: Option<Churn> = None;
        loop {
            *at = Instant::now();
            let looked = self.files.look(path).await?;
            self.files.note_absence(path, &looked);
            let look = match looked {
                Looked::Known(state) => return Ok(state),
                Looked::Changed(look) => look,
            };
            let now = Instant::now();
            let churn = match &mut churn {
                Some(churn) => churn,
                None => {
                    let pause = self.pause_before(path, &look).await?;
                    churn.insert(Churn::new(&look, now, pause))
                }
            };
            // A replacement is complete, so callers need not hear that the file changed.
            if churn.see(&look, now) && !look.is_replacement() {
                settling.progress.send_modify(|progress| progress.changed = Some(look.fingerprint));
            }
            let state = match churn.verdict(&look, now) {
                Verdict::Wait(time) => {
                    sleep(time).await;
                    continue;
                }
                Verdict::Ready { settled } => self.read_and_publish(path, look, settled).await?,
                Verdict::Overdue => self.publish_overdue(path, look).await?,
            };
            if let Some(state) = state {
                self.note_change(path, churn.since());
                return Ok(state);
            }
            // The file changed while it was read, or was published by others.
            sleep(churn::LOOK).await;
        }
    }

    /// Reads a file and publishes it; `None` if it changed meanwhile, or was published by others.
    async fn read_and_publish(&self, path: &str, look: Look, settled: bool) -> Result<Option<PathState>, PublishError> {
        let owned = path.to_owned();
        let work = move |files: &Files| {
            let path = owned;
            let Some(reading) = files.read(&path)? else { return Ok(None) };
            if !reading.is_consistent || reading.fingerprint != look.fingerprint {
                return Ok(None);
            }
            files.publish(&path, reading, settled)
        };
        self.files.with_reader(path, work).await
    }

    /// Publishes a file that does not become quiet, as it is read; `None` if it was published by others.
    async fn publish_overdue(&self, path: &str, look: Look) -> Result<Option<PathState>, PublishError> {
        let owned = path.to_owned();
        let seconds = churn::LIMIT.as_secs();
        let work = move |files: &Files| {
            let path = owned;
            let mut last = None;
            for _ in 0..TRIES {
                last = files.read(&path)?;
                if last.as_ref().is_none_or(|reading| reading.is_consistent) {
                    break;
                }
            }
            let Some(reading) = last else { return Ok(Some(PathState::Nothing)) };
            let is_open = look.has_writer == Some(true);
            warn!(path, is_open, "a file is still changing after {seconds} s; it is published as it is now");
            files.publish(&path, reading, false)
        };
        self.files.with_reader(path, work).await
    }

    /// If the published file grew soon after it was published, the present change continues the change before: gives
    /// the time since that change. Otherwise `None`.
    async fn pause_before(&self, path: &str, look: &Look) -> Result<Option<Duration>, PublishError> {
        let since = self.recent().get(path).map(Instant::elapsed).filter(|since| *since < CONTINUES);
        let (Some(since), true) = (since, look.has_grown()) else { return Ok(None) };
        let (files, path) = (self.files.clone(), path.to_owned());
        let begins = blocking(move || files.begins_with_head(&path)).await?;
        Ok(begins.then_some(since))
    }

    fn note_change(&self, path: &str, changed: Instant) {
        let mut recent = self.recent();
        if MAX_RECENT <= recent.len() {
            recent.retain(|_, changed| changed.elapsed() < CONTINUES);
        }
        if recent.len() < MAX_RECENT {
            recent.insert(path.to_owned(), changed);
        }
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, Arc<Settling>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settling {
    /// Waits for the result, and for the time of the look that it rests on. `None` once the file differs from `was`, if
    /// that is given.
    async fn result(&self, was: Option<Fingerprint>) -> Option<(Result<PathState, PublishError>, Instant)> {
        let mut progress = self.progress.subscribe();
        let changed = progress.borrow().changed;
        let has_changed =
            |now: &SettleProgress| now.changed != changed && was.is_some_and(|was| now.changed != Some(was));
        let ended = progress.wait_for(|now| now.result.is_some() || has_changed(now)).await;
        ended.map_or_else(|_| Some((Err(PublishError::Busy), Instant::now())), |ended| ended.result.clone())
    }

    /// A copy of the file as it is now; `None` if it changed while it was copied.
    pub(super) async fn copy_unpublished(
        &self,
        files: &Arc<Files>,
        path: &str,
    ) -> Result<Option<UnpublishedCopy>, PublishError> {
        // Callers that wait here share one copy.
        let mut last = self.copy.lock().await;
        let Looked::Changed(look) = files.look(path).await? else { return Ok(None) };
        let only_grows = look.has_grown();
        let is_same =
            |last: &&UnpublishedCopy| last.observation.settled && last.observation.looks_like(&look.fingerprint);
        if let Some(copy) = last.as_ref().filter(is_same) {
            return Ok(Some(copy.clone()));
        }
        let owned = path.to_owned();
        *last = files.with_reader(path, move |files| files.copy_unpublished(&owned, only_grows)).await?;
        Ok(last.clone())
    }
}
