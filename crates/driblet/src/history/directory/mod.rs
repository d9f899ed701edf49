//! A history in a folder of its own.
//!
//! ```text
//! index.redb        the versions of each path
//! versions/<hex>    the bytes of a version, shared by all paths that have it
//! segments/<n>      the bytes of many short versions that were published together (see `segments`)
//! tmp/              bytes that are not published yet; emptied at the start
//! artifacts/        artifacts made from versions (see `artifacts/store.rs`)
//! ```
//! Order of writing: bytes into `tmp/`, flush; rename into `versions/`, flush of that folder; index. A few short files are
//! written into `versions/` directly, many into a segment: a file there is not a version until the index lists it. If the
//! process is killed between two steps, the next start removes the files that the index does not list.

mod publishing;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use driblet_core::Version;
use driblet_core::directory::{Manifest, ManifestLimits};
use tracing::warn;

use super::contract::{
    Candidate, Head, History, HistoryLimits, HistorySize, Observation, PathVersions, StagedBytes, StagedVersion,
};
use super::epoch::Epoch;
use super::error::HistoryError;
use super::index::{Contents, Index, Unneeded};
use super::index_file;
use super::segments::SegmentFiles;
use super::stored_version::{StoredVersion, read_place};
use crate::disk;
use crate::fingerprint::{self, Fingerprint};

/// The longest file that is staged in memory.
const SHORT: u64 = 64 << 10;
/// The most versions that are verified at the same time.
const VERIFYING: usize = 16;

pub(crate) struct DirectoryHistory {
    folder: PathBuf,
    limits: HistoryLimits,
    segments: SegmentFiles,
    index: Mutex<Index>,
    /// Versions that are open now, and what each verified file looked like.
    open: Mutex<HashMap<Version, Opened>>,
    /// Locks that are held while a version is verified, so that equal requests verify it once. Chosen by the version's
    /// first byte.
    verifying: [Mutex<()>; VERIFYING],
}

struct Opened {
    kept: Weak<StoredVersion>,
    verified: Fingerprint,
}

impl DirectoryHistory {
    /// Opens or makes the history of what is published at `root`.
    pub(crate) fn open(folder: &Path, root: &Path, limits: HistoryLimits) -> Result<DirectoryHistory, HistoryError> {
        let failed = |source| HistoryError::Io { path: folder.to_path_buf(), source };
        // No folder is made before the place is known. The path is resolved twice: the first result may contain a link
        // that stood behind a `..`.
        let folder = &resolved(&resolved(&std::path::absolute(folder).map_err(failed)?));
        if folder.starts_with(root) && root.is_dir() {
            return Err(HistoryError::InsideRoot { path: folder.clone(), root: root.to_path_buf() });
        }
        if !may_be_history(folder).map_err(failed)? {
            return Err(HistoryError::Foreign { path: folder.clone() });
        }
        fs::create_dir_all(folder.join("versions")).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let versions = folder.join("versions");
        let is_whole = |version: &Version, len| {
            fs::metadata(versions.join(version.to_string())).is_ok_and(|data| data.is_file() && data.len() == len)
        };
        // The open index is the lock of the folder. Nothing is removed before.
        let contents_of = |version: &Version| {
            let bytes = fs::read(versions.join(version.to_string())).ok()?;
            let manifest = Manifest::parse(&bytes, ManifestLimits::default()).ok()?;
            (Version::of(&bytes) == *version).then(|| contents(&manifest))
        };
        let segments = SegmentFiles::new(&folder);
        let index = Index::open(&folder, |number| segments.len(number), is_whole, contents_of)?;
        remove_all_but(&folder, &versions, &index).map_err(failed)?;
        segments.remove_all_but(|number| index.segments.has(number)).map_err(failed)?;
        Ok(DirectoryHistory {
            folder,
            limits,
            segments,
            index: Mutex::new(index),
            open: Mutex::default(),
            verifying: Default::default(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The default folder for the history of a root.
    pub(crate) fn default_folder(root: &Path) -> Option<PathBuf> {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
        let name = Version::of(root.as_os_str().as_encoded_bytes()).to_string();
        Some(cache.join("driblet").join(&name[..16]))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_versions(&self) -> MutexGuard<'_, HashMap<Version, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file_of(&self, version: &Version) -> PathBuf {
        self.folder.join("versions").join(version.to_string())
    }

    fn error(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { path: self.folder.clone(), source }
    }

    /// Makes a file in `tmp/`.
    fn in_tmp<T>(&self, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        let tmp = self.folder.join("tmp");
        self.in_versions(|| make(&tmp))
    }

    /// Makes a file in the history. Makes the folders first if a program that empties caches removed them.
    fn in_versions<T>(&self, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
        make().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(self.folder.join("versions"))?;
            fs::create_dir_all(self.folder.join("tmp"))?;
            make()
        })
    }

    /// Removes what the index no longer has. The caller holds the lock of the index.
    fn remove_unneeded(&self, Unneeded { files, segments }: &Unneeded) {
        for version in files {
            self.open_versions().remove(version);
            if let Err(error) = disk::remove(&self.file_of(version)) {
                warn!(%version, %error, "the file of a version that is not needed any more cannot be removed");
            }
        }
        for number in segments {
            if let Err(error) = self.segments.remove(*number) {
                warn!(number, %error, "a segment that is not needed any more cannot be removed");
            }
        }
    }

    /// Removes a damaged version from every path.
    fn drop_damaged(&self, version: &Version) -> Result<(), HistoryError> {
        // Under the lock, so that the version is not published meanwhile. A version that was evicted just now is not
        // damaged.
        let mut index = self.index();
        let (paths, unneeded) = index.forget(&HashSet::from([*version]))?;
        if !paths.is_empty() {
            warn!(%version, "another program changed or removed a version in the history; the version is dropped");
        }
        self.open_versions().remove(version);
        let _ = fs::remove_file(self.file_of(version));
        self.remove_unneeded(&unneeded);
        Ok(())
    }

    /// Opens the file or the place of a version that the index lists.
    fn open_bytes(&self, version: &Version) -> io::Result<StoredVersion> {
        let place = self.index().segments.place(version);
        let opened = match place {
            Some(place) => self
                .segments
                .open(place.segment)
                .and_then(|segment| StoredVersion::in_segment(segment, place, *version)),
            None => StoredVersion::open(&self.file_of(version), *version),
        };
        match opened {
            // Meanwhile it was moved.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.index().segments.place(version) != place => {
                self.open_bytes(version)
            }
            opened => opened,
        }
    }

    /// Opens a version that the index lists.
    fn open_listed(&self, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
        if let Some(kept) = self.opened(version) {
            return Ok(Some(kept));
        }
        let lock = &self.verifying[usize::from(version.as_bytes()[0]) % VERIFYING];
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.opened(version) {
            return Ok(Some(kept));
        }
        let kept = match self.open_bytes(version) {
            Ok(kept) => Arc::new(kept),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                self.drop_damaged(version)?;
                return Ok(None);
            }
            Err(error) => return Err(self.error(error)),
        };
        let fingerprint = kept.fingerprint().map_err(|error| self.error(error))?;
        if !self.is_verified(version, &fingerprint) && !kept.is_whole() {
            self.drop_damaged(version)?;
            return Ok(None);
        }
        self.open_versions().insert(*version, Opened { kept: Arc::downgrade(&kept), verified: fingerprint });
        Ok(Some(kept))
    }

    fn is_verified(&self, version: &Version, fingerprint: &Fingerprint) -> bool {
        self.open_versions().get(version).is_some_and(|opened| opened.verified == *fingerprint)
    }
}

impl History for DirectoryHistory {
    fn head(&self, path: &str) -> Option<Head> {
        self.index().head(path)
    }

    fn epoch(&self) -> Epoch {
        self.index().epoch
    }

    fn versions(&self, path: &str) -> Vec<(Version, u64)> {
        self.index().versions(path)
    }

    fn stage(&self, file: &File, most: u64) -> Result<StagedVersion, HistoryError> {
        let mut file = file.take(most);
        let mut copy = || -> io::Result<StagedVersion> {
            if most <= SHORT {
                let mut bytes = Vec::with_capacity(most as usize);
                file.read_to_end(&mut bytes)?;
                let (version, len) = (Version::of(&bytes), bytes.len() as u64);
                return Ok(StagedVersion { bytes: StagedBytes::Memory(bytes), version, len });
            }
            let mut staged = self.in_tmp(|tmp| tempfile::NamedTempFile::new_in(tmp))?;
            let (version, len) = disk::each_piece(&mut file, |bytes| staged.write_all(bytes))?;
            Ok(StagedVersion { bytes: StagedBytes::File(staged), version, len })
        };
        copy().map_err(|error| self.error(error))
    }

    fn publish(&self, candidates: Vec<Candidate>) -> Result<Vec<String>, HistoryError> {
        self.publish_or_undo(&candidates, None)
    }

    fn publish_directory(&self, path: &str, manifest: &Manifest) -> Result<(), HistoryError> {
        let bytes = manifest.encode();
        let (version, len) = (Version::of(&bytes), bytes.len() as u64);
        let staged = StagedVersion { bytes: StagedBytes::Memory(bytes), version, len };
        let observation = Observation { fingerprint: Fingerprint::NONE, read: 0, settled: true, renumbered: false };
        let candidate = Candidate { path: path.to_owned(), staged, observation, before: None };
        self.publish_or_undo(&[candidate], Some(manifest)).map(drop)
    }

    fn requested(&self, version: &Version) {
        self.index().requested(*version, fingerprint::now() / 1_000_000_000);
    }

    fn list(&self, path: Option<&str>) -> Vec<PathVersions> {
        self.index().list(path)
    }

    fn heads_among(&self, versions: &HashSet<Version>) -> Vec<String> {
        self.index().heads_among(versions)
    }

    fn losses(&self) -> u64 {
        self.index().losses
    }

    fn size(&self) -> HistorySize {
        self.index().size()
    }

    fn forget(&self, versions: &HashSet<Version>) -> Result<Vec<String>, HistoryError> {
        let mut index = self.index();
        let (paths, unneeded) = index.forget(versions)?;
        self.remove_unneeded(&unneeded);
        drop(index);
        // What is left of their segments is written anew, without their bytes.
        let (segment, moving) = self.write_segment(&[], versions).map_err(|error| self.error(error))?;
        let mut index = self.index();
        if let Some(segment) = segment {
            let unneeded = index.moved(segment)?;
            self.remove_unneeded(&unneeded);
        }
        index.segments.settle(&moving);
        Ok(paths)
    }

    fn open_staged(&self, staged: StagedVersion) -> Result<Arc<StoredVersion>, HistoryError> {
        // The system removes the file when it is closed.
        let file = || match staged.bytes {
            StagedBytes::File(file) => Ok(file.into_file()),
            StagedBytes::Memory(bytes) => {
                let mut file = self.scratch()?;
                file.write_all(&bytes)?;
                Ok(file)
            }
        };
        let kept = file().and_then(|file| StoredVersion::of(file, staged.version));
        kept.map(Arc::new).map_err(|error| self.error(error))
    }

    fn gone(&self, path: &str) {
        self.index().gone(path);
    }

    fn paths(&self) -> Vec<String> {
        self.index().paths()
    }

    fn open_or_drop(&self, path: &str, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
        if !self.index().has(path, version) {
            return Ok(None);
        }
        self.open_listed(version)
    }

    fn opened(&self, version: &Version) -> Option<Arc<StoredVersion>> {
        let open = self.open_versions();
        let opened = open.get(version)?;
        let kept = opened.kept.upgrade()?;
        (kept.fingerprint().ok()? == opened.verified).then_some(kept)
    }

    fn open_named_or_drop(&self, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
        if !self.index().names(version) {
            return Ok(None);
        }
        self.open_listed(version)
    }

    fn read_named_or_drop(&self, version: &Version) -> Result<Option<Vec<u8>>, HistoryError> {
        if !self.index().names(version) {
            return Ok(None);
        }
        let place = self.index().segments.place(version);
        let read = match place {
            Some(place) => self.segments.open(place.segment).and_then(|segment| read_place(&segment, place)),
            None => fs::read(self.file_of(version)),
        };
        match read {
            Ok(bytes) if Version::of(&bytes) == *version => Ok(Some(bytes)),
            // Meanwhile it was moved.
            Err(_) if self.index().segments.place(version) != place => self.read_named_or_drop(version),
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                Err(self.error(error))
            }
            _ => {
                self.drop_damaged(version)?;
                Ok(None)
            }
        }
    }

    fn scratch(&self) -> io::Result<File> {
        self.in_tmp(|tmp| tempfile::tempfile_in(tmp))
    }

    fn artifacts(&self) -> Option<PathBuf> {
        Some(self.folder.join("artifacts"))
    }
}

/// The versions and lengths of the files that a manifest names.
fn contents(manifest: &Manifest) -> Contents {
    manifest.entries().map(|entry| (entry.version, entry.len)).collect()
}

/// Where a path leads once it exists: links are followed as far as the path exists, and `..` is taken literally beyond.
fn resolved(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let Some((ancestor, mut resolved)) = existing else { return path.to_path_buf() };
    for part in path.strip_prefix(ancestor).unwrap_or(Path::new("")).components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

/// Whether a folder is a history, or may become one without harm to its content.
fn may_be_history(folder: &Path) -> io::Result<bool> {
    let is_empty = |folder: &Path| match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    if is_empty(folder)? || folder.join(index_file::NAME).is_file() {
        return Ok(true);
    }
    // The process was killed after the first step.
    let is_only = fs::read_dir(folder)?.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "versions"));
    Ok(is_only && is_empty(&folder.join("versions"))?)
}

/// Empties `tmp/`, and removes versions that the index does not list.
fn remove_all_but(folder: &Path, versions: &Path, index: &Index) -> io::Result<()> {
    let tmp = folder.join("tmp");
    if tmp.exists() {
        fs::remove_dir_all(&tmp)?;
    }
    fs::create_dir(&tmp)?;
    for entry in fs::read_dir(versions)? {
        let entry = entry?;
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if version.is_none_or(|version| !index.names(&version)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
