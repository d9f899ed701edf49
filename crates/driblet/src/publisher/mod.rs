//! The head of each path as the disk has it now. Each version of a file is read, hashed and copied once.
//!
//! `files` looks at the disk and copies files into the history, `settle` waits until a file stops changing, `index`
//! reads all files at the start. The publisher announces new heads and does not know who listens.

mod directories;
mod directory_changes;
mod directory_follow;
mod directory_looks;
mod directory_watch;
mod episode;
mod error;
mod file_watch;
mod files;
mod index;
mod settle;

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driblet_core::directory::Manifest;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::warn;

pub(crate) use directories::PublishedDirectory;
use directories::{Directories, DirectoryPublisher};
use directory_watch::Watch;
pub(crate) use error::PublishError;
pub(crate) use file_watch::AssetWatch;
use file_watch::FileWatches;
use files::{Files, Looked};
pub(crate) use files::{NewHead, PathState, UnpublishedCopy};
use settle::Settler;

use crate::access::GuardedPaths;
use crate::causes::with_causes;
use crate::fingerprint::Fingerprint;
use crate::history::{Head, History};
use crate::source::{Entry, Found, Source};
use crate::task::{blocking, caught};
use crate::walk::WalkRules;

/// How long a plain request waits for a moment in which no process has the file open for writing.
const MOMENT: Duration = Duration::from_millis(250);

/// Keeps the history up to date with the source.
pub(crate) struct Publisher {
    files: Arc<Files>,
    settler: Arc<Settler>,
    directories: Directories,
    watches: Arc<FileWatches>,
    indexed: Arc<watch::Sender<bool>>,
}

/// Which directories are published as snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotOptions {
    /// Their paths below the root; `""` is the root.
    pub(crate) directories: Vec<String>,
    /// Patterns in the syntax of `.gitignore` of files that they leave out.
    pub(crate) excluded: Vec<String>,
    /// Whether they are watched and published at once when they change. Otherwise they are published at the first
    /// request after that.
    pub(crate) watched: bool,
    /// Paths below the root that access rules are about: a snapshot above one leaves it out.
    pub(crate) guarded: GuardedPaths,
}

/// The content at a path for requests that accept bytes without a version.
pub(crate) enum PlainContent {
    /// The published file.
    Head(Head),
    /// A copy of a file that is still changing and not published.
    UnpublishedCopy(UnpublishedCopy),
    /// The file itself, because the history cannot store it.
    Direct(File, Fingerprint),
    Folder,
    Nothing,
}

impl Publisher {
    /// Begins to index the source. `queue_timeout` is the longest that a request waits for a file to be read;
    /// `new_head` is called with each new head of a file.
    ///
    /// # Errors
    /// Fails if a pattern of `snapshots` is invalid.
    pub(crate) fn new(
        source: Source,
        history: Arc<dyn History>,
        queue_timeout: Duration,
        new_head: NewHead,
        snapshots: &SnapshotOptions,
    ) -> Result<Publisher, ignore::Error> {
        let files = Files::new(source, history, new_head);
        let settler = Settler::new(files.clone(), queue_timeout);
        let rules = WalkRules::new(files.source.path(), files.source.is_hidden_shown(), &snapshots.excluded)?;
        let rules = rules.guarded(snapshots.guarded.clone());
        let indexed = Arc::new(watch::Sender::new(false));
        let directory = |path: &String| {
            let folder = files.source.path().join(path);
            let watch = (snapshots.watched && files.source.only().is_none()).then(Arc::<Watch>::default);
            let (settler, rules, done) = (settler.clone(), rules.clone(), indexed.subscribe());
            let publisher = DirectoryPublisher::new(settler, path.clone(), rules, watch.clone(), done);
            let publisher = Arc::new(publisher);
            if let Some(watch) = watch {
                tokio::spawn(directory_follow::follow(Arc::downgrade(&publisher), watch, folder));
            }
            (path.clone(), publisher)
        };
        let directories = snapshots.directories.iter().map(directory).collect();
        let (done, index) = (indexed.clone(), index::index(files.clone(), settler.clone()));
        tokio::spawn(async move {
            // Also after a panic: `indexed` waits for the end.
            if let Err(error) = caught(index).await.unwrap_or_else(|failed| Err(failed.into())) {
                let error = with_causes(&error);
                warn!(error, "not all files could be indexed; the first request for each other file reads it");
            }
            done.send_replace(true);
        });
        Ok(Publisher { files, settler, directories, watches: Arc::default(), indexed })
    }

    pub(crate) fn source(&self) -> &Source {
        &self.files.source
    }

    /// Wakes when any path gets a new head.
    pub(crate) fn published(&self) -> &Notify {
        &self.files.published
    }

    /// Tells when a file may have changed, or without one, when a directory should be looked at.
    pub(crate) fn watch(&self, file: Option<&str>) -> AssetWatch {
        let file = file.map(|path| match self.source().only() {
            // The source is the file.
            Some(_) => self.source().path().to_path_buf(),
            None => self.source().path().join(path),
        });
        AssetWatch::new(self.watches.clone(), file)
    }

    /// How many times a file was read.
    pub(crate) fn readings(&self) -> u64 {
        self.files.readings()
    }

    /// Waits until every file that was there at the start is indexed.
    pub(crate) async fn indexed(&self) {
        // The sender lives as long as this publisher.
        let _ = self.indexed.subscribe().wait_for(|done| *done).await;
    }

    /// Publishes the directory at a path if it has changed and is quiet, and gives its head. `None` if it is not
    /// published as a snapshot.
    pub(crate) async fn refresh_directory(&self, path: &str) -> Result<Option<PublishedDirectory>, PublishError> {
        match self.directories.get(path) {
            Some(directory) => directory.refresh().await.map(Some),
            None => Ok(None),
        }
    }

    /// The paths of all directories that are published as snapshots.
    pub(crate) fn directories(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.directories.keys().cloned().collect();
        paths.sort_unstable();
        paths
    }

    /// Publishes the directory at a path without waiting for quiet. `None` if it is not published as a snapshot.
    pub(crate) async fn publish_directory_now(&self, path: &str) -> Result<Option<PublishedDirectory>, PublishError> {
        match self.directories.get(path) {
            Some(directory) => directory.publish_now().await.map(Some),
            None => Ok(None),
        }
    }

    /// The head of the directory at a path that was published last. A directory is only looked at if it has none.
    pub(crate) async fn published_directory(&self, path: &str) -> Result<Option<PublishedDirectory>, PublishError> {
        match self.directories.get(path) {
            Some(directory) => directory.published().await.map(Some),
            None => Ok(None),
        }
    }

    /// Tells whether a version of the directory at a path holds files that access rules cover, but not the directory: one
    /// from before the rules.
    pub(crate) fn holds_guarded(&self, path: &str) -> impl Fn(&Manifest) -> bool + Send + use<> {
        let directory = self.directories.get(path).cloned();
        move |manifest| directory.as_ref().is_some_and(|directory| directory.holds_guarded(manifest))
    }

    /// The path under which the history has the versions of a directory.
    pub(crate) fn directory_key(path: &str) -> String {
        DirectoryPublisher::key(path)
    }

    /// Publishes the file at a path if it has changed and is quiet, and says what is published then. While the file
    /// still changes, or cannot be stored, the version before stays published.
    pub(crate) async fn refresh(&self, path: &str) -> Result<PathState, PublishError> {
        self.settler.refresh(path).await
    }

    /// The head of a path, if a look shows that it is what the disk has now. Never waits for a disk.
    pub(crate) fn known(&self, path: &str) -> Option<Head> {
        let files = &self.files;
        if files.failing.has(path) { None } else { files.glance(path) }
    }

    /// Finds the content at a path, published or not. A failing history is no error here: the file itself is given
    /// then.
    pub(crate) async fn plain_content(&self, path: &str) -> Result<PlainContent, PublishError> {
        let failing = &self.files.failing;
        let looked = self.files.look(path).await?;
        self.files.note_absence(path, &looked);
        let state = match looked {
            Looked::Known(state) => Ok(state),
            Looked::Changed(look) => {
                if failing.is_fresh(path) {
                    return self.direct(path, None).await;
                }
                if !look.is_replacement() && look.published != Some(look.fingerprint) {
                    // It is published when it is quiet. A plain request gets what is there now.
                    if let Some(plain) = self.unpublished(path).await? {
                        return Ok(plain);
                    }
                }
                self.settler.settled(path, &look).await
            }
        };
        match state {
            Ok(PathState::File(head)) if failing.has(path) => self.direct(path, Some(head)).await,
            Ok(PathState::File(head)) => Ok(PlainContent::Head(head)),
            Ok(PathState::Folder) => Ok(PlainContent::Folder),
            Ok(PathState::Nothing) => Ok(PlainContent::Nothing),
            Err(PublishError::History(_) | PublishError::Paused) => self.direct(path, None).await,
            Err(error) => Err(error),
        }
    }

    /// At most `most` files and folders that a folder has.
    pub(crate) async fn entries(&self, path: &str, most: usize) -> Result<Vec<Entry>, PublishError> {
        let (files, path) = (self.files.clone(), path.to_owned());
        blocking(move || files.entries(&path, most)).await
    }

    /// The file itself, for when the history cannot give it; `head` if the file still looks like that head.
    pub(crate) async fn direct(&self, path: &str, head: Option<Head>) -> Result<PlainContent, PublishError> {
        let (files, path) = (self.files.clone(), path.to_owned());
        let open = move || {
            let file = match files.find(&path)? {
                None => return Ok(PlainContent::Nothing),
                Some(Found::Folder) => return Ok(PlainContent::Folder),
                Some(Found::File(file)) => file,
            };
            let fingerprint = Fingerprint::of(&file.metadata()?);
            Ok(match head {
                Some(head) if head.observation.looks_like(&fingerprint) => PlainContent::Head(head),
                _ => PlainContent::Direct(file, fingerprint),
            })
        };
        blocking(open).await
    }

    /// A consistent copy of a file that is still changing, made in a moment in which no process writes to it, or at any
    /// moment if the file only grows. `None` if there is no such moment, or if the file was cut and is being written
    /// anew: the version before is better then.
    async fn unpublished(&self, path: &str) -> Result<Option<PlainContent>, PublishError> {
        let end = Instant::now() + MOMENT;
        while Instant::now() < end {
            let look = match self.files.look(path).await? {
                Looked::Known(PathState::File(head)) => return Ok(Some(PlainContent::Head(head))),
                Looked::Known(_) => return Ok(None),
                Looked::Changed(look) if look.is_cut() => return Ok(None),
                Looked::Changed(look) => look,
            };
            if look.has_writer != Some(true) || look.has_grown() {
                match self.settler.settle(path).copy_unpublished(&self.files, path).await {
                    Ok(Some(copy)) => return Ok(Some(PlainContent::UnpublishedCopy(copy))),
                    Ok(None) => {}
                    Err(PublishError::History(_) | PublishError::Paused) => {
                        return self.direct(path, None).await.map(Some);
                    }
                    Err(error) => return Err(error),
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(None)
    }
}
