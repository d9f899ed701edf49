//! Caches of what was used last.

use std::hash::Hash;

use moka::policy::EvictionPolicy;
use moka::sync::{Cache, CacheBuilder};

/// A cache that drops what was used longest ago to take what is new. By moka's usual policy a full cache takes a new key
/// only if it was asked for more often than an old one. So whoever fills a list of clients would keep all others off it.
pub(crate) fn recent<K, V>(capacity: u64) -> CacheBuilder<K, V, Cache<K, V>>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru())
}
