//! The files as they lie on the disk now. Nothing outside the root can be reached, whatever a path or a link says.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// What is published: a folder, or one file.
pub(crate) struct Source {
    folder: Dir,
    path: PathBuf,
    /// The one file that is published, where it is not the whole folder.
    only: Option<String>,
    hidden: bool,
}

/// What a path leads to.
pub(crate) enum Found {
    File(File),
    Folder,
}

impl Source {
    /// Opens the root. `hidden` lets names that begin with a dot exist.
    pub(crate) fn open(path: &Path, hidden: bool) -> io::Result<Source> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            return Ok(Source { folder: Dir::open_ambient_dir(&path, ambient_authority())?, path, only: None, hidden });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8"))?.to_owned();
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = Dir::open_ambient_dir(parent, ambient_authority())?;
        folder.open(&name)?;
        Ok(Source { folder, only: Some(name), path, hidden: true })
    }

    /// The root's own path, with links resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the one file that is published.
    pub(crate) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Opens what a path of `/`-separated, decoded names leads to; `None` where nothing exists that may be seen.
    pub(crate) fn find(&self, path: &str) -> io::Result<Option<Found>> {
        if self.only.as_deref().is_some_and(|only| only != path) || !self.may_see(path) {
            return Ok(None);
        }
        if path.is_empty() {
            return Ok(Some(Found::Folder));
        }
        // A link that leads out of the root is refused by cap-std with PermissionDenied.
        let data = match self.folder.metadata(path) {
            Ok(data) => data,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if data.is_dir() {
            return Ok(Some(Found::Folder));
        }
        if !data.is_file() {
            return Ok(None);
        }
        match self.folder.open(path) {
            Ok(file) => Ok(Some(Found::File(file.into_std()))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every file's path, for indexing at the start; what cannot be read is left out.
    pub(crate) fn paths(&self) -> Vec<String> {
        if let Some(only) = &self.only {
            return vec![only.clone()];
        }
        let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let entries = self.folder.read_dir(if folder.is_empty() { "." } else { &folder });
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

    fn may_see(&self, path: &str) -> bool {
        path.split('/').all(|name| (self.hidden || !name.starts_with('.')) && !name.ends_with(".driblet"))
    }
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | InvalidInput | InvalidFilename)
        || error.raw_os_error() == Some(40)
}
