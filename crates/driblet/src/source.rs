//! The published files as the disk has them now. No path and no link leads out of the root.
//!
//! Each call looks the root up by its path. A deploy may replace the root, point a link elsewhere or mount a volume
//! over it: the next call sees what the path leads to then.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::fingerprint::Fingerprint;

/// What is published: a folder, or one file.
pub(crate) struct Source {
    /// An absolute path. Each call follows its links again.
    path: PathBuf,
    /// The name of the published file; `None` if a folder is published.
    only: Option<String>,
    hidden: bool,
}

/// What a path leads to.
pub(crate) enum Found {
    File(File),
    Folder,
}

/// What a folder has at a name.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The length of a file in bytes; `None` for a folder.
    pub(crate) len: Option<u64>,
    pub(crate) modified: Option<SystemTime>,
}

/// Why a path cannot be looked up.
#[derive(Debug)]
pub(crate) enum FindError {
    /// The root is missing or cannot be opened.
    RootMissing(io::Error),
    /// The path below it cannot be read.
    Io(io::Error),
}

impl Source {
    /// The name of a root, as it stays while links and folders are replaced.
    pub(crate) fn named(path: &Path) -> io::Result<PathBuf> {
        // Collected from its parts, a path has no slash at its end.
        Ok(std::path::absolute(path)?.components().collect())
    }

    /// Opens the root to check it. With `hidden`, names that begin with a dot are published.
    pub(crate) fn open(path: &Path, hidden: bool) -> io::Result<Source> {
        let path = Source::named(path)?;
        if path.metadata()?.is_dir() {
            Dir::open_ambient_dir(&path, ambient_authority())?;
            return Ok(Source { path, only: None, hidden });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8"))?.to_owned();
        open_file(&path)?;
        Ok(Source { path, only: Some(name), hidden: true })
    }

    /// The root's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether names that begin with a dot are published.
    pub(crate) fn is_hidden_shown(&self) -> bool {
        self.hidden
    }

    /// The path of the published file; `None` if a folder is published.
    pub(crate) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Opens what a path of `/`-separated, decoded names leads to; `None` if nothing is published there.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Found>, FindError> {
        if let Some(only) = &self.only {
            return match path {
                path if path == only => {
                    open_file(&self.path).map(|file| Some(Found::File(file))).map_err(FindError::RootMissing)
                }
                _ => Ok(None),
            };
        }
        if !self.may_see(path) {
            return Ok(None);
        }
        let root = self.root().map_err(FindError::RootMissing)?;
        if path.is_empty() {
            return Ok(Some(Found::Folder));
        }
        match find_in(&root, path) {
            Err(error) if is_absence(&error) => Ok(None),
            found => found.map_err(FindError::Io),
        }
    }

    /// What the file at a path looks like, from what the system has in memory. `None` if it would have to ask a disk, if
    /// there is no file, and where the system cannot tell.
    #[cfg(target_os = "linux")]
    pub(crate) fn glance(&self, path: &str) -> Option<Fingerprint> {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        if self.only.is_some() || !self.may_see(path) {
            return None;
        }
        let (place, cached) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::CACHED);
        let root = openat2(CWD, &self.path, place | OFlags::DIRECTORY, Mode::empty(), cached).ok()?;
        // As in `find`, a link that leads out of the root leads nowhere.
        let beneath = cached | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(openat2(root, path, place, Mode::empty(), beneath).ok()?);
        file.metadata().ok().filter(Metadata::is_file).map(|data| Fingerprint::of(&data))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn glance(&self, _: &str) -> Option<Fingerprint> {
        None
    }

    /// At most `most` files and folders that a folder has, the folders first, in the order of their names. Links that
    /// lead out of the root, and other kinds of files, are left out.
    pub(crate) fn entries(&self, path: &str, most: usize) -> Result<Vec<Entry>, FindError> {
        let root = self.root().map_err(FindError::RootMissing)?;
        let read = |folder: &Dir| -> io::Result<Vec<Entry>> {
            let names = folder.entries()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let entry = |name: String| {
                let data = folder.metadata(&name).ok().filter(|data| data.is_dir() || data.is_file())?;
                let modified = data.modified().ok().map(|time| time.into_std());
                Some(Entry { name, len: data.is_file().then_some(data.len()), modified })
            };
            Ok(names.filter(|name| self.may_see(name)).take(most).filter_map(entry).collect())
        };
        let folder = if path.is_empty() { Ok(root) } else { root.open_dir(path) };
        let mut entries = folder.and_then(|folder| read(&folder)).map_err(FindError::Io)?;
        entries.sort_unstable_by(|a, b| (a.len.is_some(), &a.name).cmp(&(b.len.is_some(), &b.name)));
        Ok(entries)
    }

    /// The paths of all files that can be read.
    pub(crate) fn paths(&self) -> Vec<String> {
        if let Some(only) = &self.only {
            return vec![only.clone()];
        }
        let Ok(root) = self.root() else { return Vec::new() };
        let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let entries = root.read_dir(if folder.is_empty() { "." } else { &folder });
            for entry in entries.into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                match entry.file_type() {
                    // Links are not followed: a link to a parent folder would have no end.
                    Ok(kind) if kind.is_dir() && self.may_see(&path) => folders.push(path),
                    Ok(kind) if kind.is_file() && self.may_see(&path) => files.push(path),
                    _ => {}
                }
            }
        }
        files
    }

    fn root(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.path, ambient_authority())
    }

    /// Whether files at the path are published, if there are any.
    pub(crate) fn may_see(&self, path: &str) -> bool {
        path.split('/').all(|name| (self.hidden || !name.starts_with('.')) && !name.ends_with(".driblet"))
    }
}

fn find_in(root: &Dir, path: &str) -> io::Result<Option<Found>> {
    // cap-std refuses a link that leads out of the root with PermissionDenied.
    let data = root.metadata(path)?;
    if data.is_dir() {
        return Ok(Some(Found::Folder));
    }
    if !data.is_file() {
        return Ok(None);
    }
    Ok(Some(Found::File(root.open(path)?.into_std())))
}

/// Opens a regular file. Opening a pipe could wait without end.
fn open_file(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | InvalidInput | InvalidFilename)
        || error.raw_os_error() == Some(libc::ELOOP)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_in_a_circle_are_no_file() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        let source = Source::open(folder.path(), false).unwrap();
        assert!(matches!(source.find("a"), Ok(None)));
        assert!(is_absence(&io::Error::from_raw_os_error(libc::ELOOP)));
    }
}
