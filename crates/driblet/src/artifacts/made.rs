//! Which artifacts are made.

use moka::sync::Cache;

use super::key::Key;
use super::spool::{Artifact, Content};
use crate::recent::recent;

/// The least that one artifact counts for, so that the budget bounds the number of open files too.
const LEAST_WEIGHT: u32 = 1 << 20;
/// A fourth of the budget is for deltas from matched chunks. Clients that send signatures can have any number of these
/// made, which must not displace others.
const MATCHED_SHARE: u64 = 4;

/// Artifacts under a budget of bytes. Those that were used longest ago go first.
#[derive(Clone)]
pub(super) struct Made {
    /// Deltas from matched chunks.
    matched: Cache<Key, Artifact>,
    others: Cache<Key, Artifact>,
}

impl Made {
    pub(super) fn new(budget: u64) -> Made {
        let cache = |budget| recent(budget).weigher(weight).build();
        let matched = budget / MATCHED_SHARE;
        Made { matched: cache(matched), others: cache(budget - matched) }
    }

    /// Whether an artifact of this length is kept.
    pub(super) fn fits(&self, key: &Key, len: u64) -> bool {
        self.of(key).policy().max_capacity().is_none_or(|most| len <= most)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Artifact> {
        self.of(key).get(key)
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.of(key).contains_key(key)
    }

    pub(super) fn insert(&self, key: Key, artifact: Artifact) {
        self.of(&key).insert(key, artifact);
    }

    pub(super) fn remove(&self, key: &Key) {
        self.of(key).invalidate(key);
    }

    pub(super) fn remove_all(&self) {
        self.matched.invalidate_all();
        self.others.invalidate_all();
    }

    fn of(&self, key: &Key) -> &Cache<Key, Artifact> {
        if matches!(key, Key::Matched { .. }) { &self.matched } else { &self.others }
    }
}

fn weight(_: &Key, artifact: &Artifact) -> u32 {
    match (&artifact.content, &artifact.verified) {
        // The store counts the bytes of its files. Only the open file counts here.
        (Content::File(..), Some(_)) => LEAST_WEIGHT,
        (Content::File(_, len), None) => u32::try_from(*len).unwrap_or(u32::MAX).max(LEAST_WEIGHT),
        (content, _) => content.len().and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX).max(1),
    }
}
