//! The folder with what driblet keeps for a pulled folder.
//!
//! ```text
//! lock                 held while a pull runs
//! record               what the last pull wrote: URL, manifest, fingerprints
//! journal              a switch that has begun
//! delta                the directory delta of a pull that was cut off, without its parts
//! staging/<version>    a new file
//! parts/<name>         the bytes of a part that was cut off
//! ```
//! It is `.NAME.driblet` beside the pulled folder `NAME`. If no folder can be made there, or if that is another file
//! system, it is `.driblet` in the pulled folder.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use driblet_core::Version;
use rustix::fs::{FlockOperation, flock};

use super::error::{FolderProblem, INSIDE, PullDirectoryError};

/// The longest name of a folder that becomes part of the name of its state.
const MAX_NAME: usize = 200;

/// The open folder. While it exists, no other pull opens it.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Opens or makes the folder for a pulled folder that exists.
    pub(super) fn open(dest: &Path) -> Result<StateFolder, PullDirectoryError> {
        let path = match Self::beside(dest) {
            Some(path) if is_on_same_device(dest) && make(&path).is_ok() => path,
            _ => {
                let path = dest.join(INSIDE);
                make(&path).map_err(|error| unmade(&path, error))?;
                path
            }
        };
        Self::lock(path, dest)
    }

    /// Opens or makes the folder beside a path, which may not exist.
    pub(super) fn open_beside(dest: &Path) -> Result<StateFolder, PullDirectoryError> {
        let path = Self::beside(dest).filter(|path| make(path).is_ok());
        let path = path.ok_or_else(|| PullDirectoryError::folder(dest, FolderProblem::NoRoomBeside))?;
        Self::lock(path, dest)
    }

    fn lock(path: PathBuf, dest: &Path) -> Result<StateFolder, PullDirectoryError> {
        let found = fs::symlink_metadata(&path).map_err(|error| unmade(&path, error))?;
        let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || found.mode() & 0o022 != 0 {
            return Err(PullDirectoryError::folder(dest, FolderProblem::Foreign(path)));
        }
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"));
        let lock = lock.map_err(|error| unmade(&path, error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(PullDirectoryError::folder(dest, FolderProblem::Busy));
        }
        let state = StateFolder { path, _lock: lock };
        for folder in [state.staging(), state.parts()] {
            make_private(&folder).map_err(|error| unmade(&folder, error))?;
        }
        Ok(state)
    }

    /// The folder of a pulled folder, if it exists. Nothing is made, and it is not locked.
    pub(super) fn find(dest: &Path) -> Option<PathBuf> {
        let candidates = [Self::beside(dest), Some(dest.join(INSIDE))];
        candidates.into_iter().flatten().find(|path| path.is_dir())
    }

    /// The path of the folder beside a pulled folder.
    pub(super) fn beside(dest: &Path) -> Option<PathBuf> {
        let name = dest.file_name()?;
        let name = match name.len() <= MAX_NAME {
            true => name.to_owned(),
            false => Version::of(name.as_encoded_bytes()).to_string()[..32].into(),
        };
        let mut whole = std::ffi::OsString::from(".");
        whole.push(name);
        whole.push(".driblet");
        Some(dest.with_file_name(whole))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder, if nothing is kept in it.
    pub(super) fn remove_empty(&self) {
        let is_empty = [self.staging(), self.parts()].iter().all(|folder| fs::remove_dir(folder).is_ok());
        let is_empty = is_empty && fs::read_dir(&self.path).is_ok_and(|entries| entries.count() == 1);
        if is_empty {
            let _ = fs::remove_file(self.path.join("lock"));
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Removes what a pull that is complete needs no more.
    pub(super) fn clear(&self) -> io::Result<()> {
        for folder in [self.staging(), self.parts()] {
            for entry in fs::read_dir(&folder)? {
                fs::remove_file(entry?.path())?;
            }
        }
        for file in [self.delta(), self.delta().with_extension("whole")] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn record(&self) -> PathBuf {
        self.path.join("record")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(super) fn delta(&self) -> PathBuf {
        self.path.join("delta")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.path.join("staging")
    }

    pub(super) fn parts(&self) -> PathBuf {
        self.path.join("parts")
    }
}

fn make(path: &Path) -> io::Result<()> {
    // Other users may read it: an atomic pull keeps the tree there that the link leads to.
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        }
        made => made,
    }
}

fn is_on_same_device(dest: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    dest.parent().is_some_and(|parent| device(parent) == device(dest))
}

fn unmade(path: &Path, error: io::Error) -> PullDirectoryError {
    PullDirectoryError::store(format!("cannot use {}", path.display()), error)
}
