//! The family of caches.

use memory_core::{CacheBackend, CacheKey, CachePolicy, CacheValue};

use crate::QuickCache;

/// Makes [`QuickCache`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuickBackend;

impl CacheBackend for QuickBackend {
    type Cache<K: CacheKey, V: CacheValue> = QuickCache<K, V>;

    fn name(&self) -> &'static str {
        "quick_cache"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> QuickCache<K, V> {
        QuickCache::new(policy)
    }
}
