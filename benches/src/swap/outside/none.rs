//! No cache at all: what the others save is measured against it.

use std::marker::PhantomData;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue};

/// Makes [`NoCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct NoBackend;

impl CacheBackend for NoBackend {
    type Cache<K: CacheKey, V: CacheValue> = NoCache<K, V>;

    fn name(&self) -> &'static str {
        "none"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, _policy: CachePolicy<K, V>) -> NoCache<K, V> {
        NoCache(PhantomData)
    }
}

/// Holds nothing.
#[derive(Debug)]
pub struct NoCache<K, V>(PhantomData<fn(K, V)>);

impl<K: CacheKey, V: CacheValue> Cache<K, V> for NoCache<K, V> {
    fn get(&self, _key: &K) -> Option<V> {
        None
    }

    fn insert(&self, _key: K, _value: V) {}

    fn remove(&self, _key: &K) {}

    fn clear(&self) {}

    fn entry_count(&self) -> u64 {
        0
    }

    fn weighted_size(&self) -> u64 {
        0
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {}
}
