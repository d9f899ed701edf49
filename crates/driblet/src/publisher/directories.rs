//! Publishes directories: a manifest becomes the head of a directory once all of its files are published and nothing
//! changes any more.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use driblet_core::Version;
use driblet_core::directory::{Entry, FileEntry, Manifest, ManifestLimits};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::directory_changes::Changes;
use super::directory_looks::{Base, Look, Looks, Unpublished};
use super::directory_watch::Watch;
use super::error::PublishError;
use super::files::{Files, PathState};
use super::index::publish_batches;
use super::settle::Settler;
use crate::fingerprint::Fingerprint;
use crate::history::Head;
use crate::source::Found;
use crate::task::{TaskFailed, blocking};
use crate::walk::edits::ListedPath;
use crate::walk::{Listing, WalkRules, WalkedFile};

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
    /// What the last publication found. Held while the directory is looked at.
    looks: tokio::sync::Mutex<Looks>,
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
            looks: tokio::sync::Mutex::default(),
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
        // What could not be read may be readable now.
        self.unreadable().clear();
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
        if self.holds_guarded(&manifest) {
            return Ok(None);
        }
        let (version, len, counter) = (head.version, head.len, head.counter);
        Ok(Some(PublishedDirectory { manifest: Arc::new(manifest), version, len, counter }))
    }

    /// Whether a manifest holds files that access rules cover, but not this directory.
    pub(super) fn holds_guarded(&self, manifest: &Manifest) -> bool {
        manifest.entries().any(|entry| self.rules.is_guarded(&self.path, entry.path))
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
        let mut found = self.looks.lock().await;
        if let Some(current) = self.current().clone().filter(|current| asked <= current.looked) {
            return Ok(current.published);
        }
        let before = self.last().await?;
        // If this fails, the next publication looks at everything.
        let mut looks = std::mem::take(&mut *found);
        let losses = self.files().history.losses();
        if is_complete || looks.losses != losses {
            // Events may be late: what is complete now is looked at now.
            looks.base = None;
        }
        looks.losses = losses;
        let mut changes = Changes::new();
        loop {
            let (looked, seen) = (Instant::now(), self.changes());
            let look = self.look(&mut looks).await?;
            let unpublished = self.unpublished(&look).await?;
            if let Some(base) = &mut looks.base {
                base.open.clone_from(&unpublished.listed);
            }
            if unpublished.is_empty()
                && let Some(before) = &before
                && self.is_head(&look, before).await?
            {
                *self.current() = Some(Current { published: before.clone(), looked, changes: seen });
                drop((changes, looks.base.take()));
                *found = self.published_as(look, Vec::new(), losses);
                return Ok(before.clone());
            }
            changes.see(&look, looked);
            let overdue = changes.is_overdue();
            let head_len = before.as_ref().map(|before| before.manifest.len());
            if let Some(wait) = changes.wait(&look, &unpublished, head_len, is_complete).filter(|_| !overdue) {
                if changes.becomes_long() {
                    info!(directory = %self.path, "the directory keeps changing, or lost most files; it is published when it is quiet");
                }
                // The sender lives as long as `self`.
                if timeout(wait, told.changed()).await.is_ok() {
                    (is_complete, looks.base) = (true, None);
                }
                continue;
            }
            let are_published = self.publish_files(&look, &unpublished).await?;
            if !are_published {
                // A file that cannot be read is left out by a look at everything.
                looks.base = None;
            }
            // Another program may have changed something meanwhile.
            if !overdue && (!are_published || !self.look(&mut looks).await?.is_like(&look)) {
                continue;
            }
            if let Some(published) = self.publish_manifest(&look, before.as_ref(), overdue).await? {
                *self.current() = Some(Current { published: published.clone(), looked, changes: seen });
                if !overdue {
                    let open = look.files(&unpublished).filter(|file| !self.is_settled(file));
                    let open = open.map(|file| file.path.clone()).collect();
                    drop((changes, looks.base.take()));
                    *found = self.published_as(look, open, losses);
                }
                self.files().published.notify_waiters();
                return Ok(published);
            }
        }
    }

    /// What the next publication begins with. `open` are the paths of files that must be read again.
    fn published_as(&self, look: Look, open: Vec<String>, losses: u64) -> Looks {
        // Without events, everything is looked at each time.
        let base = self.changes().is_some().then(|| look.into_base(&open, true));
        Looks { base, losses, ..Looks::default() }
    }

    async fn look(self: &Arc<Self>, looks: &mut Looks) -> Result<Look, PublishError> {
        if let Some(watch) = &self.watch {
            looks.touched.add(watch.take());
        }
        let is_told = self.changes().is_some();
        let (publisher, base) = (self.clone(), looks.base(is_told).cloned());
        let touched = std::mem::take(&mut looks.touched.paths);
        let (touched, looked) = blocking(move || {
            let looked = publisher.look_at(base, &touched)?;
            Ok::<_, PublishError>((touched, looked))
        })
        .await?;
        looks.touched.paths = touched;
        match looked {
            Ok(look) => Ok(look),
            Err(listing) => {
                self.report(&listing);
                Ok(looks.begin(listing, is_told))
            }
        }
    }

    /// Looks at what was touched since the base, or if that is not enough, at everything.
    fn look_at(
        &self,
        base: Option<Base>,
        touched: &BTreeSet<ListedPath>,
    ) -> Result<Result<Look, Listing>, PublishError> {
        // The root itself is looked up as for a file, so that its absence is noted.
        let Some(Found::Folder) = self.files().find(&self.path)? else {
            return Err(PublishError::NoDirectory { path: self.path.clone() });
        };
        let folder = self.files().source.path().join(&self.path);
        if let Some(base) = base
            && let Some(edits) = base.listing.edits(&folder, &self.rules, touched)?
        {
            return Ok(Ok(Look { base, edits }));
        }
        let mut listing = Listing::of(&folder, &self.rules)?;
        leave_out(&mut listing, &folder, &self.unreadable());
        Ok(Err(listing))
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

    /// The files that do not look as they did when they were published.
    async fn unpublished(self: &Arc<Self>, look: &Look) -> Result<Unpublished, PublishError> {
        let (publisher, look) = (self.clone(), look.clone());
        blocking(move || Ok(look.unpublished(|file| publisher.is_settled(file)))).await
    }

    /// Whether a file looks as it did when it was published, and its stamps would show a change.
    fn is_settled(&self, file: &WalkedFile) -> bool {
        let head = self.files().history.head(&self.path_of(&file.path)).map(|head| head.observation);
        head.is_some_and(|seen| seen.settled && seen.looks_like(&file.fingerprint))
    }

    /// Whether the head has the files of a look, all of which are published.
    async fn is_head(self: &Arc<Self>, look: &Look, head: &PublishedDirectory) -> Result<bool, PublishError> {
        if look.base.is_head || !look.edits.files.is_empty() {
            return Ok(look.base.is_head && look.edits.files.is_empty());
        }
        let (publisher, files, manifest) = (self.clone(), look.base.listing.clone(), head.manifest.clone());
        blocking(move || {
            let is_same = |(file, entry): (&WalkedFile, Entry<'_>)| {
                let head = publisher.files().history.head(&publisher.path_of(&file.path));
                file.path == entry.path
                    && file.executable == entry.executable
                    && head.is_some_and(|head| head.version == entry.version)
            };
            Ok(files.files.len() == manifest.len() && files.files.iter().zip(manifest.entries()).all(is_same))
        })
        .await
    }

    /// Publishes files, and notes those that cannot be read. Gives whether all others look as they were published.
    async fn publish_files(self: &Arc<Self>, look: &Look, unpublished: &Unpublished) -> Result<bool, PublishError> {
        let paths = look.files(unpublished).map(|file| self.path_of(&file.path)).collect();
        publish_batches(self.files(), paths).await?;
        let mut is_complete = true;
        for file in look.files(unpublished) {
            let path = self.path_of(&file.path);
            if self.is_published_as(&path, &file.fingerprint) {
                continue;
            }
            match self.settler.refresh(&path).await {
                Ok(PathState::File(_)) => is_complete &= self.is_published_as(&path, &file.fingerprint),
                Err(PublishError::Unstable { .. } | PublishError::Busy) => is_complete = false,
                Err(PublishError::Io(error)) if !is_about_file(&error) => return Err(PublishError::Io(error)),
                Ok(PathState::Folder | PathState::Nothing) | Err(PublishError::Io(_)) => {
                    is_complete = false;
                    // What is no longer there is no unreadable file: it may come back just as it was.
                    if self.is_still_there(file).await? {
                        self.unreadable().insert(file.path.clone(), file.fingerprint);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(is_complete)
    }

    /// Whether a file that cannot be read looks as it did, to somebody who does not open it.
    async fn is_still_there(&self, file: &WalkedFile) -> Result<bool, PublishError> {
        let (path, fingerprint) = (self.files().source.path().join(self.path_of(&file.path)), file.fingerprint);
        blocking(move || Ok(path.metadata().is_ok_and(|found| Fingerprint::of(&found) == fingerprint))).await
    }

    fn is_published_as(&self, path: &str, fingerprint: &Fingerprint) -> bool {
        self.files().history.head(path).is_some_and(|head| head.observation.looks_like(fingerprint))
    }

    /// Makes the manifest of what is published, and makes it the head. `None` if a file has changed since, unless that
    /// does not matter any more.
    async fn publish_manifest(
        self: &Arc<Self>,
        look: &Look,
        before: Option<&PublishedDirectory>,
        overdue: bool,
    ) -> Result<Option<PublishedDirectory>, PublishError> {
        let (publisher, look, before) = (self.clone(), look.clone(), before.cloned());
        blocking(move || {
            let counter_before = before.as_ref().map(|before| before.counter);
            let manifest = match before.filter(|_| look.base.is_head) {
                Some(before) => {
                    let edits = look.edits.files.iter();
                    let gone: Vec<&str> = edits.filter(|(_, now)| now.is_none()).map(|(path, _)| &*path.0).collect();
                    let files = look.edits.files.values().flatten();
                    let Some(files) = publisher.entries(files, overdue) else { return Ok(None) };
                    before.manifest.edited(&gone, files)
                }
                None => {
                    let base = look.into_base(&[], false);
                    let Some(files) = publisher.entries(base.listing.files.iter(), overdue) else { return Ok(None) };
                    Manifest::new(files)
                }
            };
            let manifest = manifest.map_err(|error| PublishError::Manifest(Arc::new(error)))?;
            let (history, key) = (&publisher.files().history, DirectoryPublisher::key(&publisher.path));
            history.publish_directory(&key, &manifest)?;
            let head = history.head(&key).ok_or(PublishError::Busy)?;
            let (version, len, counter) = (head.version, head.len, head.counter);
            if counter_before != Some(counter) {
                publisher.files().metrics.directories.increment(1);
            }
            Ok(Some(PublishedDirectory { manifest: Arc::new(manifest), version, len, counter }))
        })
        .await
    }

    /// The manifest's entries of files, as they were published. `None` if a file has changed since; an overdue directory
    /// has the version before.
    fn entries<'a>(&self, files: impl Iterator<Item = &'a WalkedFile>, overdue: bool) -> Option<Vec<FileEntry>> {
        let mut entries = Vec::with_capacity(files.size_hint().0);
        for file in files {
            let path = self.path_of(&file.path);
            let head = self.files().history.head(&path);
            if !head.is_some_and(|head| head.observation.looks_like(&file.fingerprint)) {
                if !overdue {
                    return None;
                }
                match head {
                    None => warn!(path, "a file is left out of the directory's snapshot: it never stops changing"),
                    Some(_) => {
                        warn!(path, "a file keeps changing; the directory's snapshot has its last published version")
                    }
                }
            }
            let Some(Head { len, version, .. }) = head else { continue };
            entries.push(FileEntry { path: file.path.clone(), executable: file.executable, len, version });
        }
        Some(entries)
    }
}

/// Whether a file cannot be read because of what it is. Other errors pass, such as too many open files.
fn is_about_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotADirectory, NotFound, PermissionDenied};
    let is_loop = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    is_loop || matches!(error.kind(), InvalidInput | NotADirectory | NotFound | PermissionDenied)
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
