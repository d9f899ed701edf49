//! What is known of the deltas of directories.

use std::sync::Arc;

use driblet_core::Version;
use driblet_core::directory::{Manifest, PlannedPart};

use crate::recent::recent;

/// Bytes of plans that are kept in memory.
const PLANS: u64 = 64 << 20;
/// Files of the parts whose names are remembered. Those of first syncs can be made again.
const NAMES: u64 = 1 << 18;

/// What is known of the deltas of directories.
pub(super) struct DirectoryPlans {
    pub(super) plans: moka::future::Cache<(Option<Version>, Version), Arc<DirectoryPlan>>,
    /// The files of the parts that need no basis, by the directory's path and the parts' names.
    pub(super) names: moka::sync::Cache<(String, Version), Arc<PartFiles>>,
}

/// A version of a directory with its manifest.
#[derive(Clone)]
pub(crate) struct DirectoryVersion {
    pub(crate) version: Version,
    pub(crate) manifest: Arc<Manifest>,
}

/// The delta of a directory but for the bytes of its parts.
pub(crate) struct DirectoryPlan {
    /// All bytes before the first part.
    pub(crate) head: Vec<u8>,
    pub(crate) parts: Vec<Arc<PartFiles>>,
    /// Bytes of all files of the target together.
    pub(super) len: u64,
}

/// The files of a part and of its basis, by their versions and lengths.
pub(crate) struct PartFiles {
    pub(super) name: Version,
    pub(super) files: Vec<(Version, u64)>,
    pub(super) len: u64,
    /// The hash that begins with the basis id; `None` without a basis.
    pub(super) basis: Option<Version>,
    pub(super) bases: Vec<(Version, u64)>,
    pub(super) basis_len: u64,
}

impl DirectoryPlans {
    pub(super) fn new() -> DirectoryPlans {
        let weight = |_: &_, plan: &Arc<DirectoryPlan>| u32::try_from(plan.memory()).unwrap_or(u32::MAX);
        DirectoryPlans {
            plans: moka::future::Cache::builder().max_capacity(PLANS).weigher(weight).build(),
            names: recent(NAMES)
                .weigher(|_, part: &Arc<PartFiles>| u32::try_from(part.files.len()).unwrap_or(u32::MAX).max(1))
                .build(),
        }
    }
}

impl DirectoryPlan {
    /// The part with a name. Only parts that need no basis have names.
    pub(crate) fn named_part(&self, name: Version) -> Option<Arc<PartFiles>> {
        self.parts.iter().find(|part| part.basis.is_none() && part.name == name).cloned()
    }

    /// Bytes of the target's files, but for those that come with later parts than the first.
    pub(crate) fn len_at_first(&self) -> u64 {
        let later: u64 = self.parts.iter().skip(1).map(|part| part.len).sum();
        self.len.saturating_sub(later)
    }

    fn memory(&self) -> usize {
        let files = self.parts.iter().map(|part| part.files.len() + part.bases.len()).sum::<usize>();
        self.head.len() + 40 * files + 200
    }
}

impl PartFiles {
    /// Bytes of its files together.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn of(part: &PlannedPart, old: Option<&Manifest>, new: &Manifest) -> PartFiles {
        let of = |manifest: &Manifest, index: &usize| {
            let entry = manifest.entry(*index);
            (entry.version, entry.len)
        };
        let bases = old.map(|old| part.bases.iter().map(|index| of(old, index)).collect());
        PartFiles {
            name: part.name,
            files: part.files.iter().map(|index| of(new, index)).collect(),
            len: part.len,
            basis: (!part.bases.is_empty()).then_some(part.basis),
            bases: bases.unwrap_or_default(),
            basis_len: part.basis_len,
        }
    }
}
