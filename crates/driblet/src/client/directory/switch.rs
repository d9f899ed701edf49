//! Makes the folder the new version, once all new files are staged.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};
use driblet_core::Version;
use driblet_core::directory::Manifest;

use super::changes::Changes;
use super::journal::{Journal, Step, Steps};
use super::local::Local;
use super::names::Selection;
use super::record::Record;
use super::sealed;
use super::staging::{Staging, with_executable};
use super::state::StateFolder;
use crate::fingerprint::Fingerprint;
use crate::tree::Tree;

/// What a switch leads to, and what it needs.
#[derive(Clone, Copy)]
pub(super) struct SwitchPlan<'a> {
    pub(super) state: &'a StateFolder,
    /// What the folder holds before.
    pub(super) local: &'a Local,
    pub(super) new: &'a Arc<Manifest>,
    pub(super) selection: &'a Selection,
    pub(super) changes: &'a Changes,
    /// The URL of the directory.
    pub(super) url: &'a str,
}

/// Gives each file to write its staging file, and switches.
pub(super) fn switch(plan: &SwitchPlan<'_>, tree: &mut Tree, step: Step<'_>) -> io::Result<()> {
    let SwitchPlan { state, local, new, selection, changes, url } = *plan;
    let staging = Staging::at(state.staging());
    let (first, removed) = changes.split_removed(new);
    let omitted = selection.included.iter().enumerate().filter(|(_, included)| !**included);
    let mut steps = Steps {
        url: url.to_owned(),
        first,
        placed: Vec::with_capacity(changes.placed.len()),
        modes: changes.modes.clone(),
        removed,
        omitted: omitted.map(|(index, _)| index as u32).collect(),
    };
    step()?;
    prepare(plan, tree, &mut steps, true)?;
    step()?;
    staging.flush()?;
    step()?;
    let journal = Journal { steps, manifest: new.clone() };
    journal.save(&state.journal())?;
    let known =
        |path: &str, version: &Version| local.at(path).filter(|file| file.version == *version).map(|file| file.stamp);
    finish(state, tree, journal, &known, step)
}

/// Completes a switch that was begun.
pub(super) fn recover(state: &StateFolder, tree: &mut Tree, step: Step<'_>) -> io::Result<()> {
    let Some(journal) = Journal::load(&state.journal())? else { return Ok(()) };
    let record = Record::load(&state.record())?;
    let known = |path: &str, version: &Version| -> Option<Fingerprint> {
        let record = record.as_ref()?;
        let index = record.manifest.find(path)?;
        let is_same = record.manifest.entry(index).version == *version && record.is_ours(index);
        is_same.then(|| record.stamps[index])
    };
    finish(state, tree, journal, &known, step)
}

fn finish(
    state: &StateFolder,
    tree: &mut Tree,
    journal: Journal,
    known: &dyn Fn(&str, &Version) -> Option<Fingerprint>,
    step: Step<'_>,
) -> io::Result<()> {
    let url = journal.steps.url.clone();
    let record = journal.replay(tree, &Staging::at(state.staging()), known, step)?;
    step()?;
    record.save(&state.record(), &url)?;
    step()?;
    sealed::remove(&state.journal())?;
    step()
}

/// Makes a staging file for each file to write that has none: from a held file, or from another staging file.
pub(super) fn prepare(
    &SwitchPlan { state, local, new, changes, .. }: &SwitchPlan<'_>,
    tree: &mut Tree,
    steps: &mut Steps,
    may_link: bool,
) -> io::Result<()> {
    let staging = Staging::at(state.staging());
    let removed: HashSet<&str> = changes.removed.iter().map(String::as_str).collect();
    let folder = Dir::open_ambient_dir(staging.folder(), ambient_authority())?;
    let mut named: HashSet<Version> = HashSet::new();
    for (index, _) in &changes.placed {
        let entry = new.entry(*index as usize);
        let is_own = !named.insert(entry.version);
        let name = Journal::staged_name(new, *index, is_own);
        let mut is_linked = false;
        let received = if is_own { None } else { folder.symlink_metadata(&name).ok() };
        if received.is_some() {
            // Nothing is left to do.
        } else if entry.len == 0 {
            staging.create(&name)?;
        } else if is_own {
            let first = staging.path(&entry.version.to_string());
            staging.copy(&mut File::open(first)?, &entry.version, &name)?;
        } else {
            let path = local.path_of(&entry.version).ok_or(io::ErrorKind::NotFound)?;
            // A file that moves keeps its blocks. A copy that stays must not share them: programs write in place.
            is_linked = may_link && removed.contains(path) && link(tree, path, &folder, &name).is_ok();
            if !is_linked {
                staging.copy(&mut tree.file(path)?, &entry.version, &name)?;
            }
        }
        let mode = received.map(|found| found.mode() & 0o7777);
        if is_linked {
            // The old path has the file too until the switch.
            steps.modes.push(*index);
        } else if mode.is_none_or(|mode| with_executable(mode, entry.executable) != mode) {
            staging.set_executable(&name, entry.executable)?;
        }
        steps.placed.push((*index, is_own));
    }
    Ok(())
}

fn link(tree: &mut Tree, path: &str, folder: &Dir, name: &str) -> io::Result<()> {
    let (from, file) = tree.parent(path)?;
    from.hard_link(file, folder, name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use driblet_core::directory::FileEntry;

    use super::*;
    use crate::client::directory::PullDirectoryOptions;
    use crate::client::directory::names::Filter;

    type Files = BTreeMap<String, (String, bool)>;

    fn files(list: &[(&str, &str, bool)]) -> Files {
        list.iter().map(|(path, text, executable)| ((*path).into(), ((*text).into(), *executable))).collect()
    }

    fn manifest(files: &Files) -> Arc<Manifest> {
        let entries = files.iter().map(|(path, (text, executable))| FileEntry {
            path: path.clone(),
            executable: *executable,
            len: text.len() as u64,
            version: Version::of(text.as_bytes()),
        });
        Arc::new(Manifest::new(entries.collect()).unwrap())
    }

    fn held(folder: &Path) -> Files {
        let mut held = Files::new();
        let mut tree = Tree::open(folder).unwrap();
        for path in crate::client::directory::changes::all_files(&mut tree).unwrap() {
            let at = folder.join(&path);
            let executable = at.metadata().unwrap().permissions().mode() & 0o100 != 0;
            held.insert(path, (fs::read_to_string(at).unwrap(), executable));
        }
        held
    }

    /// Switches to new files, and stops before step `stop`. Gives whether all steps were done.
    fn switch_to(state: &StateFolder, folder: &Path, new: &Files, stop: usize) -> bool {
        let mut tree = Tree::open(folder).unwrap();
        let mut local = Local::scan(&mut tree, Record::load(&state.record()).unwrap()).unwrap();
        let manifest = manifest(new);
        let filter = Filter::new(&PullDirectoryOptions::default()).unwrap();
        let selection = filter.select(&manifest).unwrap();
        local.read_at_paths(&mut tree, &manifest, &selection).unwrap();
        let changes = Changes::between(&local, &mut tree, &manifest, &selection, &filter, false).unwrap();
        changes.check(&mut tree, &manifest).unwrap();
        for (text, _) in new.values().filter(|(text, _)| !text.is_empty()) {
            let version = Version::of(text.as_bytes());
            if local.path_of(&version).is_none() {
                let staged = state.staging().join(version.to_string());
                fs::write(&staged, text).unwrap();
                fs::set_permissions(staged, fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
        let mut steps = 0;
        let mut step = || {
            steps += 1;
            if stop < steps { Err(io::Error::other("stopped")) } else { Ok(()) }
        };
        let (new, selection, changes, url) = (&manifest, &selection, &changes, "http://host/app/");
        let plan = SwitchPlan { state, local: &local, new, selection, changes, url };
        switch(&plan, &mut tree, &mut step).is_ok()
    }

    /// Whether each file is as in one of both versions.
    fn is_old_or_new(found: &Files, old: &Files, new: &Files) -> bool {
        let paths = found.keys().chain(old.keys()).chain(new.keys());
        // The flag of a file that moved is set after the file has its place.
        let text = |files: &Files, path: &String| files.get(path).map(|(text, _)| text.clone());
        paths.into_iter().all(|path| [old, new].iter().any(|files| text(files, path) == text(found, path)))
    }

    #[test]
    fn a_switch_that_is_stopped_anywhere_is_completed() {
        let old = files(&[
            ("a", "one", false),
            ("becomes-file/deep/x", "x", false),
            ("becomes-folder", "y", false),
            ("changed", "before", false),
            ("gone/deep/z", "z", false),
            ("mode", "mode", false),
            ("moved", "moved", false),
            ("same", "same", true),
        ]);
        let new = files(&[
            ("a", "two", true),
            ("b", "two", false),
            ("becomes-file", "x now", false),
            ("becomes-folder/y", "y now", false),
            ("changed", "after", false),
            ("empty", "", false),
            ("mode", "mode", true),
            ("new/deep/moved", "moved", true),
            ("new/deep/moved2", "moved", false),
            ("same", "same", true),
        ]);
        let mut stops = 0;
        loop {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("app");
            fs::create_dir(&folder).unwrap();
            let state = StateFolder::open(&folder).unwrap();
            assert!(switch_to(&state, &folder, &old, usize::MAX));
            assert_eq!(held(&folder), old);
            let is_complete = switch_to(&state, &folder, &new, stops);
            assert!(is_old_or_new(&held(&folder), &old, &new), "{stops}: {:?}", held(&folder));
            let recorded = Record::load(&state.record()).unwrap().unwrap().manifest;
            let has_begun = state.journal().exists() || recorded == manifest(&new);
            let mut tree = Tree::open(&folder).unwrap();
            // The next pull is stopped too, and then the one after it completes the switch.
            for again in 0..3 {
                let mut left = 3 * again;
                let stopped = &mut || {
                    left -= 1;
                    if left < 0 { Err(io::Error::other("stopped")) } else { Ok(()) }
                };
                let _ = recover(&state, &mut tree, stopped);
                assert!(is_old_or_new(&held(&folder), &old, &new), "{stops}: {:?}", held(&folder));
            }
            recover(&state, &mut tree, &mut || Ok(())).unwrap();
            assert_eq!(held(&folder), if has_begun { new.clone() } else { old.clone() }, "{stops}");
            assert!(!state.journal().exists());
            // The record is right, so the next pull has nothing to do after its own switch.
            assert!(switch_to(&state, &folder, &new, usize::MAX));
            assert_eq!(held(&folder), new, "{stops}");
            assert!(!folder.join("gone").exists());
            let record = Record::load(&state.record()).unwrap().unwrap();
            assert!(record.manifest == manifest(&new) && (0..record.manifest.len()).all(|index| record.is_ours(index)));
            if is_complete {
                break;
            }
            stops += 1;
        }
        assert!(20 <= stops, "{stops} steps");
    }
}
