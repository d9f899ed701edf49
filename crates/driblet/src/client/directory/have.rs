//! What a receiver says it holds of a manifest, and the manifest that both sides make of it.

use driblet_core::Version;
use driblet_core::directory::{self, FileEntry, Manifest};

use super::local::Local;

/// The most files that are held in another version, as far as the server is told.
const MAX_OTHERS: usize = 65_536;

/// What is held of a manifest.
pub(super) struct Have {
    target: Version,
    /// For each file whether its version is held, at any path.
    held: Vec<bool>,
    /// Other versions that are held at paths of the manifest: index, version, length.
    others: Vec<(usize, Version, u64)>,
}

impl Have {
    pub(super) fn of(local: &Local, target: Version, new: &Manifest) -> Have {
        let held: Vec<bool> = new.entries().map(|entry| local.path_of(&entry.version).is_some()).collect();
        let others = new.entries().enumerate().filter(|(index, _)| !held[*index]).filter_map(|(index, entry)| {
            local.at(entry.path).filter(|file| file.len != 0).map(|file| (index, file.version, file.len))
        });
        Have { target, others: others.take(MAX_OTHERS).collect(), held }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.held.contains(&true)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let held = self.held.iter().enumerate().filter(|(_, held)| **held).map(|(index, _)| index).collect();
        let others = self.others.iter().map(|(index, version, _)| (*index, *version)).collect();
        directory::Have { target: self.target, held, others }.encode(self.held.len())
    }

    /// How many bytes of the answer say which of the others were accepted.
    pub(super) fn accepted_len(&self) -> usize {
        self.others.len().div_ceil(8)
    }

    /// The manifest of what the server knows that the receiver holds. `None` if the bits are malformed.
    pub(super) fn manifest(&self, new: &Manifest, accepted: &[u8]) -> Option<Manifest> {
        let is_set = |index: usize| accepted.get(index / 8).is_some_and(|byte| byte & 1 << (index % 8) != 0);
        if (self.others.len()..8 * accepted.len()).any(is_set) {
            return None;
        }
        let held = self.held.iter().enumerate().filter(|(_, held)| **held).map(|(index, _)| {
            let entry = new.entry(index);
            (index, entry.version, entry.len)
        });
        let others = self.others.iter().enumerate().filter(|(at, _)| is_set(*at)).map(|(_, other)| *other);
        let files = held.chain(others).map(|(index, version, len)| FileEntry {
            path: new.entry(index).path.to_owned(),
            executable: new.entry(index).executable,
            len,
            version,
        });
        Manifest::new(files.collect()).ok()
    }
}
