//! What a receiver says it holds of a manifest, and the manifest that both sides make of it.

use driblet_core::Version;
use driblet_core::directory::{self, Manifest};

use super::local::Local;

/// What is held of a manifest.
pub(super) struct Have {
    list: directory::Have,
    /// The lengths of the other versions.
    lens: Vec<u64>,
    /// Files of the manifest.
    count: usize,
}

impl Have {
    pub(super) fn of(local: &Local, target: Version, new: &Manifest) -> Have {
        let (mut held, mut others, mut lens) = (Vec::new(), Vec::new(), Vec::new());
        for (index, entry) in new.entries().enumerate() {
            if local.path_of(&entry.version).is_some() {
                held.push(index);
            } else if let Some(file) = local.at(entry.path).filter(|file| file.len != 0)
                && others.len() < directory::Have::MAX_OTHERS
            {
                others.push((index, file.version));
                lens.push(file.len);
            }
        }
        Have { list: directory::Have { target, held, others }, lens, count: new.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.others.is_empty() && self.list.held.is_empty()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.list.encode(self.count)
    }

    /// How many bytes of the answer say which of the others were accepted.
    pub(super) fn accepted_len(&self) -> usize {
        self.lens.len().div_ceil(8)
    }

    /// The manifest of what the server knows that the receiver holds. `None` if the bits are malformed.
    pub(super) fn manifest(&self, new: &Manifest, accepted: &[u8]) -> Option<Manifest> {
        let is_set = |index: usize| accepted.get(index / 8).is_some_and(|byte| byte & 1 << (index % 8) != 0);
        if (self.lens.len()..8 * accepted.len()).any(is_set) {
            return None;
        }
        let lens = self.lens.iter().enumerate().map(|(place, len)| is_set(place).then_some(*len));
        self.list.manifest(new, &lens.collect::<Vec<_>>()).ok()
    }
}
