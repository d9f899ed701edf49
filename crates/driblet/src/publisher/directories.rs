//! Publishes directories: a manifest becomes the head of a directory once all of its files are published and nothing
//! changes any more.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driblet_core::Version;
use driblet_core::directory::{FileEntry, Manifest, ManifestLimits};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::directory_watch::Watch;
use super::error::PublishError;
use super::files::{Files, PathState};
use super::index::publish_batches;
use super::settle::Settler;
use crate::fingerprint::{self, Fingerprint};
use crate::source::Found;
use crate::task::{TaskFailed, blocking};
use crate::walk::{Listing, WalkRules, WalkedFile};

/// How long a directory must rest before it is published.
const QUIET: Duration = Duration::from_millis(100);
/// A directory that keeps changing for this long must rest for longer.
const LONG: Duration = Duration::from_secs(2);
/// How long a directory must rest that kept changing for [`LONG`].
const QUIET_AFTER_LONG: Duration = Duration::from_millis(500);
/// How long a directory must rest that has less than half as many files as its head: most likely a build removed them,
/// and makes them again.
const QUIET_AFTER_LOSS: Duration = Duration::from_secs(5);
/// A directory that keeps changing for this long is published. Files that still change keep their last published
/// version.
const LIMIT: Duration = Duration::from_secs(30);
/// How many files that are left out are named in the log.
const NAMED: usize = 10;

/// The directories that are published as snapshots, by their paths below the root; `""` is the root.
pub(super) type Directories = HashMap<String, Arc<DirectoryPublisher>>;

/// The head of a directory.
#[derive(Clone, Debug)]
pub(crate) struct PublishedDirectory {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) version: Version,
    /// The length of the manifest's bytes.
    pub(crate) len: u64,
    /// Grows by one at each change.
    pub(crate) counter: u64,
}

/// Publishes one directory.
pub(super) struct DirectoryPublisher {
    settler: Arc<Settler>,
    /// The path below the root, without a `/` at its end.
    path: String,
    rules: WalkRules,
    /// What events told, if the directory is watched.
    watch: Option<Arc<Watch>>,
    /// Whether every file that was there at the start is indexed. Until then the index reads them.
    indexed: watch::Receiver<bool>,
    current: Mutex<Option<Current>>,
    /// Held while the directory is looked at.
    looking: tokio::sync::Mutex<()>,
    /// How often a program said that everything is written.
    told: watch::Sender<u64>,
    /// What was left out at the last look, so that each is logged once.
    left_out: Mutex<HashSet<PathBuf>>,
    /// Files that could not be read, by their paths below the directory. They are tried again when they look otherwise.
    unreadable: Mutex<HashMap<String, Fingerprint>>,
}

#[derive(Clone)]
struct Current {
    published: PublishedDirectory,
    /// When the look began that found it.
    looked: Instant,
    /// How many changes the watch had seen before that look.
    changes: Option<u64>,
}

/// The changes of a directory since it was last published.
struct Changes {
    began: Instant,
    seen: Option<Arc<Listing>>,
    /// When the directory was first seen like this.
    since: Instant,
    is_long: bool,
}

impl DirectoryPublisher {
    pub(super) fn new(
        settler: Arc<Settler>,
        path: String,
        rules: WalkRules,
        watch: Option<Arc<Watch>>,
        indexed: watch::Receiver<bool>,
    ) -> DirectoryPublisher {
        DirectoryPublisher {
            settler,
            path,
            rules,
            watch,
            indexed,
            current: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            told: watch::Sender::default(),
            left_out: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }

    fn files(&self) -> &Arc<Files> {
        &self.settler.files
    }

    /// The path under which the history has the directory's versions.
    pub(super) fn key(path: &str) -> String {
        format!("{path}/")
    }

    /// Publishes the directory if it has changed and is quiet, and gives its head. If that takes too long, or if the
    /// history cannot store a file, the version before stays published.
    pub(super) async fn refresh(self: &Arc<Self>) -> Result<PublishedDirectory, PublishError> {
        if let Some(current) = self.current().clone().filter(|current| self.is_unchanged_since(current)) {
            return Ok(current.published);
        }
        // A request that gives up does not stop the task, since others may wait for it.
        let (publisher, asked) = (self.clone(), Instant::now());
        let task = tokio::spawn(async move { publisher.publish(asked, false).await });
        let failed = match timeout(self.settler.queue_timeout, task).await {
            Ok(Ok(Ok(published))) => return Ok(published),
            Ok(Ok(Err(error))) => error,
            Ok(Err(error)) => TaskFailed::of(error).into(),
            Err(_) => PublishError::Busy,
        };
        match failed {
            PublishError::Task(_) | PublishError::RootMissing(_) | PublishError::NoDirectory { .. } => Err(failed),
            failed => self.last().await?.ok_or(failed),
        }
    }

    /// Publishes the directory without waiting for quiet: a program says that everything is written.
    pub(super) async fn publish_now(self: &Arc<Self>) -> Result<PublishedDirectory, PublishError> {
        self.told.send_modify(|told| *told += 1);
        let (publisher, asked) = (self.clone(), Instant::now());
        let task = tokio::spawn(async move { publisher.publish(asked, true).await });
        task.await.unwrap_or_else(|error| Err(TaskFailed::of(error).into()))
    }

    /// The head that was published last. The directory is only looked at if there is none.
    pub(super) async fn published(self: &Arc<Self>) -> Result<PublishedDirectory, PublishError> {
        match self.last().await? {
            Some(published) => Ok(published),
            None => self.refresh().await,
        }
    }

    fn changes(&self) -> Option<u64> {
        self.watch.as_ref().and_then(|watch| watch.changes())
    }

    /// Whether the watch has seen no change since a look.
    fn is_unchanged_since(&self, current: &Current) -> bool {
        current.changes.is_some() && current.changes == self.changes()
    }

    /// The head that was published last.
    async fn last(self: &Arc<Self>) -> Result<Option<PublishedDirectory>, PublishError> {
        if let Some(current) = self.current().clone() {
            return Ok(Some(current.published));
        }
        let publisher = self.clone();
        blocking(move || publisher.stored()).await
    }

    /// The head that the history has.
    fn stored(&self) -> Result<Option<PublishedDirectory>, PublishError> {
        let key = DirectoryPublisher::key(&self.path);
        let Some(head) = self.files().history.head(&key) else { return Ok(None) };
        let Some(stored) = self.files().history.open_or_drop(&key, &head.version)? else { return Ok(None) };
        let Ok(manifest) = Manifest::parse(stored.bytes(), ManifestLimits::default()) else { return Ok(None) };
        let (version, len, counter) = (head.version, head.len, head.counter);
        Ok(Some(PublishedDirectory { manifest: Arc::new(manifest), version, len, counter }))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the directory until it is quiet, or known to be complete, and publishes it. A
    /// look that began after `asked` is not repeated.
    async fn publish(
        self: &Arc<Self>,
        asked: Instant,
        mut is_complete: bool,
    ) -> Result<PublishedDirectory, PublishError> {
        let mut told = self.told.subscribe();
        // An error means that the server is gone.
        let _ = self.indexed.clone().wait_for(|done| *done).await;
        let _looking = self.looking.lock().await;
        if let Some(current) = self.current().clone().filter(|current| asked <= current.looked) {
            return Ok(current.published);
        }
        let before = self.last().await?;
        let mut changes = Changes { began: Instant::now(), seen: None, since: Instant::now(), is_long: false };
        loop {
            let (looked, seen) = (Instant::now(), self.changes());
            let listing = self.look().await?;
            let changed = self.changed(&listing).await?;
            if let Some(before) = before.as_ref().filter(|before| changed.is_empty() && is_published(&listing, before))
            {
                *self.current() = Some(Current { published: before.clone(), looked, changes: seen });
                return Ok(before.clone());
            }
            changes.see(&listing, looked);
            let overdue = LIMIT <= changes.began.elapsed();
            if let Some(wait) = changes.wait(&listing, &changed, before.as_ref(), is_complete).filter(|_| !overdue) {
                if !changes.is_long && LONG <= changes.began.elapsed() {
                    changes.is_long = true;
                    info!(directory = %self.path, "the directory keeps changing, or lost most files; it is published when it is quiet");
                }
                // The sender lives as long as `self`.
                is_complete |= timeout(wait, told.changed()).await.is_ok();
                continue;
            }
            let are_published = self.publish_files(&listing, changed).await?;
            // Another program may have changed something meanwhile.
            if !overdue && (!are_published || *self.look().await? != *listing) {
                continue;
            }
            if let Some(published) = self.publish_manifest(listing, overdue).await? {
                *self.current() = Some(Current { published: published.clone(), looked, changes: seen });
                self.files().published.notify_waiters();
                return Ok(published);
            }
        }
    }

    async fn look(self: &Arc<Self>) -> Result<Arc<Listing>, PublishError> {
        let publisher = self.clone();
        let listing = blocking(move || {
            // The root itself is looked up as for a file, so that its absence is noted.
            let Some(Found::Folder) = publisher.files().find(&publisher.path)? else {
                return Err(PublishError::NoDirectory { path: publisher.path.clone() });
            };
            let folder = publisher.files().source.path().join(&publisher.path);
            let mut listing = Listing::of(&folder, &publisher.rules)?;
            leave_out(&mut listing, &folder, &publisher.unreadable());
            Ok::<_, PublishError>(listing)
        });
        let listing = listing.await?;
        self.report(&listing);
        Ok(Arc::new(listing))
    }

    /// Logs what is left out, each once.
    fn report(&self, listing: &Listing) {
        let mut known = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        let new = listing.left_out.iter().filter(|(path, _)| !known.contains(path));
        let new: Vec<_> = new.collect();
        for (path, reason) in new.iter().take(NAMED) {
            warn!(path = %path.display(), "a file is left out of the directory's snapshots: {reason}");
        }
        if NAMED < new.len() {
            warn!("{} more files are left out of the directory's snapshots", new.len() - NAMED);
        }
        *known = listing.left_out.iter().map(|(path, _)| path.clone()).collect();
    }

    fn unreadable(&self) -> MutexGuard<'_, HashMap<String, Fingerprint>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path_of(&self, path: &str) -> String {
        if self.path.is_empty() { path.to_owned() } else { format!("{}/{path}", self.path) }
    }

    /// The files that do not look as they did when they were published: their paths below the root, and indices.
    async fn changed(self: &Arc<Self>, listing: &Arc<Listing>) -> Result<Vec<(usize, String)>, PublishError> {
        let (publisher, listing) = (self.clone(), listing.clone());
        blocking(move || {
            let has_changed = |(index, file): (usize, &WalkedFile)| {
                let path = publisher.path_of(&file.path);
                let head = publisher.files().history.head(&path).map(|head| head.observation);
                let is_known = head.is_some_and(|seen| seen.settled && seen.looks_like(&file.fingerprint));
                (!is_known).then_some((index, path))
            };
            Ok(listing.files.iter().enumerate().filter_map(has_changed).collect())
        })
        .await
    }

    /// Publishes files, and notes those that cannot be read. Gives whether all others look as they were published.
    async fn publish_files(
        self: &Arc<Self>,
        listing: &Listing,
        changed: Vec<(usize, String)>,
    ) -> Result<bool, PublishError> {
        publish_batches(self.files(), changed.iter().map(|(_, path)| path.clone()).collect()).await?;
        let mut is_complete = true;
        for (index, path) in changed {
            let file = &listing.files[index];
            if self.is_published_as(&path, &file.fingerprint) {
                continue;
            }
            match self.settler.refresh(&path).await {
                Ok(PathState::File(_)) => is_complete &= self.is_published_as(&path, &file.fingerprint),
                Err(PublishError::Unstable { .. } | PublishError::Busy) => is_complete = false,
                Ok(PathState::Folder | PathState::Nothing) | Err(PublishError::Io(_)) => {
                    self.unreadable().insert(file.path.clone(), file.fingerprint);
                    is_complete = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(is_complete)
    }

    fn is_published_as(&self, path: &str, fingerprint: &Fingerprint) -> bool {
        self.files().history.head(path).is_some_and(|head| head.observation.looks_like(fingerprint))
    }

    /// Makes the manifest of what is published, and makes it the head. `None` if a file has changed since, unless that
    /// does not matter any more.
    async fn publish_manifest(
        self: &Arc<Self>,
        listing: Arc<Listing>,
        overdue: bool,
    ) -> Result<Option<PublishedDirectory>, PublishError> {
        let publisher = self.clone();
        blocking(move || {
            let mut entries = Vec::with_capacity(listing.files.len());
            for file in &listing.files {
                let path = publisher.path_of(&file.path);
                let Some(head) = publisher.files().history.head(&path) else {
                    if !overdue {
                        return Ok(None);
                    }
                    warn!(path, "a file is left out of the directory's snapshot: it never stops changing");
                    continue;
                };
                if !head.observation.looks_like(&file.fingerprint) {
                    if !overdue {
                        return Ok(None);
                    }
                    warn!(path, "a file keeps changing; the directory's snapshot has its last published version");
                }
                let (executable, len, version) = (file.executable, head.len, head.version);
                entries.push(FileEntry { path: file.path.clone(), executable, len, version });
            }
            let manifest = Manifest::new(entries).map_err(|error| PublishError::Manifest(Arc::new(error)))?;
            let (history, key) = (&publisher.files().history, DirectoryPublisher::key(&publisher.path));
            history.publish_directory(&key, &manifest)?;
            let head = history.head(&key).ok_or(PublishError::Busy)?;
            let (version, len, counter) = (head.version, head.len, head.counter);
            Ok(Some(PublishedDirectory { manifest: Arc::new(manifest), version, len, counter }))
        })
        .await
    }
}

impl Changes {
    fn see(&mut self, listing: &Arc<Listing>, now: Instant) {
        if self.seen.as_ref().is_none_or(|seen| **seen != **listing) {
            if self.seen.is_some() {
                self.since = now;
            }
            self.seen = Some(listing.clone());
        }
    }

    /// How long to wait before the next look; `None` if the directory is quiet.
    fn wait(
        &self,
        listing: &Listing,
        changed: &[(usize, String)],
        before: Option<&PublishedDirectory>,
        is_complete: bool,
    ) -> Option<Duration> {
        let quiet = if self.is_long && !is_complete { QUIET_AFTER_LONG } else { QUIET };
        let is_lost = !is_complete && has_lost_most(listing, before);
        let needed = if is_lost { QUIET_AFTER_LOSS } else { quiet };
        let now = fingerprint::now();
        let ages = changed.iter().map(|(index, _)| listing.files[*index].fingerprint.age(now));
        let folders = now.checked_sub(listing.folders_changed).and_then(|age| u64::try_from(age).ok());
        let youngest = ages.chain([folders.map(Duration::from_nanos)]).min().flatten().unwrap_or_default();
        // Also of a complete directory: younger files are published one by one, which takes longer.
        let rested = self.since.elapsed().max(youngest);
        // After a loss the next look comes as early as ever: soon the files may be there again.
        (rested < needed).then(|| (needed - rested).clamp(Duration::from_millis(5), quiet))
    }
}

/// Leaves out files that could not be read when they looked as they do now.
fn leave_out(listing: &mut Listing, folder: &Path, unreadable: &HashMap<String, Fingerprint>) {
    let (out, files) = std::mem::take(&mut listing.files)
        .into_iter()
        .partition(|file| unreadable.get(&file.path) == Some(&file.fingerprint));
    listing.files = files;
    let out: Vec<WalkedFile> = out;
    listing.left_out.extend(out.iter().map(|file| (folder.join(&file.path), "it cannot be read")));
}

/// Whether a directory has less than half as many files as its head. Which files they are does not matter: a build that
/// names files by their contents gives most of them new names.
fn has_lost_most(listing: &Listing, before: Option<&PublishedDirectory>) -> bool {
    before.is_some_and(|before| 2 * listing.files.len() < before.manifest.len())
}

/// Whether the head has the files of a listing, whose contents are known to be published.
fn is_published(listing: &Listing, before: &PublishedDirectory) -> bool {
    let is_same = |(file, entry): (&WalkedFile, driblet_core::directory::Entry<'_>)| {
        file.path == entry.path && file.executable == entry.executable
    };
    listing.files.len() == before.manifest.len() && listing.files.iter().zip(before.manifest.entries()).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_are_no_loss() {
        let of = |names: &[&str]| Listing {
            files: names
                .iter()
                .map(|name| WalkedFile { path: (*name).to_owned(), fingerprint: Fingerprint::NONE, executable: false })
                .collect(),
            ..Listing::default()
        };
        let entry = |name: &str| FileEntry {
            path: name.to_owned(),
            executable: false,
            len: 1,
            version: Version::of(name.as_bytes()),
        };
        let manifest = Arc::new(Manifest::new(["a-1", "b-1", "c-1", "d-1"].map(entry).to_vec()).unwrap());
        let (version, len) = (manifest.version(), manifest.encode().len() as u64);
        let before = PublishedDirectory { manifest, version, len, counter: 1 };
        for (names, expected) in [
            (&["a-2", "b-2", "c-2", "d-2"][..], false),
            (&["a-1", "b-2"], false),
            (&["a-1"], true),
            (&["a-2"], true),
            (&[], true),
        ] {
            assert_eq!(has_lost_most(&of(names), Some(&before)), expected, "{names:?}");
            assert!(!has_lost_most(&of(names), None));
        }
    }
}
