//! The files as they lie on the disk now. Nothing outside the root can be reached, whatever a path or a link says.
//!
//! The root is looked up by its path for every question: a deploy may remove and make it anew, rename another folder into its place, point
//! a link elsewhere, or mount a volume over it, and the next question sees what the path leads to then.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// What is published: a folder, or one file.
pub(crate) struct Source {
    /// Absolute; its links are followed at every question.
    path: PathBuf,
    /// The name of the one file that is published, where it is not a whole folder.
    only: Option<String>,
    hidden: bool,
}

/// What a path leads to.
pub(crate) enum Found {
    File(File),
    Folder,
}

/// Why nothing can be said of a path.
#[derive(Debug)]
pub(crate) enum FindError {
    /// The root is not there, or cannot be opened.
    Away(io::Error),
    /// The path below it cannot be read.
    Io(io::Error),
}

impl Source {
    /// Checks that the root is there. `hidden` lets names that begin with a dot exist.
    pub(crate) fn open(path: &Path, hidden: bool) -> io::Result<Source> {
        // Its parts, so that one path has one spelling, with and without a slash at its end.
        let path: PathBuf = std::path::absolute(path)?.components().collect();
        if path.metadata()?.is_dir() {
            Dir::open_ambient_dir(&path, ambient_authority())?;
            return Ok(Source { path, only: None, hidden });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8"))?.to_owned();
        open_file(&path)?;
        Ok(Source { path, only: Some(name), hidden: true })
    }

    /// The root's own path, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the one file that is published.
    pub(crate) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Opens what a path of `/`-separated, decoded names leads to; `None` where nothing exists that may be seen.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Found>, FindError> {
        if let Some(only) = &self.only {
            return match path {
                path if path == only => {
                    open_file(&self.path).map(|file| Some(Found::File(file))).map_err(FindError::Away)
                }
                _ => Ok(None),
            };
        }
        if !self.may_see(path) {
            return Ok(None);
        }
        let root = self.root().map_err(FindError::Away)?;
        if path.is_empty() {
            return Ok(Some(Found::Folder));
        }
        match find_in(&root, path) {
            Err(error) if is_absence(&error) => Ok(None),
            found => found.map_err(FindError::Io),
        }
    }

    /// Every file's path, for indexing at the start; what cannot be read is left out.
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
                    // Links are left to the requests that follow them: a link to a parent has no end.
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

    fn may_see(&self, path: &str) -> bool {
        path.split('/').all(|name| (self.hidden || !name.starts_with('.')) && !name.ends_with(".driblet"))
    }
}

fn find_in(root: &Dir, path: &str) -> io::Result<Option<Found>> {
    // A link that leads out of the root is refused by cap-std with PermissionDenied.
    let data = root.metadata(path)?;
    if data.is_dir() {
        return Ok(Some(Found::Folder));
    }
    if !data.is_file() {
        return Ok(None);
    }
    Ok(Some(Found::File(root.open(path)?.into_std())))
}

/// Opens a regular file; opening anything else could wait for ever.
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
