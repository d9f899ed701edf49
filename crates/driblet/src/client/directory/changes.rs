//! What has to be changed to make the folder the new version.

use std::collections::{HashMap, HashSet};
use std::io;

use driblet_core::Version;
use driblet_core::directory::Manifest;

use super::error::{INSIDE, PathProblem, PullDirectoryError};
use super::local::{FileState, Local};
use super::names::{Filter, Selection};
use super::pulled::{Change, ChangeKind};
use crate::tree::{Tree, is_absence};

/// The changes to a folder.
#[derive(Default, Debug)]
pub(super) struct Changes {
    /// Files to write, by their index in the new manifest, and whether one stands there already.
    pub(super) placed: Vec<(u32, bool)>,
    /// Files whose executable flag is to be changed.
    pub(super) modes: Vec<u32>,
    /// Files to remove.
    pub(super) removed: Vec<String>,
    /// Files that would be removed if they had not been changed here.
    pub(super) kept: Vec<String>,
}

impl Changes {
    /// Compares the folder with the new manifest.
    pub(super) fn between(
        local: &Local,
        tree: &mut Tree,
        new: &Manifest,
        selection: &Selection,
        filter: &Filter,
        delete: bool,
    ) -> Result<Changes, PullDirectoryError> {
        let mut changes = Changes::default();
        let mut next = 0;
        for (index, entry) in new.entries().enumerate().filter(|(index, _)| selection.included[*index]) {
            match local.at_next(entry.path, &mut next) {
                Some(file) if file.version == entry.version => {
                    if file.executable != entry.executable {
                        changes.modes.push(index as u32);
                    }
                }
                _ => {
                    let stands = tree.look(entry.path).map_err(unreadable)?.is_some_and(|found| !found.is_dir());
                    changes.placed.push((index as u32, stands));
                }
            }
        }
        let is_gone = |path: &str| new.find(path).is_none() && filter.admits(path);
        for (path, state) in local.recorded().filter(|(path, _)| is_gone(path)) {
            match state {
                FileState::Unchanged { .. } => changes.removed.push(path.to_owned()),
                FileState::Changed if delete => changes.removed.push(path.to_owned()),
                FileState::Changed => changes.kept.push(path.to_owned()),
                FileState::Missing | FileState::NotOurs => {}
            }
        }
        if delete {
            let known: HashSet<&str> = changes.removed.iter().map(String::as_str).collect();
            let others = all_files(tree).map_err(unreadable)?;
            let others = others.into_iter().filter(|path| is_gone(path) && !known.contains(path.as_str()));
            let others: Vec<String> = others.collect();
            changes.removed.extend(others);
        }
        Ok(changes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.modes.is_empty() && self.removed.is_empty()
    }

    /// The versions of the files to write, without the empty one.
    pub(super) fn versions<'a>(&'a self, new: &'a Manifest) -> impl Iterator<Item = (Version, u64)> + 'a {
        let entries = self.placed.iter().map(|(index, _)| new.entry(*index as usize));
        entries.filter(|entry| entry.len != 0).map(|entry| (entry.version, entry.len))
    }

    /// Checks that each file can be written where it belongs.
    ///
    /// # Errors
    /// If a part of a path is a link, or a file that stays; if a folder that stays stands at a path.
    pub(super) fn check(&self, tree: &mut Tree, new: &Manifest) -> Result<(), PullDirectoryError> {
        let removed: HashSet<&str> = self.removed.iter().map(String::as_str).collect();
        let mut checked = "";
        for (index, _) in &self.placed {
            let path = new.entry(*index as usize).path;
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folder != checked {
                check_folders(tree, path, &removed)?;
                checked = folder;
            }
            if tree.look(path).map_err(unreadable)?.is_some_and(|found| found.is_dir()) {
                let stays = files_below(tree, path).map_err(unreadable)?;
                let stays = stays.into_iter().find(|below| !removed.contains(below.as_str()));
                if let Some(stays) = stays {
                    return Err(PullDirectoryError::path(path, PathProblem::Folder(stays)));
                }
            }
        }
        Ok(())
    }

    /// What would be changed.
    pub(super) fn list(&self, new: &Manifest) -> Vec<Change> {
        let path = |index: u32| new.entry(index as usize).path.to_owned();
        let kind = |stands: bool| if stands { ChangeKind::Replace } else { ChangeKind::Add };
        let placed = self.placed.iter().map(|(index, stands)| Change { path: path(*index), kind: kind(*stands) });
        let modes = self.modes.iter().map(|index| Change { path: path(*index), kind: ChangeKind::Mode });
        let removed = self.removed.iter().map(|path| Change { path: path.clone(), kind: ChangeKind::Remove });
        placed.chain(modes).chain(removed).collect()
    }

    /// The removed files that have to go before the others are written: those that stand where a folder must be, and
    /// those in a folder that stands where a file must be.
    pub(super) fn split_removed(&self, new: &Manifest) -> (Vec<String>, Vec<String>) {
        let removed: HashSet<&str> = self.removed.iter().map(String::as_str).collect();
        let placed: HashMap<&str, ()> =
            self.placed.iter().map(|(index, _)| (new.entry(*index as usize).path, ())).collect();
        let mut first: HashSet<&str> = HashSet::new();
        for path in placed.keys() {
            first.extend(parents(path).filter(|parent| removed.contains(parent)));
        }
        first.extend(removed.iter().filter(|path| parents(path).any(|parent| placed.contains_key(parent))));
        self.removed.iter().cloned().partition(|path| first.contains(path.as_str()))
    }
}

/// The folders that a path lies in, the longest first.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(folder, _)| folder), |folder| {
        folder.rsplit_once('/').map(|(folder, _)| folder)
    })
}

fn check_folders(tree: &mut Tree, path: &str, removed: &HashSet<&str>) -> Result<(), PullDirectoryError> {
    let mut folders: Vec<&str> = parents(path).collect();
    folders.reverse();
    for folder in folders {
        match tree.look(folder).map_err(unreadable)? {
            None => return Ok(()),
            Some(found) if found.is_dir() => {}
            Some(found) if found.is_symlink() => {
                return Err(PullDirectoryError::path(path, PathProblem::BelowLink(folder.to_owned())));
            }
            Some(_) if removed.contains(folder) => return Ok(()),
            Some(_) => return Err(PullDirectoryError::path(path, PathProblem::BelowFile(folder.to_owned()))),
        }
    }
    Ok(())
}

/// The paths of everything that is no folder, without names that are not UTF-8.
pub(super) fn all_files(tree: &mut Tree) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    walk(tree.root(), "", &mut files)?;
    Ok(files)
}

fn files_below(tree: &mut Tree, path: &str) -> io::Result<Vec<String>> {
    let (folder, name) = tree.parent(path)?;
    let mut files = Vec::new();
    match crate::tree::open_folder(folder, name, false) {
        Err(error) if is_absence(&error) => {}
        folder => walk(&folder?, path, &mut files)?,
    }
    Ok(files)
}

fn walk(folder: &cap_std::fs::Dir, path: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in folder.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if path.is_empty() && name == INSIDE {
            continue;
        }
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match entry.file_type()?.is_dir() {
            true => walk(&crate::tree::open_folder(folder, name, false)?, &below, files)?,
            false => files.push(below),
        }
    }
    Ok(())
}

fn unreadable(error: io::Error) -> PullDirectoryError {
    PullDirectoryError::store("cannot read the folder", error)
}
