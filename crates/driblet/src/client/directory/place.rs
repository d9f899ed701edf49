//! Where a pull of a directory reads and writes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::atomic;
use super::error::{FolderProblem, PullDirectoryError};
use super::local::Local;
use super::options::PullDirectoryOptions;
use super::record::Record;
use super::state::StateFolder;
use super::switch;
use crate::tree::Tree;

/// Where a pull reads and writes.
pub(super) struct Place {
    pub(super) dest: PathBuf,
    pub(super) is_atomic: bool,
    /// Whether the pull made `dest`.
    pub(super) is_made: bool,
    /// `None` for a pull that changes nothing.
    pub(super) state: Option<StateFolder>,
    /// The folder that would be `state`, if there is one.
    pub(super) found: Option<PathBuf>,
    /// What a pull that changes nothing writes.
    pub(super) scratch: Option<tempfile::TempDir>,
}

impl Place {
    pub(super) fn open(dest: &Path, options: &PullDirectoryOptions) -> Result<Place, PullDirectoryError> {
        let unusable = |error| PullDirectoryError::store(format!("cannot use {}", dest.display()), error);
        let dest = &resolved(dest).map_err(unusable)?;
        let linked = atomic::linked(dest);
        let found = match fs::metadata(dest) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found.map_err(unusable)?),
        };
        let problem = match &found {
            Some(found) if !found.is_dir() => Some(FolderProblem::NotAFolder),
            Some(_) if options.atomic && linked.is_none() => Some(FolderProblem::NotALink),
            _ if !options.atomic && linked.is_some() => Some(FolderProblem::AtomicLink),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(PullDirectoryError::folder(dest, problem));
        }
        let (dest, is_atomic) = (dest.to_path_buf(), options.atomic);
        if options.dry_run {
            let scratch = Some(tempfile::tempdir().map_err(unusable)?);
            let found = StateFolder::find(&dest);
            return Ok(Place { dest, is_atomic, is_made: false, state: None, found, scratch });
        }
        if options.atomic {
            let state = StateFolder::open_beside(&dest)?;
            atomic::open(&state, &dest).map_err(unusable)?;
            return Ok(Place {
                dest,
                is_atomic,
                is_made: found.is_none(),
                state: Some(state),
                found: None,
                scratch: None,
            });
        }
        let is_made = match fs::create_dir(&dest) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            made => made.map(|()| true).map_err(unusable)?,
        };
        let state = StateFolder::open(&dest)?;
        let place = Place { dest, is_atomic, is_made, state: Some(state), found: None, scratch: None };
        place.recover()?;
        Ok(place)
    }

    /// Removes the folder that the pull made, if it is empty.
    pub(super) fn tidy(&self) {
        if let Some(state) = self.state.as_ref().filter(|_| self.is_made) {
            if self.is_atomic {
                let _ = fs::remove_dir(self.root());
            }
            state.remove_empty();
            if !state.path().exists() {
                let _ = fs::remove_dir(&self.dest);
            }
        }
    }

    /// Completes the switch of an earlier pull.
    pub(super) fn recover(&self) -> Result<(), PullDirectoryError> {
        let Some(state) = &self.state else { return Ok(()) };
        let mut tree = self.tree().map_err(|error| self.unreadable(error))?;
        switch::recover(state, &mut tree, &mut || Ok(())).map_err(|error| {
            let what = format!("cannot complete the change of {} that an earlier pull began", self.dest.display());
            PullDirectoryError::store(what, error)
        })
    }

    /// The folder that is read.
    pub(super) fn root(&self) -> PathBuf {
        match self.state.as_ref().filter(|_| self.is_atomic) {
            Some(state) => state.path().join(atomic::tree_of(&self.dest)),
            None => self.dest.clone(),
        }
    }

    pub(super) fn record(&self) -> std::io::Result<Option<Record>> {
        let Some(state) = self.state.as_ref().map(StateFolder::path).or(self.found.as_deref()) else { return Ok(None) };
        Record::load(&self.record_path(state))
    }

    /// The record of what the folder holds, in the state folder.
    pub(super) fn record_path(&self, state: &Path) -> PathBuf {
        match self.is_atomic {
            true => atomic::record(state, &atomic::tree_of(&self.dest)),
            false => state.join("record"),
        }
    }

    pub(super) fn tree(&self) -> std::io::Result<Tree> {
        Tree::open(&self.root())
    }

    /// Compares the folder with the record of the last pull.
    pub(super) fn scan(&self, record: Option<Record>) -> Result<Local, PullDirectoryError> {
        match self.tree() {
            Err(error) if error.kind() == ErrorKind::NotFound && self.state.is_none() => Ok(Local::default()),
            tree => tree.and_then(|mut tree| Local::scan(&mut tree, record)).map_err(|error| self.unreadable(error)),
        }
    }

    /// The file for the directory delta.
    pub(super) fn delta(&self) -> PathBuf {
        match (&self.state, &self.scratch) {
            (Some(state), _) => state.delta(),
            (None, Some(scratch)) => scratch.path().join("delta"),
            (None, None) => PathBuf::new(),
        }
    }

    /// Whether an earlier pull left a directory delta.
    pub(super) fn has_delta(&self) -> bool {
        let delta = self.delta();
        delta.exists() || delta.with_extension("whole").exists()
    }

    pub(super) fn forget_delta(&self) {
        let _ = fs::remove_file(self.delta());
        let _ = fs::remove_file(self.delta().with_extension("whole"));
    }

    pub(super) fn unreadable(&self, error: std::io::Error) -> PullDirectoryError {
        PullDirectoryError::store(format!("cannot use {}", self.dest.display()), error)
    }
}

/// An absolute path. The links on the way to the last name are followed, and that to a folder that no pull made.
fn resolved(dest: &Path) -> std::io::Result<PathBuf> {
    let dest: PathBuf = std::path::absolute(dest)?.components().collect();
    if atomic::linked(&dest).is_none() && dest.is_dir() {
        return dest.canonicalize();
    }
    match (dest.parent(), dest.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => Ok(dest),
    }
}
