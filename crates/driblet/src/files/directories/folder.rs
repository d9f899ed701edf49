use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use driblet_core::Version;
use driblet_core::directory::{FileEntry, Manifest};

use super::error::DirectoryError;
use super::options::DirectoryOptions;
use crate::client::PatternError;
use crate::disk::hash;
use crate::files::{FileError, Input};
use crate::walk::{Listing, WalkRules};

/// A file that does not belong to a directory, although no option leaves it out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LeftOut {
    /// The path.
    pub path: PathBuf,
    /// Why the directory cannot have it.
    pub reason: &'static str,
}

/// A folder whose files were read.
pub(super) struct Folder {
    /// As it was given.
    name: PathBuf,
    /// Absolute, since patterns are compared with the paths below it.
    path: PathBuf,
    root: Dir,
    rules: WalkRules,
    listing: Listing,
    pub(super) manifest: Arc<Manifest>,
    by_version: HashMap<Version, usize>,
}

impl Folder {
    /// Lists a folder, and reads all files.
    pub(super) fn read(name: &Path, options: &DirectoryOptions) -> Result<Folder, DirectoryError> {
        let unread = |error| FileError::read(&Input::at(name), error);
        let path = name.canonicalize().map_err(unread)?;
        if !path.is_dir() {
            let what = "it is a file; name two folders, or two files";
            return Err(unread(io::Error::new(ErrorKind::NotADirectory, what)).into());
        }
        let rules = WalkRules::new(&path, options.hidden, &options.exclude);
        let rules = rules.map_err(|error| DirectoryError::Pattern(PatternError(error)))?;
        let root = Dir::open_ambient_dir(&path, ambient_authority()).map_err(unread)?;
        let listing = Listing::of(&path, &rules).map_err(unread)?;
        let mut files = Vec::with_capacity(listing.files.len());
        for file in &listing.files {
            let read = open(&root, &file.path).and_then(|mut open| hash(&mut open));
            let (version, len) = read.map_err(|error| FileError::read(&Input::at(name.join(&file.path)), error))?;
            files.push(FileEntry { path: file.path.clone(), executable: file.executable, len, version });
        }
        let manifest =
            Manifest::new(files).map_err(|source| DirectoryError::Manifest { folder: name.to_path_buf(), source })?;
        let by_version = manifest.entries().enumerate().map(|(index, entry)| (entry.version, index)).collect();
        Ok(Folder { name: name.to_path_buf(), path, root, rules, listing, manifest: Arc::new(manifest), by_version })
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn left_out(&self) -> impl Iterator<Item = LeftOut> {
        self.listing.left_out.iter().map(|(path, reason)| LeftOut { path: path.clone(), reason })
    }

    /// The index of a file with this version.
    pub(super) fn find(&self, version: &Version) -> Option<usize> {
        self.by_version.get(version).copied()
    }

    /// The place of a file.
    pub(super) fn place(&self, index: usize) -> PathBuf {
        self.name.join(self.manifest.entry(index).path)
    }

    /// Opens a file.
    pub(super) fn open(&self, index: usize) -> io::Result<File> {
        open(&self.root, self.manifest.entry(index).path)
    }

    /// Whether a file was made, changed or removed since the folder was listed.
    pub(super) fn has_changed(&self) -> bool {
        Listing::of(&self.path, &self.rules).is_ok_and(|listing| listing != self.listing)
    }
}

/// Opens a regular file. Links are followed within the folder.
fn open(root: &Dir, path: &str) -> io::Result<File> {
    // Opening a pipe could wait without end.
    if !root.metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no longer a regular file"));
    }
    Ok(root.open(path)?.into_std())
}
