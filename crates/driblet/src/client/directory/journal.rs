//! The switch to a new version: a list of steps that can be repeated, and what the folder holds after them.
//!
//! The journal is durable before the first step, and goes after the last one. If the process ends in between, the next
//! pull does all steps again: a step that was done already does nothing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use std::os::unix::fs::PermissionsExt;

use cap_std::fs::MetadataExt;
use driblet_core::Version;
use driblet_core::directory::{Manifest, ManifestLimits};
use serde::{Deserialize, Serialize};

use super::changes::parents;
use super::record::{Record, UNKNOWN};
use super::sealed;
use super::staging::{FEW, Staging, with_executable};
use crate::disk::flush_all;
use crate::fingerprint::{self, Fingerprint};
use crate::tree::{Tree, fingerprint_of, is_absence};

/// Called before each step. An error ends the switch as a crash would.
pub(super) type Step<'a> = &'a mut dyn FnMut() -> io::Result<()>;

/// The steps of a switch.
#[derive(Serialize, Deserialize, Default, Debug)]
pub(super) struct Steps {
    /// The URL of the directory.
    pub(super) url: String,
    /// Files that are removed first.
    pub(super) first: Vec<String>,
    /// Staged files that get their place: the file's index in the new manifest, and whether the staging file has a name
    /// with that index, because it is not the first of its version.
    pub(super) placed: Vec<(u32, bool)>,
    /// Files whose executable flag is set.
    pub(super) modes: Vec<u32>,
    /// Files that are removed last.
    pub(super) removed: Vec<String>,
    /// Files of the new manifest that are left out.
    pub(super) omitted: Vec<u32>,
}

/// A switch that has begun.
pub(super) struct Journal {
    pub(super) steps: Steps,
    pub(super) manifest: Arc<Manifest>,
}

impl Journal {
    pub(super) fn load(path: &Path) -> io::Result<Option<Journal>> {
        let Some((steps, manifest)) = sealed::read::<Steps>(path)? else { return Ok(None) };
        let manifest = Manifest::parse(&manifest, ManifestLimits::default());
        let manifest = manifest.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let count = manifest.len() as u32;
        let Steps { placed, modes, omitted, .. } = &steps;
        let indices = placed.iter().map(|(index, _)| index).chain(modes).chain(omitted);
        match indices.max().is_none_or(|index| *index < count) {
            true => Ok(Some(Journal { steps, manifest: Arc::new(manifest) })),
            false => Err(ErrorKind::InvalidData.into()),
        }
    }

    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        sealed::write(path, &self.steps, &[&self.manifest.encode()])
    }

    /// The name of the staging file of a placed file.
    pub(super) fn staged_name(manifest: &Manifest, index: u32, is_own: bool) -> String {
        let version = manifest.entry(index as usize).version;
        if is_own { format!("{version}.{index}") } else { version.to_string() }
    }

    /// Does all steps that are not done yet, and gives the record of the new version. All is durable then. `known` gives
    /// what a file with this version looked like when it was last known to have it.
    pub(super) fn replay(
        self,
        tree: &mut Tree,
        staging: &Staging,
        known: &dyn Fn(&str, &Version) -> Option<Fingerprint>,
        step: Step<'_>,
    ) -> io::Result<Record> {
        let mut written = HashMap::new();
        let Steps { first, placed, modes, removed, .. } = &self.steps;
        for path in first {
            step()?;
            tree.remove(path)?;
            remove_empty_parents(tree, path)?;
        }
        let staged = cap_std::fs::Dir::open_ambient_dir(staging.folder(), cap_std::ambient_authority())?;
        for (index, is_own) in placed {
            step()?;
            let (path, name) = (self.path(*index), Journal::staged_name(&self.manifest, *index, *is_own));
            let found = match staged.symlink_metadata(&name) {
                // It has its place already.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                found => found?,
            };
            written.insert(*index, fingerprint_of(&found));
            make_room(tree, path)?;
            let (folder, place) = tree.made_parent(path)?;
            staged.rename(&name, folder, place)?;
            if found.nlink() != 1 {
                // The system does not move a file over another name of itself.
                let _ = staged.remove_file(&name);
            }
        }
        for index in modes {
            step()?;
            let entry = self.manifest.entry(*index as usize);
            set_executable(tree, entry.path, entry.executable)?;
        }
        for path in removed {
            step()?;
            tree.remove(path)?;
        }
        let mut folders: Vec<&str> =
            removed.iter().flat_map(|path| parents(path)).collect::<HashSet<_>>().into_iter().collect();
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
        tree.forget();
        for folder in folders {
            step()?;
            tree.remove_empty(folder)?;
        }
        step()?;
        self.flush(tree)?;
        self.record(tree, &written, known)
    }

    /// Makes the steps durable.
    fn flush(&self, tree: &mut Tree) -> io::Result<()> {
        let Steps { first, placed, modes, removed, .. } = &self.steps;
        let indices = placed.iter().map(|(index, _)| index).chain(modes);
        let paths = indices.map(|index| self.path(*index)).chain(first.iter().chain(removed).map(String::as_str));
        let root = tree.root().try_clone()?.into_std_file();
        let folders: HashSet<&str> = paths.flat_map(parents).collect();
        if cfg!(target_os = "linux") && FEW < folders.len() {
            return flush_all(&root);
        }
        for folder in folders {
            // A path below the folder, to have it opened.
            match tree.parent(&format!("{folder}/_")) {
                Ok((folder, _)) => folder.try_clone()?.into_std_file().sync_all()?,
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(error),
            }
        }
        root.sync_all()
    }

    fn path(&self, index: u32) -> &str {
        self.manifest.entry(index as usize).path
    }

    /// The record of what the folder holds now.
    fn record(
        self,
        tree: &mut Tree,
        written: &HashMap<u32, Fingerprint>,
        known: &dyn Fn(&str, &Version) -> Option<Fingerprint>,
    ) -> io::Result<Record> {
        let omitted: HashSet<u32> = self.steps.omitted.iter().copied().collect();
        let modes: HashSet<u32> = self.steps.modes.iter().copied().collect();
        let mut stamps = Vec::with_capacity(self.manifest.len());
        for (index, entry) in self.manifest.entries().enumerate() {
            let index = index as u32;
            if omitted.contains(&index) {
                stamps.push(Fingerprint::NONE);
                continue;
            }
            let before = written.get(&index).copied().or_else(|| known(entry.path, &entry.version));
            let is_touched = written.contains_key(&index) || modes.contains(&index);
            let stamp = match before {
                Some(before) if is_touched => {
                    let found = tree.look(entry.path)?.map(|found| fingerprint_of(&found));
                    // The step changed the time of the last change of the metadata, and nothing else.
                    found.filter(|found| Fingerprint { changed: before.changed, ..*found } == before)
                }
                before => before,
            };
            stamps.push(stamp.unwrap_or(UNKNOWN));
        }
        Ok(Record { manifest: self.manifest, stamps, taken: fingerprint::now() })
    }
}

/// Removes an empty folder that stands where a file must be.
fn make_room(tree: &mut Tree, path: &str) -> io::Result<()> {
    if tree.look(path)?.is_some_and(|found| found.is_dir()) {
        remove_empty_below(tree, path)?;
        tree.remove_empty(path)?;
    }
    Ok(())
}

/// Removes the folders in a folder that have no files.
fn remove_empty_below(tree: &mut Tree, path: &str) -> io::Result<()> {
    let (folder, name) = tree.parent(path)?;
    let folder = crate::tree::open_folder(folder, name, false)?;
    let names = folder.entries()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.collect::<Vec<_>>() {
        let below = format!("{path}/{name}");
        if tree.look(&below)?.is_some_and(|found| found.is_dir()) {
            remove_empty_below(tree, &below)?;
            tree.remove_empty(&below)?;
        }
    }
    Ok(())
}

fn remove_empty_parents(tree: &mut Tree, path: &str) -> io::Result<()> {
    for folder in parents(path) {
        if !tree.remove_empty(folder)? {
            break;
        }
    }
    Ok(())
}

fn set_executable(tree: &mut Tree, path: &str, executable: bool) -> io::Result<()> {
    // A file that is no longer there, or is a link now, was changed by another program since the pull began.
    let Some(found) = tree.look(path)?.filter(cap_std::fs::Metadata::is_file) else { return Ok(()) };
    let mode = found.mode() & 0o7777;
    let wanted = with_executable(mode, executable);
    if wanted == mode {
        return Ok(());
    }
    tree.file(path)?.set_permissions(fs::Permissions::from_mode(wanted))
}
