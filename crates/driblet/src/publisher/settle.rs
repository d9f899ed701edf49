//! Waiting until a file rests, and publishing it then: one task for each path, whoever waits for it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::{FIRST, Looked, PublishError, Publisher, Standing, TRIES, blocking};
use crate::churn::{self, Churn, Look, Verdict};
use crate::fingerprint::{self, Fingerprint};
use crate::history::{Head, Kept, Seen, Staged};
use crate::source::Found;

/// A change this soon after a file was published may continue the one before.
const CONTINUES: Duration = Duration::from_secs(5);
/// Paths whose last change is remembered at most; the older ones are forgotten first.
const MAX_RECENT: usize = 1024;
/// Bytes that are compared to tell whether a file was only appended to.
const COMPARED: u64 = 4 << 10;

/// A path that waits to be published.
pub(super) struct Settling {
    told: watch::Sender<Told>,
    /// The last copy that was made for those who do not wait.
    snapshot: Mutex<Option<Snapshot>>,
}

#[derive(Clone, Default)]
struct Told {
    /// The file as it was seen to be last, and may still change.
    changed: Option<Fingerprint>,
    /// What came of it, and when it was looked at for that.
    result: Option<(Result<Standing, PublishError>, Instant)>,
}

/// A file as it was copied for those who do not wait.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) kept: Arc<Kept>,
    pub(crate) seen: Seen,
}

/// A file as it was read.
pub(super) struct Reading {
    pub(super) staged: Staged,
    pub(super) fingerprint: Fingerprint,
    /// When that began, in nanoseconds since the epoch.
    pub(super) began: i64,
    /// Whether it was the same before and after.
    pub(super) is_consistent: bool,
}

impl Publisher {
    /// What is published at a path whose file looks otherwise, as soon as that rests.
    pub(super) async fn settled(self: &Arc<Self>, path: &str, look: &Look) -> Result<Standing, PublishError> {
        let settling = self.settle(path);
        // What looks as it did when it was read a moment too early is read again in the background, unless that is soon.
        if look.published == Some(look.fingerprint)
            && look.fingerprint.is_coarse()
            && let Some(head) = self.history.head(path)
        {
            return Ok(Standing::File(head));
        }
        let limit = if look.published.is_some() { self.deadline } else { self.deadline.min(FIRST) };
        let failed = match timeout(limit, self.settled_or_changed(path, *look, settling)).await {
            Ok(Some(Ok(standing))) => return Ok(standing),
            Ok(Some(Err(error))) => error,
            Ok(None) => PublishError::Unstable { path: path.to_owned() },
            Err(_) if look.published.is_none() && FIRST <= limit => PublishError::Unstable { path: path.to_owned() },
            Err(_) => PublishError::Busy,
        };
        // While a file changes, or the history cannot keep it, the version before stays published.
        match (failed, self.published_head(path).await?) {
            (PublishError::Unstable { .. } | PublishError::History(_) | PublishError::Paused, Some(head)) => {
                Ok(Standing::File(head))
            }
            (error, _) => Err(error),
        }
    }

    /// What comes of a file that was looked at just now; `None` once one that was published is seen to change again.
    async fn settled_or_changed(
        self: &Arc<Self>,
        path: &str,
        mut look: Look,
        mut settling: Arc<Settling>,
    ) -> Option<Result<Standing, PublishError>> {
        let asked = Instant::now();
        loop {
            let (result, at) = settling.result(look.published.map(|_| look.fingerprint)).await?;
            // The file may have changed between the look that this is of and the question.
            if asked <= at || result.is_err() {
                return Some(result);
            }
            look = match self.look(path).await {
                Ok(Looked::Changed(look)) => look,
                Ok(Looked::Known(standing)) => return Some(Ok(standing)),
                Err(error) => return Some(Err(error)),
            };
            settling = self.settle(path);
        }
    }

    /// Sees to it that a path is published when it rests.
    pub(super) fn settle(self: &Arc<Self>, path: &str) -> Arc<Settling> {
        let mut all = self.all_settling();
        if let Some(settling) = all.get(path) {
            return settling.clone();
        }
        let settling = Arc::new(Settling { told: watch::Sender::new(Told::default()), snapshot: Mutex::default() });
        all.insert(path.to_owned(), settling.clone());
        drop(all);
        // A task of its own: a request that gives up does not undo the reading that others wait for.
        let (publisher, path, told) = (self.clone(), path.to_owned(), settling.clone());
        tokio::spawn(async move {
            let inner = tokio::spawn({
                let (publisher, path, told) = (publisher.clone(), path.clone(), told.clone());
                async move {
                    let mut at = Instant::now();
                    let result = publisher.publish_when_settled(&path, &told, &mut at).await;
                    (result, at)
                }
            });
            let (result, at) = inner.await.unwrap_or_else(|error| (Err(PublishError::ended(&error)), Instant::now()));
            // Who comes from now on looks anew.
            publisher.all_settling().remove(&path);
            if result.is_ok() {
                publisher.published.notify_waiters();
            }
            told.told.send_modify(|told| told.result = Some((result, at)));
        });
        settling
    }

    /// The head that was published last, where there is still a file at the path.
    async fn published_head(self: &Arc<Self>, path: &str) -> Result<Option<Head>, PublishError> {
        Ok(match self.look(path).await? {
            Looked::Known(Standing::File(head)) => Some(head),
            Looked::Known(_) => None,
            // Where the newest version was lost, an older one is not what is published.
            Looked::Changed(_) => self.history.head(path).filter(|head| head.seen.fingerprint != Fingerprint::NONE),
        })
    }

    /// `at` is when the file was looked at last.
    async fn publish_when_settled(
        self: &Arc<Self>,
        path: &str,
        settling: &Settling,
        at: &mut Instant,
    ) -> Result<Standing, PublishError> {
        let mut churn: Option<Churn> = None;
        loop {
            *at = Instant::now();
            let look = match self.look(path).await? {
                Looked::Known(standing) => return Ok(standing),
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
            // A file that was replaced is as good as published.
            if churn.see(&look, now) && !look.is_replacement() {
                settling.told.send_modify(|told| told.changed = Some(look.fingerprint));
            }
            let standing = match churn.verdict(&look, now) {
                Verdict::Wait(time) => {
                    sleep(time).await;
                    continue;
                }
                Verdict::Ready { settled } => self.read_and_publish(path, look, settled).await?,
                Verdict::Overdue => Some(self.publish_overdue(path, look).await?),
            };
            if let Some(standing) = standing {
                self.note(path, churn.since());
                return Ok(standing);
            }
            // It changed while it was read.
            sleep(churn::LOOK).await;
        }
    }

    /// Reads a file and publishes it; `None` where it changed meanwhile.
    async fn read_and_publish(
        self: &Arc<Self>,
        path: &str,
        look: Look,
        settled: bool,
    ) -> Result<Option<Standing>, PublishError> {
        let owned = path.to_owned();
        self.reading(path, move |publisher| {
            let path = owned;
            let Some(reading) = publisher.read(&path)? else { return Ok(None) };
            if !reading.is_consistent || reading.fingerprint != look.fingerprint {
                return Ok(None);
            }
            publisher.publish(&path, reading, settled).map(Some)
        })
        .await
    }

    /// Publishes a file that does not rest, as it is read.
    async fn publish_overdue(self: &Arc<Self>, path: &str, look: Look) -> Result<Standing, PublishError> {
        let owned = path.to_owned();
        let seconds = churn::LIMIT.as_secs();
        self.reading(path, move |publisher| {
            let path = owned;
            let mut last = None;
            for _ in 0..TRIES {
                last = publisher.read(&path)?;
                if last.as_ref().is_none_or(|reading| reading.is_consistent) {
                    break;
                }
            }
            let Some(reading) = last else { return Ok(Standing::Nothing) };
            let is_open = look.has_writer == Some(true);
            warn!(path, is_open, "a file still changes after {seconds} s; it is published as it is");
            publisher.publish(&path, reading, false)
        })
        .await
    }

    /// Runs work that reads a whole file into the history, when it is its turn, unless that failed just now.
    async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        path: &str,
        work: impl FnOnce(&Publisher) -> Result<T, PublishError> + Send + 'static,
    ) -> Result<T, PublishError> {
        let _turn = self.readers.acquire().await.map_err(|_| PublishError::Busy)?;
        if self.failing.is_fresh(path) {
            return Err(PublishError::Paused);
        }
        let publisher = self.clone();
        let result = blocking(move || work(&publisher)).await;
        self.note_history(path, &result);
        result
    }

    /// Copies a file as it is now; `None` where none is there.
    pub(super) fn read(&self, path: &str) -> Result<Option<Reading>, PublishError> {
        let Some(Found::File(file)) = self.find(path)? else { return Ok(None) };
        let mut reading = self.read_file(&file)?;
        reading.is_consistent = reading.is_consistent && self.is_at(path, &reading.fingerprint)?;
        Ok(Some(reading))
    }

    pub(super) fn read_file(&self, file: &File) -> Result<Reading, PublishError> {
        let fingerprint = Fingerprint::of(&file.metadata()?);
        // Of a file that grows no more than one byte beyond is read.
        let began = fingerprint::now();
        self.readings.fetch_add(1, Ordering::Relaxed);
        let staged = self.history.stage(file, fingerprint.len.saturating_add(1))?;
        let is_consistent = staged.len == fingerprint.len && fingerprint == Fingerprint::of(&file.metadata()?);
        Ok(Reading { staged, fingerprint, began, is_consistent })
    }

    /// Copies what a file is now, of which more may follow meanwhile, if it was only appended to since it was published.
    fn read_beginning(&self, path: &str) -> Result<Option<Reading>, PublishError> {
        if !self.begins_with_head(path)? {
            return self.read(path);
        }
        let Some(Found::File(file)) = self.find(path)? else { return Ok(None) };
        let fingerprint = Fingerprint::of(&file.metadata()?);
        let began = fingerprint::now();
        self.readings.fetch_add(1, Ordering::Relaxed);
        let staged = self.history.stage(&file, fingerprint.len)?;
        let after = Fingerprint::of(&file.metadata()?);
        let is_consistent =
            staged.len == fingerprint.len && fingerprint.len <= after.len && self.begins_with_head(path)?;
        Ok(Some(Reading { staged, fingerprint, began, is_consistent }))
    }

    fn publish(&self, path: &str, reading: Reading, settled: bool) -> Result<Standing, PublishError> {
        let Reading { staged, fingerprint, began, .. } = reading;
        let before = self.history.head(path);
        let is_same = before.is_some_and(|head| head.version == staged.version);
        // A file that has another number and nothing else: the file system makes them up.
        let renumbered = is_same
            && before.is_some_and(|head| head.seen.fingerprint.has_stamps_of(&fingerprint))
            && before.is_some_and(|head| head.seen.renumbered || head.seen.fingerprint != fingerprint);
        let seen = Seen { fingerprint, read: began, settled, renumbered };
        self.history.publish(vec![(path.to_owned(), staged, seen)])?;
        self.tell(path, before);
        let head = self.history.head(path).ok_or(PublishError::Busy)?;
        Ok(Standing::File(head))
    }

    /// Has deltas made to a head that is new.
    pub(super) fn tell(&self, path: &str, before: Option<Head>) {
        let counter = self.history.head(path).map(|head| head.counter);
        if counter != before.map(|head| head.counter) {
            self.artifacts.new_head(path, &self.history.versions(path));
            debug!(path, counter, "published");
        }
    }

    /// Whether the path still leads to the file that was read.
    fn is_at(&self, path: &str, fingerprint: &Fingerprint) -> Result<bool, PublishError> {
        match self.find(path)? {
            Some(Found::File(file)) => Ok(Fingerprint::of(&file.metadata()?) == *fingerprint),
            _ => Ok(false),
        }
    }

    /// Whether the file reads again as what was staged.
    fn reads_as(&self, path: &str, staged: &Staged) -> Result<bool, PublishError> {
        match self.find(path)? {
            Some(Found::File(file)) => Ok(self.history.stage(&file, staged.len)?.version == staged.version),
            _ => Ok(false),
        }
    }

    /// How long ago the change was that this one continues, if it does: the published file was only appended to, soon after.
    async fn pause_before(self: &Arc<Self>, path: &str, look: &Look) -> Result<Option<Duration>, PublishError> {
        let since = self.recent().get(path).map(Instant::elapsed).filter(|since| *since < CONTINUES);
        let (Some(since), true) = (since, look.has_grown()) else { return Ok(None) };
        let (publisher, path) = (self.clone(), path.to_owned());
        let begins = blocking(move || publisher.begins_with_head(&path)).await?;
        Ok(begins.then_some(since))
    }

    /// Whether the file seems to begin with what is published: its first and last bytes stand at their places.
    fn begins_with_head(&self, path: &str) -> Result<bool, PublishError> {
        use std::os::unix::fs::FileExt;
        let (Some(Found::File(file)), Some(head)) = (self.find(path)?, self.history.head(path)) else {
            return Ok(false);
        };
        let Some(kept) = self.history.open(path, &head.version)? else { return Ok(false) };
        let len = kept.len.min(COMPARED) as usize;
        let mut bytes = vec![0; len];
        for at in [0, kept.len - len as u64] {
            let is_read = file.read_exact_at(&mut bytes, at).is_ok();
            if !is_read || bytes != kept.bytes()[at as usize..at as usize + len] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn note(&self, path: &str, changed: Instant) {
        let mut recent = self.recent();
        if MAX_RECENT <= recent.len() {
            recent.retain(|_, changed| changed.elapsed() < CONTINUES);
        }
        if recent.len() < MAX_RECENT {
            recent.insert(path.to_owned(), changed);
        }
    }
}

impl Settling {
    /// The result, and when the file was looked at for it; `None` once the file, where it is given as it was, is seen to have changed.
    async fn result(&self, was: Option<Fingerprint>) -> Option<(Result<Standing, PublishError>, Instant)> {
        let mut told = self.told.subscribe();
        let changed = told.borrow().changed;
        let has_changed = |told: &Told| told.changed != changed && was.is_some_and(|was| told.changed != Some(was));
        let told = told.wait_for(|told| told.result.is_some() || has_changed(told)).await;
        told.map_or_else(|_| Some((Err(PublishError::Busy), Instant::now())), |told| told.result.clone())
    }

    /// A copy of the file as it is now; `None` where it changed while it was copied.
    pub(super) async fn snapshot(
        &self,
        publisher: &Arc<Publisher>,
        path: &str,
    ) -> Result<Option<Snapshot>, PublishError> {
        // One copy for all who wait here.
        let mut last = self.snapshot.lock().await;
        let Looked::Changed(look) = publisher.look(path).await? else { return Ok(None) };
        let only_grows = look.has_grown();
        let is_same = |last: &&Snapshot| last.seen.settled && last.seen.looks_like(&look.fingerprint);
        if let Some(snapshot) = last.as_ref().filter(is_same) {
            return Ok(Some(snapshot.clone()));
        }
        let owned = path.to_owned();
        let snapshot = publisher
            .reading(path, move |publisher| {
                let path = owned;
                let reading = if only_grows { publisher.read_beginning(&path)? } else { publisher.read(&path)? };
                let Some(Reading { staged, fingerprint, began, is_consistent }) = reading else { return Ok(None) };
                let settled = fingerprint.is_coarse()
                    || fingerprint.age(began).is_none_or(|age| fingerprint.granularity() <= age);
                // What was written to just before may still be written to: it does not read the same twice.
                let is_quiet = is_consistent && (settled || publisher.reads_as(&path, &staged)?);
                if !is_quiet {
                    return Ok(None);
                }
                let seen = Seen { fingerprint, read: began, settled, renumbered: false };
                Ok(Some(Snapshot { kept: publisher.history.snapshot(staged)?, seen }))
            })
            .await?;
        *last = snapshot;
        Ok(last.clone())
    }
}
