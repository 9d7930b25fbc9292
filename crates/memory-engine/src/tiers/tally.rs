//! Counts of what a tier did.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::{Cache, CacheKey, CacheValue, TierStats};

/// A tier's own counts; the cache below adds entries, bytes and evictions.
///
/// They are counted here and not in the cache because only the tier knows
/// what answered its caller: a snapshot that has fallen behind is no hit.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
    coalesced: AtomicU64,
    invalidations: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn coalesced(&self) {
        self.coalesced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn invalidation(&self) {
        self.invalidations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything that was counted, with what the tier's `caches` know.
    pub(crate) fn stats<K: CacheKey, V: CacheValue>(
        &self,
        caches: &[&dyn Cache<K, V>],
    ) -> TierStats {
        caches.iter().for_each(|cache| cache.run_pending_tasks());
        TierStats {
            entries: caches.iter().map(|cache| cache.entry_count()).sum(),
            bytes: caches.iter().map(|cache| cache.weighted_size()).sum(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            loads: self.loads.load(Ordering::Relaxed),
            coalesced_loads: self.coalesced.load(Ordering::Relaxed),
            evictions: caches.iter().map(|cache| cache.counters().evictions).sum(),
            invalidations: self.invalidations.load(Ordering::Relaxed),
            stale_fills_refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
