//! foyer's memory cache with two of its eviction algorithms.

use std::fmt;

use foyer_memory::{Cache as Inner, CacheBuilder, EvictionConfig};
use foyer_memory::{LfuConfig, S3FifoConfig};
use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};

/// The library's own number of shards.
const MAX_SHARDS: u64 = 8;

/// Minimum entries per shard: like `memory-quick`'s, so that a cache of a few
/// heavy values has one shard.
const MIN_SHARD_ENTRIES: u64 = 1_024;

/// Builds [`FoyerCache`]s with one eviction algorithm.
#[derive(Debug, Clone, Copy)]
pub struct FoyerBackend {
    name: &'static str,
    eviction: fn() -> EvictionConfig,
}

impl FoyerBackend {
    /// w-TinyLFU.
    pub const TINY_LFU: Self = Self {
        name: "foyer, LFU",
        eviction: || LfuConfig::default().into(),
    };

    /// S3-FIFO.
    pub const S3_FIFO: Self = Self {
        name: "foyer, S3-FIFO",
        eviction: || S3FifoConfig::default().into(),
    };
}

impl CacheBackend for FoyerBackend {
    type Cache<K: CacheKey, V: CacheValue> = FoyerCache<K, V>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> FoyerCache<K, V> {
        let (weigher, max_bytes) = (policy.weigher, policy.max_bytes.0);
        let shards = (policy.max_entries / MIN_SHARD_ENTRIES).clamp(1, MAX_SHARDS);
        FoyerCache {
            shard_bytes: max_bytes / shards,
            weigher,
            inner: CacheBuilder::new(size(max_bytes))
                .with_shards(size(shards))
                .with_eviction_config((self.eviction)())
                .with_weighter(move |key: &K, value: &V| size(weigher(key, value)))
                .build(),
        }
    }
}

/// `foyer_memory::Cache`.
pub struct FoyerCache<K: CacheKey, V: CacheValue> {
    shard_bytes: u64,
    weigher: Weigher<K, V>,
    inner: Inner<K, V>,
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for FoyerCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.inner.get(key).map(|entry| entry.value().clone())
    }

    fn insert(&self, key: K, value: V) {
        // Without this check it empties a shard for a value that does not fit.
        if (self.weigher)(&key, &value) > self.shard_bytes {
            self.inner.remove(&key);
        } else {
            self.inner.insert(key, value);
        }
    }

    fn remove(&self, key: &K) {
        self.inner.remove(key);
    }

    fn clear(&self) {
        self.inner.clear();
    }

    fn entry_count(&self) -> u64 {
        self.inner.entries() as u64
    }

    fn weighted_size(&self) -> u64 {
        self.inner.usage() as u64
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {}
}

impl<K: CacheKey, V: CacheValue> fmt::Debug for FoyerCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoyerCache").finish_non_exhaustive()
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
