//! A folder that is a symbolic link to a tree, and is switched by replacing the link.
//!
//! The trees lie in `.NAME.driblet`, each beside its record. The new tree is made whole and durable before the link leads
//! to it, so nothing is left to complete if the process ends in between: the next pull removes the tree that has no
//! link.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use driblet_core::directory::Manifest;

use super::changes::Changes;
use super::error::{FolderProblem, PullDirectoryError};
use super::journal::{Journal, Step, Steps};
use super::local::Local;
use super::names::Selection;
use super::record::{Record, UNKNOWN};
use super::staging::Staging;
use super::state::StateFolder;
use super::switch::{SwitchPlan, prepare};
use crate::disk::flush_all;
use crate::fingerprint::{self, Fingerprint};
use crate::tree::{Tree, files_and_links, fingerprint_of};

/// The tree of a pull that found none.
const EMPTY: &str = "empty";
/// The end of the name of a tree that is not complete.
const NEW: &str = ".incomplete";

/// The name of the tree that a link leads to, if an atomic pull made the link.
pub(super) fn linked(dest: &Path) -> Option<String> {
    let target = fs::read_link(dest).ok()?;
    let is_ours = target.parent()? == Path::new(StateFolder::beside(dest)?.file_name()?);
    target.file_name().filter(|_| is_ours)?.to_str().map(str::to_owned)
}

/// The name of the tree that is read: that of the link, or an empty one.
pub(super) fn tree_of(dest: &Path) -> String {
    linked(dest).unwrap_or_else(|| EMPTY.to_owned())
}

/// Makes the empty tree if it is needed, and removes the trees that are not.
pub(super) fn open(state: &StateFolder, dest: &Path) -> io::Result<()> {
    let name = tree_of(dest);
    remove_others(state, &name)?;
    if name == EMPTY {
        fs::create_dir_all(state.path().join(&name))?;
    }
    Ok(())
}

/// The record of a tree.
pub(super) fn record(state: &Path, tree: &str) -> PathBuf {
    state.join(format!("{tree}.record"))
}

/// Files of the tree that no pull wrote and that cannot be carried over.
pub(super) fn check(tree: &mut Tree, dest: &Path) -> Result<(), PullDirectoryError> {
    let found = files_and_links(tree).map_err(|error| PullDirectoryError::store("cannot read the folder", error))?;
    match found.special {
        Some(path) => Err(PullDirectoryError::folder(dest, FolderProblem::Special(path))),
        None => Ok(()),
    }
}

/// Makes the new tree, and has the link lead to it.
pub(super) fn switch(plan: &SwitchPlan<'_>, dest: &Path, old: &mut Tree, step: Step<'_>) -> io::Result<()> {
    let SwitchPlan { state, local, new, selection, changes, url } = *plan;
    let staging = Staging::at(state.staging());
    let mut steps = Steps::default();
    step()?;
    prepare(plan, old, &mut steps, false)?;
    step()?;
    let name = free_name(state, &new.version().to_string());
    let unfinished = state.path().join(format!("{name}{NEW}"));
    fs::create_dir(&unfinished)?;
    let mut tree = Tree::open(&unfinished)?;
    let staged = Dir::open_ambient_dir(staging.folder(), cap_std::ambient_authority())?;
    for (index, is_own) in &steps.placed {
        step()?;
        let path = new.entry(*index as usize).path;
        let (folder, place) = tree.made_parent(path)?;
        staged.rename(Journal::staged_name(new, *index, *is_own), folder, place)?;
    }
    let modes: HashSet<u32> = changes.modes.iter().copied().collect();
    let placed: HashSet<u32> = changes.placed.iter().map(|(index, _)| *index).collect();
    for (index, entry) in new.entries().enumerate().filter(|(index, _)| selection.included[*index]) {
        let index = index as u32;
        if placed.contains(&index) {
            continue;
        }
        step()?;
        if modes.contains(&index) {
            // The old tree keeps its flag.
            let name = format!("{}.{index}", entry.version);
            staging.copy(&mut old.file(entry.path)?, &entry.version, &name)?;
            staging.set_executable(&name, entry.executable)?;
            let (folder, place) = tree.made_parent(entry.path)?;
            staged.rename(name, folder, place)?;
        } else {
            link(old, &mut tree, entry.path)?;
        }
    }
    carry_over(old, &mut tree, new, selection, changes, step)?;
    step()?;
    flush_all(&File::open(&unfinished)?)?;
    step()?;
    let stamps = stamps(&mut tree, new, selection, local)?;
    let taken = fingerprint::now();
    Record { manifest: new.clone(), stamps, taken }.save(&record(state.path(), &name), url)?;
    step()?;
    fs::rename(&unfinished, state.path().join(&name))?;
    let (link, place) = (state.path().join("link.new"), StateFolder::beside(dest).ok_or(ErrorKind::InvalidInput)?);
    let _ = fs::remove_file(&link);
    symlink(Path::new(place.file_name().ok_or(ErrorKind::InvalidInput)?).join(&name), &link)?;
    File::open(state.path())?.sync_all()?;
    step()?;
    fs::rename(&link, dest)?;
    if let Some(parent) = dest.parent() {
        File::open(parent)?.sync_all()?;
    }
    step()?;
    remove_others(state, &name)
}

/// Gives the new tree everything of the old one that no pull wrote, or that was changed.
fn carry_over(
    old: &mut Tree,
    tree: &mut Tree,
    new: &Manifest,
    selection: &Selection,
    changes: &Changes,
    step: Step<'_>,
) -> io::Result<()> {
    let removed: HashSet<&str> = changes.removed.iter().map(String::as_str).collect();
    let is_written = |path: &str| new.find(path).is_some_and(|index| selection.included[index]);
    let found = files_and_links(old)?;
    for path in found.files.iter().filter(|path| !is_written(path) && !removed.contains(path.as_str())) {
        step()?;
        link(old, tree, path)?;
    }
    for path in found.links.iter().filter(|path| !is_written(path) && !removed.contains(path.as_str())) {
        step()?;
        let (folder, name) = old.parent(path)?;
        let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
        let (folder, name) = tree.made_parent(path)?;
        rustix::fs::symlinkat(&*target, folder, name)?;
    }
    Ok(())
}

/// Gives a file of the old tree a second name in the new one.
fn link(old: &mut Tree, tree: &mut Tree, path: &str) -> io::Result<()> {
    let (from, name) = old.parent(path)?;
    let (folder, place) = tree.made_parent(path)?;
    from.hard_link(name, folder, place)
}

fn stamps(tree: &mut Tree, new: &Manifest, selection: &Selection, local: &Local) -> io::Result<Vec<Fingerprint>> {
    let mut stamps = Vec::with_capacity(new.len());
    for (entry, included) in new.entries().zip(&selection.included) {
        if !included {
            stamps.push(Fingerprint::NONE);
            continue;
        }
        let found = tree.look(entry.path)?.map(|found| fingerprint_of(&found));
        // A second name changes the time of the last change of the metadata, and nothing else.
        let held = local.at(entry.path).filter(|file| file.version == entry.version).map(|file| file.stamp);
        let is_unchanged = |found: &Fingerprint| {
            held.is_none_or(|held| found.inode != held.inode || Fingerprint { changed: held.changed, ..*found } == held)
        };
        stamps.push(found.filter(is_unchanged).unwrap_or(UNKNOWN));
    }
    Ok(stamps)
}

/// A name for a tree that no tree has.
fn free_name(state: &StateFolder, version: &str) -> String {
    let names = std::iter::once(version.to_owned()).chain((1..).map(|number| format!("{version}.{number}")));
    let mut free = names.skip_while(|name| state.path().join(name).exists());
    free.next().unwrap_or_default()
}

/// Removes all trees but one, and their records.
fn remove_others(state: &StateFolder, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(state.path())? {
        let entry = entry?;
        let found = entry.file_name();
        let found = found.to_str().unwrap_or_default();
        // Trees and records begin with a version, other files do not.
        let is_version = found.get(..64).is_some_and(|start| start.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !(is_version || found == EMPTY) || found == name || found.strip_suffix(".record") == Some(name) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use driblet_core::Version;
    use driblet_core::directory::FileEntry;

    use super::*;
    use crate::client::directory::PullDirectoryOptions;
    use crate::client::directory::names::Filter;

    fn manifest(files: &[(&str, &str)]) -> Arc<Manifest> {
        let entry = |(path, text): &(&str, &str)| FileEntry {
            path: (*path).to_owned(),
            executable: false,
            len: text.len() as u64,
            version: Version::of(text.as_bytes()),
        };
        Arc::new(Manifest::new(files.iter().map(entry).collect()).unwrap())
    }

    fn held(dest: &Path) -> Vec<(String, String)> {
        let Ok(tree) = Tree::open(dest) else { return Vec::new() };
        let paths = files_and_links(&tree).unwrap().files;
        let mut held: Vec<_> =
            paths.into_iter().map(|path| (path.clone(), fs::read_to_string(dest.join(path)).unwrap())).collect();
        held.sort();
        held
    }

    /// Switches to new files, and stops before step `stop`. Gives whether all steps were done.
    fn switch_to(state: &StateFolder, dest: &Path, files: &[(&str, &str)], stop: usize) -> bool {
        open(state, dest).unwrap();
        let name = tree_of(dest);
        let mut tree = Tree::open(&state.path().join(&name)).unwrap();
        let record = Record::load(&record(state.path(), &name)).unwrap();
        let local = Local::scan(&mut tree, record).unwrap();
        let new = manifest(files);
        let filter = Filter::new(&PullDirectoryOptions::default()).unwrap();
        let selection = filter.select(&new).unwrap();
        let changes = Changes::between(&local, &mut tree, &new, &selection, &filter, false).unwrap();
        let missing = files.iter().filter(|(_, text)| local.path_of(&Version::of(text.as_bytes())).is_none());
        for (_, text) in missing {
            fs::write(state.staging().join(Version::of(text.as_bytes()).to_string()), text).unwrap();
        }
        let mut steps = 0;
        let mut step = || {
            steps += 1;
            if stop < steps { Err(io::Error::other("stopped")) } else { Ok(()) }
        };
        let (new, selection, changes, url) = (&new, &selection, &changes, "http://host/app/");
        let plan = SwitchPlan { state, local: &local, new, selection, changes, url };
        switch(&plan, dest, &mut tree, &mut step).is_ok()
    }

    #[test]
    fn a_switch_that_is_stopped_anywhere_leaves_one_of_both_trees() {
        let old = [("a", "one"), ("b/c", "same"), ("gone", "gone"), ("moved", "moved")];
        let new = [("a", "two"), ("b/c", "same"), ("b/d", "two"), ("here/moved", "moved")];
        let owned = |files: &[(&str, &str)]| -> Vec<(String, String)> {
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
        };
        let mut stops = 0;
        loop {
            let place = tempfile::tempdir().unwrap();
            let dest = place.path().join("app");
            let state = StateFolder::open_beside(&dest).unwrap();
            // A first switch that is stopped leaves nothing or all.
            switch_to(&state, &dest, &old, stops);
            assert!(held(&dest).is_empty() || held(&dest) == owned(&old), "{stops}");
            assert!(switch_to(&state, &dest, &old, usize::MAX));
            let is_complete = switch_to(&state, &dest, &new, stops);
            assert!(held(&dest) == owned(&old) || held(&dest) == owned(&new), "{stops}: {:?}", held(&dest));
            assert!(switch_to(&state, &dest, &new, usize::MAX));
            assert_eq!(held(&dest), owned(&new), "{stops}");
            // The lock, two folders, the tree and its record.
            assert_eq!(fs::read_dir(state.path()).unwrap().count(), 5, "{stops}");
            if is_complete {
                break;
            }
            stops += 1;
        }
        assert!(10 <= stops, "{stops} steps");
    }
}
