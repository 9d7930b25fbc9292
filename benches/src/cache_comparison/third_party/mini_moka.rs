//! mini-moka, the smaller variant of moka.

use std::fmt;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
use mini_moka::sync::ConcurrentCacheExt;

use super::narrow;

/// Builds [`MiniMokaCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct MiniMokaBackend;

impl CacheBackend for MiniMokaBackend {
    type Cache<K: CacheKey, V: CacheValue> = MiniMokaCache<K, V>;

    fn name(&self) -> &'static str {
        "mini-moka"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> MiniMokaCache<K, V> {
        let weigher = policy.weigher;
        MiniMokaCache {
            max_bytes: policy.max_bytes.0,
            weigher,
            inner: mini_moka::sync::Cache::builder()
                .max_capacity(policy.max_bytes.0)
                .weigher(move |key, value| narrow(weigher(key, value)))
                .build(),
        }
    }
}

/// `mini_moka::sync::Cache`.
pub struct MiniMokaCache<K, V> {
    max_bytes: u64,
    weigher: Weigher<K, V>,
    inner: mini_moka::sync::Cache<K, V>,
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for MiniMokaCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.inner.get(key)
    }

    fn insert(&self, key: K, value: V) {
        // Without this check the entry stays readable until maintenance runs.
        if (self.weigher)(&key, &value) > self.max_bytes {
            self.inner.invalidate(&key);
        } else {
            self.inner.insert(key, value);
        }
    }

    fn remove(&self, key: &K) {
        self.inner.invalidate(key);
    }

    fn clear(&self) {
        self.inner.invalidate_all();
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count()
    }

    fn weighted_size(&self) -> u64 {
        self.inner.weighted_size()
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {
        self.inner.sync();
    }
}

impl<K, V> fmt::Debug for MiniMokaCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiniMokaCache").finish_non_exhaustive()
    }
}
