//! Operation counters of a tier.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::{Cache, CacheKey, CacheValue, TierStats};

/// A tier's own counters; the cache below adds entries, bytes and evictions.
///
/// They are counted here and not in the cache because only the tier knows
/// whether an entry could be used: an outdated snapshot is no hit.
#[derive(Debug, Default)]
pub(crate) struct TierCounters {
    hits: AtomicU64,
    batch_hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
    coalesced_loads: AtomicU64,
    invalidations: AtomicU64,
    refused_fills: AtomicU64,
    warmed: AtomicU64,
}

impl TierCounters {
    pub(crate) fn record_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// A hit of a look-up of several keys.
    pub(crate) fn record_batch_hit(&self) {
        self.batch_hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The hits of look-ups of one key.
    pub(crate) fn single_hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    pub(crate) fn record_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn record_load(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn record_coalesced_loads(&self, loads: usize) {
        self.coalesced_loads
            .fetch_add(loads as u64, Ordering::Relaxed);
    }

    pub(crate) fn record_invalidation(&self) {
        self.invalidations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn record_refused_fill(&self) {
        self.refused_fills.fetch_add(1, Ordering::Relaxed);
    }

    /// A load before anyone asked.
    pub(crate) fn record_warmed(&self) {
        self.warmed.fetch_add(1, Ordering::Relaxed);
    }

    /// Loads before anyone asked.
    pub(crate) fn warmed(&self) -> u64 {
        self.warmed.load(Ordering::Relaxed)
    }

    /// All counters, with the totals of the tier's caches.
    pub(crate) fn stats(&self, caches: &[Totals]) -> TierStats {
        let mut stats = TierStats::default();
        stats.entries = caches.iter().map(|cache| cache.entries).sum();
        stats.bytes = caches.iter().map(|cache| cache.bytes).sum();
        stats.hits = self.single_hits() + self.batch_hits.load(Ordering::Relaxed);
        stats.misses = self.misses.load(Ordering::Relaxed);
        stats.loads = self.loads.load(Ordering::Relaxed);
        stats.coalesced_loads = self.coalesced_loads.load(Ordering::Relaxed);
        stats.evictions = caches.iter().map(|cache| cache.evictions).sum();
        stats.invalidations = self.invalidations.load(Ordering::Relaxed);
        stats.stale_fills_refused = self.refused_fills.load(Ordering::Relaxed);
        stats
    }
}

/// What one cache of a tier holds and has evicted.
pub(crate) struct Totals {
    entries: u64,
    bytes: u64,
    evictions: u64,
}

impl Totals {
    pub(crate) fn of<K: CacheKey, V: CacheValue>(cache: &dyn Cache<K, V>) -> Self {
        cache.run_pending_tasks();
        Self {
            entries: cache.entry_count(),
            bytes: cache.weighted_size(),
            evictions: cache.counters().evictions,
        }
    }
}
