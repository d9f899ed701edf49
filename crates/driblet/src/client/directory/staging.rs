//! New files that are not in their places yet.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use driblet_core::Version;

use crate::disk::{copy_version, flush_all, hash, remove};

/// Up to this many files are flushed one by one. For more, the whole file system is flushed once.
pub(super) const FEW: usize = 8;

/// The folder with the new files. Each is named by its version.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    folder: PathBuf,
}

impl Staging {
    pub(super) fn at(folder: PathBuf) -> Staging {
        Staging { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The needed versions that an earlier pull staged. They are verified, since that pull did not flush them. All
    /// other files are removed.
    pub(super) fn keep(&self, needed: &HashSet<Version>) -> io::Result<HashSet<Version>> {
        let mut kept = HashSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let version = entry.file_name().to_str().and_then(|name| name.parse::<Version>().ok());
            match version.filter(|version| needed.contains(version)) {
                Some(version) if hash(&mut File::open(entry.path())?)?.0 == version => {
                    kept.insert(version);
                }
                _ => remove(&entry.path())?,
            }
        }
        Ok(kept)
    }

    /// Makes a new, empty file.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let path = self.path(name);
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                remove(&path)?;
                create()
            }
            created => created,
        }
    }

    /// Copies a file, as a reference to the same blocks where the file system can do that. Fails if the file has
    /// another version.
    pub(super) fn copy(&self, from: &mut File, version: &Version, name: &str) -> io::Result<()> {
        copy_version(from, &mut self.create(name)?, version)
    }

    /// Sets whether a file may be executed, by all who may read it.
    pub(super) fn set_executable(&self, name: &str, executable: bool) -> io::Result<()> {
        let path = self.path(name);
        let mode = fs::metadata(&path)?.permissions().mode();
        let wanted = with_executable(mode, executable);
        if wanted != mode { fs::set_permissions(path, Permissions::from_mode(wanted)) } else { Ok(()) }
    }

    /// Makes all files durable.
    pub(super) fn flush(&self) -> io::Result<()> {
        let names = fs::read_dir(&self.folder)?.map(|entry| entry.map(|entry| entry.path()));
        let paths = names.collect::<io::Result<Vec<PathBuf>>>()?;
        let folder = File::open(&self.folder)?;
        if cfg!(target_os = "linux") && FEW < paths.len() {
            return flush_all(&folder);
        }
        paths.iter().try_for_each(|path| File::open(path)?.sync_all())?;
        folder.sync_all()
    }
}

/// The permissions of a file that may be executed by all who may read it, or by nobody.
pub(super) fn with_executable(mode: u32, executable: bool) -> u32 {
    if executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 }
}
