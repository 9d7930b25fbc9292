//! The family of caches.

use memory_core::{CacheBackend, CacheKey, CachePolicy, CacheValue};

use crate::cache::MokaCache;

/// Makes [`MokaCache`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct MokaBackend;

impl CacheBackend for MokaBackend {
    type Cache<K: CacheKey, V: CacheValue> = MokaCache<K, V>;

    fn name(&self) -> &'static str {
        "moka"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> MokaCache<K, V> {
        MokaCache::new(policy)
    }
}
