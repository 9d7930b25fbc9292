//! A cache whose entries expire on command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::{
    ByteSize, Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher,
};

/// Builds any backend's caches, and expires all their entries at once.
#[derive(Debug)]
pub(crate) struct Expiring<B> {
    inner: Arc<B>,
    epoch: Arc<AtomicU64>,
}

impl<B> Clone for Expiring<B> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            epoch: Arc::clone(&self.epoch),
        }
    }
}

impl<B> Expiring<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner: Arc::new(inner),
            epoch: Arc::default(),
        }
    }

    /// Expires everything that is cached now.
    pub(crate) fn expire(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

impl<B: CacheBackend> CacheBackend for Expiring<B> {
    type Cache<K: CacheKey, V: CacheValue> = ExpiringCache<B, K, V>;

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> Self::Cache<K, V> {
        let weigh: Weigher<K, Dated<V>> = |_, dated| dated.bytes;
        ExpiringCache {
            inner: self.inner.build(CachePolicy::new(
                policy.max_entries,
                ByteSize(policy.max_bytes.0),
                weigh,
            )),
            weigher: policy.weigher,
            epoch: Arc::clone(&self.epoch),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Dated<V> {
    value: V,
    bytes: u64,
    epoch: u64,
}

pub(crate) struct ExpiringCache<B: CacheBackend, K: CacheKey, V: CacheValue> {
    inner: B::Cache<K, Dated<V>>,
    weigher: Weigher<K, V>,
    epoch: Arc<AtomicU64>,
}

impl<B: CacheBackend, K: CacheKey, V: CacheValue> Cache<K, V> for ExpiringCache<B, K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let dated = self.inner.get(key)?;
        (dated.epoch == epoch).then_some(dated.value)
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        let epoch = self.epoch.load(Ordering::SeqCst);
        self.inner.insert(
            key,
            Dated {
                value,
                bytes,
                epoch,
            },
        );
    }

    fn remove(&self, key: &K) {
        self.inner.remove(key);
    }

    fn clear(&self) {
        self.inner.clear();
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count()
    }

    fn weighted_size(&self) -> u64 {
        self.inner.weighted_size()
    }

    fn counters(&self) -> CacheCounters {
        self.inner.counters()
    }

    fn run_pending_tasks(&self) {
        self.inner.run_pending_tasks();
    }
}
