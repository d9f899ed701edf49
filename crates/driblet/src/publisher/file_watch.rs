//! Watches files while somebody listens to them, by one watcher for all.
//!
//! The system reports changes by folder: a file that is replaced is another file. If a folder cannot be watched, its
//! files are looked at more often.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select_all;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::directory_watch::identity;
use crate::task::{TaskFailed, blocking};

/// How often a file whose folder is watched is looked at: the folder may be replaced, which no event tells. A directory
/// is looked at as often, which costs nothing while it is watched.
const CHECK: Duration = Duration::from_secs(1);
/// How often a file is looked at whose folder cannot be watched.
const POLL: Duration = Duration::from_millis(500);

/// Which folder a path leads to.
type Identity = (u64, u64, i64);

/// The folders that are watched.
#[derive(Default)]
pub(super) struct FileWatches {
    watched: Mutex<Watched>,
    has_warned: AtomicBool,
}

#[derive(Default)]
struct Watched {
    watcher: Option<RecommendedWatcher>,
    folders: Folders,
}

type Folders = Arc<Mutex<HashMap<PathBuf, (Identity, watch::Sender<()>)>>>;

/// Tells when something may have changed at a path.
pub(crate) struct AssetWatch {
    watches: Arc<FileWatches>,
    /// The file, if it is one.
    file: Option<PathBuf>,
    folders: Vec<WatchedFolder>,
    look: Duration,
}

struct WatchedFolder {
    path: PathBuf,
    identity: Identity,
    changes: watch::Receiver<()>,
}

impl AssetWatch {
    pub(super) fn new(watches: Arc<FileWatches>, file: Option<PathBuf>) -> AssetWatch {
        AssetWatch { watches, file, folders: Vec::new(), look: CHECK }
    }

    /// Watches the folders where the file is now. Changes after this call are told.
    pub(crate) async fn renew(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let (watches, before) = (self.watches.clone(), std::mem::take(&mut self.folders));
        let renewed = blocking(move || Ok::<_, TaskFailed>(watches.renewed(&file, before))).await;
        let (folders, are_watched) = renewed.unwrap_or_default();
        (self.folders, self.look) = (folders, if are_watched { CHECK } else { POLL });
    }

    /// Waits until the file may have changed, or should be looked at.
    pub(crate) async fn changed(&mut self) {
        if self.folders.is_empty() {
            return sleep(self.look).await;
        }
        let changes = self.folders.iter_mut().map(|folder| Box::pin(folder.changes.changed()));
        // Without an event the time ends the wait.
        let _ = timeout(self.look, select_all(changes)).await;
    }
}

impl Drop for AssetWatch {
    fn drop(&mut self) {
        let folders = std::mem::take(&mut self.folders);
        self.watches.forget(folders);
    }
}

impl FileWatches {
    /// Watches the folder of a file, and that of the file to which it links. Gives whether all of them are watched.
    fn renewed(&self, file: &Path, before: Vec<WatchedFolder>) -> (Vec<WatchedFolder>, bool) {
        let mut wanted: Vec<PathBuf> =
            [file.parent().map(Path::to_path_buf), folder_of_target(file)].into_iter().flatten().collect();
        wanted.dedup();
        let count = wanted.len();
        let (mut kept, mut gone): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|folder| wanted.contains(&folder.path) && identity(&folder.path) == Some(folder.identity));
        wanted.retain(|path| kept.iter().all(|folder| folder.path != *path));
        self.forget(std::mem::take(&mut gone));
        kept.extend(wanted.into_iter().filter_map(|path| self.watch(path)));
        let are_watched = kept.len() == count;
        (kept, are_watched)
    }

    /// Watches a folder; `None` if that is not possible.
    fn watch(&self, path: PathBuf) -> Option<WatchedFolder> {
        let identity = identity(&path)?;
        let mut watched = self.watched();
        if let Some((known, changes)) = lock(&watched.folders).get(&path)
            && *known == identity
        {
            return Some(WatchedFolder { path, identity, changes: changes.subscribe() });
        }
        match watched.watch(&path) {
            Ok(()) => {
                let sender = watch::Sender::default();
                let changes = sender.subscribe();
                lock(&watched.folders).insert(path.clone(), (identity, sender));
                Some(WatchedFolder { path, identity, changes })
            }
            Err(error) => {
                if !self.has_warned.swap(true, Relaxed) {
                    let folder = path.display();
                    warn!(%folder, %error, "files with live streams cannot be watched; they are looked at every 0.5 s");
                }
                None
            }
        }
    }

    /// Does not watch folders any more that nobody needs.
    fn forget(&self, folders: Vec<WatchedFolder>) {
        for WatchedFolder { path, identity, changes } in folders {
            drop(changes);
            let mut watched = self.watched();
            let mut known = lock(&watched.folders);
            let is_unused =
                known.get(&path).is_some_and(|(id, changes)| *id == identity && changes.receiver_count() == 0);
            if is_unused {
                known.remove(&path);
                drop(known);
                watched.unwatch(&path);
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }
}

impl Watched {
    fn watch(&mut self, folder: &Path) -> notify::Result<()> {
        if self.watcher.is_none() {
            let folders = self.folders.clone();
            self.watcher =
                Some(notify::recommended_watcher(move |event: notify::Result<Event>| note(&folders, event))?);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        // Another folder may have been at the path.
        let _ = watcher.unwatch(folder);
        watcher.watch(folder, RecursiveMode::NonRecursive)
    }

    fn unwatch(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher {
            // A folder that is gone is not watched any more.
            let _ = watcher.unwatch(folder);
        }
    }
}

/// The folder of the file to which a link leads; of the file itself, if it is no link. A file that is missing there may
/// come.
fn folder_of_target(file: &Path) -> Option<PathBuf> {
    if let Ok(target) = file.canonicalize() {
        return target.parent().map(Path::to_path_buf);
    }
    let target = file.parent()?.join(file.read_link().ok()?);
    target.parent()?.canonicalize().ok()
}

/// Tells those that listen to the folders of an event; all, if events were lost.
fn note(folders: &Folders, event: notify::Result<Event>) {
    let folders = lock(folders);
    match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
        Ok(event) if !event.need_rescan() => {
            for path in &event.paths {
                let changed = [path.parent(), Some(path)].into_iter().flatten();
                changed.filter_map(|path| folders.get(path)).for_each(|(_, changes)| changes.send_modify(|()| {}));
            }
        }
        Ok(_) | Err(_) => folders.values().for_each(|(_, changes)| changes.send_modify(|()| {})),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whether a change is told, and not only looked for.
    async fn is_told(watch: &mut AssetWatch) -> bool {
        let changes = watch.folders.iter_mut().map(|folder| Box::pin(folder.changes.changed()));
        timeout(Duration::from_secs(60), select_all(changes)).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_is_watched_where_it_is_and_where_it_links_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (a, b) = (root.join("a"), root.join("b"));
        [&a, &b].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(b.join("file"), "1").unwrap();
        std::os::unix::fs::symlink("../b/file", a.join("link")).unwrap();
        let watches = Arc::new(FileWatches::default());
        let mut watch = AssetWatch::new(watches.clone(), Some(a.join("link")));
        watch.renew().await;
        assert_eq!((watch.folders.len(), watch.look), (2, CHECK));
        fs::write(b.join("file"), "2").unwrap();
        assert!(is_told(&mut watch).await);
        // Another file comes in its place.
        fs::rename(&b, root.join("c")).unwrap();
        fs::create_dir(&b).unwrap();
        watch.renew().await;
        fs::write(b.join("file"), "3").unwrap();
        assert!(is_told(&mut watch).await);
        drop(watch);
        assert!(lock(&watches.watched().folders).is_empty());
    }

    #[tokio::test]
    async fn a_folder_that_is_missing_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = AssetWatch::new(Arc::default(), Some(folder.path().join("missing/file")));
        watch.renew().await;
        assert_eq!((watch.folders.len(), watch.look), (0, POLL));
        watch.changed().await;
    }
}
