//! Makes the folder the new version, once all new files are staged.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use driblet_core::Version;
use driblet_core::directory::Manifest;

use super::changes::Changes;
use super::journal::{Journal, Step, Steps};
use super::local::Local;
use super::names::Selection;
use super::record::Record;
use super::sealed;
use super::staging::Staging;
use super::state::StateFolder;
use super::tree::Tree;
use crate::fingerprint::Fingerprint;

/// Gives each file to write its staging file, and switches.
pub(super) fn switch(
    state: &StateFolder,
    tree: &mut Tree,
    local: &Local,
    (new, selection): (&Arc<Manifest>, &Selection),
    changes: &Changes,
    url: &str,
    step: Step<'_>,
) -> io::Result<()> {
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
    prepare(tree, &staging, local, new, changes, &mut steps)?;
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
fn prepare(
    tree: &mut Tree,
    staging: &Staging,
    local: &Local,
    new: &Manifest,
    changes: &Changes,
    steps: &mut Steps,
) -> io::Result<()> {
    let removed: HashSet<&str> = changes.removed.iter().map(String::as_str).collect();
    let folder = Dir::open_ambient_dir(staging.folder(), ambient_authority())?;
    let mut named: HashSet<Version> = HashSet::new();
    for (index, _) in &changes.placed {
        let entry = new.entry(*index as usize);
        let is_own = !named.insert(entry.version);
        let name = Journal::staged_name(new, *index, is_own);
        let mut is_linked = false;
        if !is_own && folder.symlink_metadata(&name).is_ok() {
            // It was received.
        } else if entry.len == 0 {
            staging.create(&name)?;
        } else if is_own {
            let first = staging.path(&entry.version.to_string());
            staging.copy(&mut File::open(first)?, &entry.version, &name)?;
        } else {
            let path = local.path_of(&entry.version).ok_or(io::ErrorKind::NotFound)?;
            // A file that moves keeps its blocks. A copy that stays must not share them: programs write in place.
            is_linked = removed.contains(path) && link(tree, path, &folder, &name).is_ok();
            if !is_linked {
                staging.copy(&mut tree.file(path)?, &entry.version, &name)?;
            }
        }
        match is_linked {
            // The old path has the file too until the switch.
            true => steps.modes.push(*index),
            false => staging.set_executable(&name, entry.executable)?,
        }
        steps.placed.push((*index, is_own));
    }
    Ok(())
}

fn link(tree: &mut Tree, path: &str, folder: &Dir, name: &str) -> io::Result<()> {
    let (from, file) = tree.parent(path)?;
    from.hard_link(file, folder, name)
}
