//! Looks at files of the source and copies them into the history.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driblet_core::Version;
use tokio::sync::{Notify, Semaphore};
use tracing::{debug, info, warn};

use super::episode::{Episode, FailingPaths};
use super::error::PublishError;
use crate::churn::Look;
use crate::fingerprint::{self, Fingerprint};
use crate::history::{Candidate, Head, History, Observation, StagedVersion, StoredVersion};
use crate::lease::has_writer;
use crate::metrics::PublishMetrics;
use crate::source::{Entry, FindError, Found, Source};
use crate::task::blocking;

/// How many files are read at the same time.
const READERS: usize = 2;
/// How many bytes are compared to decide whether a file only grew.
const COMPARED: u64 = 4 << 10;

/// Called with a path and its versions and their lengths, newest first, when the path has a new head.
pub(crate) type NewHead = Box<dyn Fn(&str, &[(Version, u64)]) + Send + Sync>;

/// The source and the history of a server, and what connects the two.
pub(super) struct Files {
    pub(super) source: Source,
    pub(super) history: Arc<dyn History>,
    /// Paths whose files the history cannot store at the moment.
    pub(super) failing: FailingPaths,
    /// Wakes when any path gets a new head.
    pub(super) published: Notify,
    pub(super) readers: Semaphore,
    pub(super) metrics: PublishMetrics,
    readings: AtomicU64,
    root_missing: Episode,
    new_head: NewHead,
}

/// What is published at a path.
#[derive(Clone)]
pub(crate) enum PathState {
    File(Head),
    Folder,
    Nothing,
}

/// The result of one look at a path.
pub(super) enum Looked {
    /// The disk shows what is published.
    Known(PathState),
    /// The disk shows another file than the published one.
    Changed(Look),
}

/// A file as it was copied for callers that do not wait until it stops changing.
#[derive(Clone)]
pub(crate) struct UnpublishedCopy {
    pub(crate) stored: Arc<StoredVersion>,
    pub(crate) observation: Observation,
}

/// The bytes of a file, and what the file looked like meanwhile.
pub(super) struct Reading {
    /// The head before the file was opened.
    pub(super) before: Option<Head>,
    pub(super) staged: StagedVersion,
    pub(super) fingerprint: Fingerprint,
    /// When the reading began, in nanoseconds since the epoch.
    pub(super) began: i64,
    /// Whether the file looked the same before and after.
    pub(super) is_consistent: bool,
}

impl Files {
    pub(super) fn new(source: Source, history: Arc<dyn History>, new_head: NewHead) -> Arc<Files> {
        Arc::new(Files {
            source,
            history,
            failing: FailingPaths::default(),
            published: Notify::new(),
            readers: Semaphore::new(READERS),
            metrics: PublishMetrics::new(),
            readings: AtomicU64::new(0),
            root_missing: Episode::default(),
            new_head,
        })
    }

    /// How many times a file was read.
    pub(super) fn readings(&self) -> u64 {
        self.readings.load(Ordering::Relaxed)
    }

    /// Opens what lies at a path of the source.
    pub(super) fn find(&self, path: &str) -> Result<Option<Found>, PublishError> {
        self.noted(self.source.find(path))
    }

    /// At most `most` files and folders that a folder of the source has.
    pub(super) fn entries(&self, path: &str, most: usize) -> Result<Vec<Entry>, PublishError> {
        self.noted(self.source.entries(path, most))
    }

    /// Notes whether the root is missing.
    fn noted<T>(&self, found: Result<T, FindError>) -> Result<T, PublishError> {
        match found {
            Ok(found) => {
                if self.root_missing.end() {
                    info!(root = %self.source.path().display(), "the published folder or file is back");
                }
                Ok(found)
            }
            Err(FindError::Io(error)) => Err(error.into()),
            Err(FindError::RootMissing(error)) => {
                if self.root_missing.begin() {
                    let root = self.source.path().display();
                    warn!(%root, %error, "the published folder or file is missing; requests get 503 until it is back");
                }
                Err(PublishError::RootMissing(Arc::new(error)))
            }
        }
    }

    /// Compares what the disk has at a path with what is published.
    pub(super) async fn look(self: &Arc<Self>, path: &str) -> Result<Looked, PublishError> {
        let (files, path) = (self.clone(), path.to_owned());
        blocking(move || files.look_at(&path)).await
    }

    /// The head of a path, if the disk has that at the path. `None` also if a look would wait for the disk.
    pub(super) fn glance(&self, path: &str) -> Option<Head> {
        let fingerprint = self.source.glance(path).filter(|_| !self.root_missing.is_on())?;
        let head = self.history.head(path)?;
        (head.observation.settled && head.observation.looks_like(&fingerprint)).then_some(head)
    }

    pub(super) fn look_at(&self, path: &str) -> Result<Looked, PublishError> {
        match self.find(path)? {
            None => Ok(Looked::Known(PathState::Nothing)),
            Some(Found::Folder) => Ok(Looked::Known(PathState::Folder)),
            Some(Found::File(file)) => self.look_into(path, &file),
        }
    }

    pub(super) fn look_into(&self, path: &str, file: &File) -> Result<Looked, PublishError> {
        let fingerprint = Fingerprint::of(&file.metadata()?);
        let head = self.history.head(path);
        let is_same = |head: &Head| head.observation.settled && head.observation.looks_like(&fingerprint);
        if let Some(head) = head.filter(is_same) {
            return Ok(Looked::Known(PathState::File(head)));
        }
        let published = head.map(|head| head.observation.fingerprint);
        let age = fingerprint.age(fingerprint::now());
        Ok(Looked::Changed(Look { fingerprint, age, has_writer: has_writer(file), published }))
    }

    /// Tells the history that nothing is at a path any more, if a look shows that.
    pub(super) fn note_absence(&self, path: &str, looked: &Looked) {
        if matches!(looked, Looked::Known(PathState::Nothing)) {
            self.history.gone(path);
        }
    }

    /// Runs work that reads a whole file into the history, as soon as a reader is free. Fails at once for a path whose
    /// file the history could not store a moment ago.
    pub(super) async fn with_reader<T: Send + 'static>(
        self: &Arc<Self>,
        path: &str,
        work: impl FnOnce(&Files) -> Result<T, PublishError> + Send + 'static,
    ) -> Result<T, PublishError> {
        let _reader = self.readers.acquire().await.map_err(|_| PublishError::Busy)?;
        if self.failing.is_fresh(path) {
            return Err(PublishError::Paused);
        }
        let files = self.clone();
        let result = blocking(move || work(&files)).await;
        self.note_history(path, &result);
        result
    }

    /// Notes whether the history could store a file.
    pub(super) fn note_history<T>(&self, path: &str, result: &Result<T, PublishError>) {
        match result {
            Ok(_) if self.failing.end(path) => info!("the history stores all files again"),
            Err(PublishError::History(error)) if self.failing.begin(path) => warn!(
                path,
                error = crate::causes::with_causes(&**error),
                "the history cannot store a new version; the server sends such files whole, and no deltas to them, until it can"
            ),
            _ => {}
        }
    }

    /// Copies the file at a path; `None` if there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<Reading>, PublishError> {
        let before = self.history.head(path);
        let Some(Found::File(file)) = self.find(path)? else { return Ok(None) };
        let mut reading = self.read_file(&file, before)?;
        reading.is_consistent = reading.is_consistent && self.is_at(path, &reading.fingerprint)?;
        Ok(Some(reading))
    }

    /// Copies a file. `before` is the head before it was opened.
    pub(super) fn read_file(&self, file: &File, before: Option<Head>) -> Result<Reading, PublishError> {
        let fingerprint = Fingerprint::of(&file.metadata()?);
        let began = fingerprint::now();
        self.readings.fetch_add(1, Ordering::Relaxed);
        // One byte more tells that the file grew.
        let staged = self.history.stage(file, fingerprint.len.saturating_add(1))?;
        let is_consistent = staged.len == fingerprint.len && fingerprint == Fingerprint::of(&file.metadata()?);
        Ok(Reading { before, staged, fingerprint, began, is_consistent })
    }

    /// Copies a file up to its present length. More bytes may follow meanwhile if the file only grew since it was
    /// published.
    pub(super) fn read_beginning(&self, path: &str) -> Result<Option<Reading>, PublishError> {
        if !self.begins_with_head(path)? {
            return self.read(path);
        }
        let before = self.history.head(path);
        let Some(Found::File(file)) = self.find(path)? else { return Ok(None) };
        let fingerprint = Fingerprint::of(&file.metadata()?);
        let began = fingerprint::now();
        self.readings.fetch_add(1, Ordering::Relaxed);
        let staged = self.history.stage(&file, fingerprint.len)?;
        let after = Fingerprint::of(&file.metadata()?);
        let is_consistent =
            staged.len == fingerprint.len && fingerprint.len <= after.len && self.begins_with_head(path)?;
        Ok(Some(Reading { before, staged, fingerprint, began, is_consistent }))
    }

    /// Makes a reading the head of its path; `None` if another one became the head meanwhile. `settled` says whether the
    /// file's stamps would show a later write.
    pub(super) fn publish(
        &self,
        path: &str,
        reading: Reading,
        settled: bool,
    ) -> Result<Option<PathState>, PublishError> {
        let Reading { before, staged, fingerprint, began, .. } = reading;
        let is_same = before.is_some_and(|head| head.version == staged.version);
        // Some file systems invent a new inode number at each look: the number differs, and nothing else does.
        let renumbered = is_same
            && before.is_some_and(|head| head.observation.fingerprint.has_stamps_of(&fingerprint))
            && before.is_some_and(|head| head.observation.renumbered || head.observation.fingerprint != fingerprint);
        let observation = Observation { fingerprint, read: began, settled, renumbered };
        let candidate = Candidate { path: path.to_owned(), staged, observation, before };
        if !self.history.publish(vec![candidate])?.is_empty() {
            return Ok(None);
        }
        self.announce(path, before);
        let head = self.history.head(path).ok_or(PublishError::Busy)?;
        Ok(Some(PathState::File(head)))
    }

    /// Announces a path's head if it is another one than before.
    pub(super) fn announce(&self, path: &str, before: Option<Head>) {
        let counter = self.history.head(path).map(|head| head.counter);
        if counter != before.map(|head| head.counter) {
            self.metrics.files.increment(1);
            (self.new_head)(path, &self.history.versions(path));
            debug!(path, counter, "published");
        }
    }

    /// Makes a copy for callers that do not wait; `None` if the file changed while it was copied.
    pub(super) fn copy_unpublished(
        &self,
        path: &str,
        only_grows: bool,
    ) -> Result<Option<UnpublishedCopy>, PublishError> {
        let reading = if only_grows { self.read_beginning(path)? } else { self.read(path)? };
        let Some(Reading { staged, fingerprint, began, is_consistent, .. }) = reading else { return Ok(None) };
        let settled =
            fingerprint.is_coarse() || fingerprint.age(began).is_none_or(|age| fingerprint.granularity() <= age);
        // A file that was written to a moment ago is read twice: two equal readings show that nobody writes to it.
        let is_quiet = is_consistent && (settled || self.reads_as(path, &staged)?);
        if !is_quiet {
            return Ok(None);
        }
        let observation = Observation { fingerprint, read: began, settled, renumbered: false };
        Ok(Some(UnpublishedCopy { stored: self.history.open_staged(staged)?, observation }))
    }

    /// Whether the file seems to begin with the published bytes: the first and the last of them are at their places.
    pub(super) fn begins_with_head(&self, path: &str) -> Result<bool, PublishError> {
        let (Some(Found::File(file)), Some(head)) = (self.find(path)?, self.history.head(path)) else {
            return Ok(false);
        };
        let Some(stored) = self.history.open_or_drop(path, &head.version)? else { return Ok(false) };
        let len = stored.len.min(COMPARED) as usize;
        let mut bytes = vec![0; len];
        for at in [0, stored.len - len as u64] {
            let is_read = file.read_exact_at(&mut bytes, at).is_ok();
            if !is_read || bytes != stored.bytes()[at as usize..at as usize + len] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the path still leads to the file that was read.
    fn is_at(&self, path: &str, fingerprint: &Fingerprint) -> Result<bool, PublishError> {
        match self.find(path)? {
            Some(Found::File(file)) => Ok(Fingerprint::of(&file.metadata()?) == *fingerprint),
            _ => Ok(false),
        }
    }

    /// Whether a second reading gives the staged bytes again.
    fn reads_as(&self, path: &str, staged: &StagedVersion) -> Result<bool, PublishError> {
        match self.find(path)? {
            Some(Found::File(file)) => Ok(self.history.stage(&file, staged.len)?.version == staged.version),
            _ => Ok(false),
        }
    }
}
