//! The cache and the backend that builds it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;

use crate::capacity::Capacity;
use crate::key_locks::{KeyLocks, PendingWrites};
use crate::striped_counters::HitCounters;

/// The longest lifetime passed to moka, which panics on more than 1,000 years.
const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Builds [`MokaCache`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// A [`Cache`] on [`moka::sync::Cache`], built by [`MokaBackend`].
pub struct MokaCache<K: CacheKey, V: CacheValue> {
    inner: moka::sync::Cache<K, Entry<V>>,
    capacity: Capacity,
    weigher: Weigher<K, V>,
    key_locks: KeyLocks,
    hit_counters: HitCounters,
    eviction_stats: Arc<EvictionStats>,
}

/// A value with its weight at insertion. Weighing may walk the whole value, and
/// a removal must subtract exactly what the insertion added.
#[derive(Clone)]
struct Entry<V> {
    value: V,
    bytes: u64,
}

/// What moka does not report, or not exactly: after concurrent writes its own
/// number of entries was seen to be one too high. Its eviction listener maintains
/// this.
#[derive(Debug, Default)]
struct EvictionStats {
    entries: AtomicU64,
    bytes: AtomicU64,
    evictions: AtomicU64,
}

impl<K: CacheKey, V: CacheValue> MokaCache<K, V> {
    /// An empty cache.
    pub(crate) fn new(policy: CachePolicy<K, V>) -> Self {
        let capacity = Capacity::new(policy.max_entries, policy.max_bytes);
        let eviction_stats = Arc::new(EvictionStats::default());
        let mut builder = moka::sync::Cache::builder()
            .max_capacity(capacity.units())
            .weigher(move |_key: &K, entry: &Entry<V>| capacity.units_of(entry.bytes))
            .eviction_policy(EvictionPolicy::tiny_lfu())
            .eviction_listener({
                let stats = Arc::clone(&eviction_stats);
                move |_key, entry: Entry<V>, cause| stats.record_removal(entry.bytes, cause)
            });
        if let Some(ttl) = policy.ttl {
            builder = builder.time_to_live(ttl.min(MAX_LIFETIME));
        }
        if let Some(tti) = policy.tti {
            builder = builder.time_to_idle(tti.min(MAX_LIFETIME));
        }
        Self {
            inner: builder.build(),
            capacity,
            weigher: policy.weigher,
            key_locks: KeyLocks::new(),
            hit_counters: HitCounters::default(),
            eviction_stats,
        }
    }
}

impl EvictionStats {
    /// Adds an entry. To be called before the insert, during which the listener
    /// may subtract it.
    fn record_insert(&self, bytes: u64) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Subtracts a removed or replaced entry. Runs inside moka, so it must not panic or
    /// block.
    fn record_removal(&self, bytes: u64, cause: RemovalCause) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if cause.was_evicted() {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for MokaCache<K, V> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        let entry = self.inner.get(key);
        self.hit_counters.record(entry.is_some());
        entry.map(|entry| entry.value)
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        if !self.capacity.can_hold(bytes) {
            // moka would return the value until its next housekeeping and only
            // then reject it. An older value of the key must go in any case.
            self.remove(&key);
            self.eviction_stats
                .evictions
                .fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut pending_writes = self.key_locks.lock(&key);
        *pending_writes = PendingWrites::Possible;
        self.eviction_stats.record_insert(bytes);
        self.inner.insert(key, Entry { value, bytes });
    }

    fn remove(&self, key: &K) {
        let mut pending_writes = self.key_locks.lock(key);
        if *pending_writes == PendingWrites::Possible {
            self.inner.run_pending_tasks();
            *pending_writes = PendingWrites::No;
        }
        self.inner.invalidate(key);
    }

    fn clear(&self) {
        // moka clears by time: entries with a timestamp before that of the
        // clear become invalid. With a coarse clock, an insert just before the
        // clear could have the same timestamp, so this waits for the next tick.
        let now = Instant::now();
        while Instant::now() == now {
            std::hint::spin_loop();
        }
        self.inner.invalidate_all();
    }

    fn entry_count(&self) -> u64 {
        self.eviction_stats.entries.load(Ordering::Relaxed)
    }

    fn weighted_size(&self) -> u64 {
        self.eviction_stats.bytes.load(Ordering::Relaxed)
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::new(
            self.hit_counters.hits(),
            self.hit_counters.misses(),
            self.eviction_stats.evictions.load(Ordering::Relaxed),
        )
    }

    fn run_pending_tasks(&self) {
        // One run stops after 0.1 s or after it has skipped a few hundred
        // entries, so runs are repeated until one changes nothing.
        loop {
            let before = (self.entry_count(), self.weighted_size());
            self.inner.run_pending_tasks();
            if (self.entry_count(), self.weighted_size()) == before {
                return;
            }
        }
    }
}

impl<K: CacheKey, V: CacheValue> fmt::Debug for MokaCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaCache")
            .field("entries", &self.entry_count())
            .field("bytes", &self.weighted_size())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use memory_core::ByteSize;

    use super::*;

    type Bytes = MokaCache<u64, u64>;

    fn cache(max_entries: u64, max_bytes: u64) -> Bytes {
        MokaCache::new(CachePolicy::new(
            max_entries,
            ByteSize(max_bytes),
            |_, value| *value,
        ))
    }

    /// Checks moka's weights and our counts against the entries themselves.
    fn assert_accounted(cache: &Bytes) {
        cache.run_pending_tasks();
        let units = |value: u64| u64::from(cache.capacity.units_of(value));
        let entries: Vec<u64> = cache.inner.iter().map(|(_, entry)| entry.bytes).collect();
        let expected: u64 = entries.iter().map(|bytes| units(*bytes)).sum();
        assert_eq!(cache.inner.weighted_size(), expected);
        assert_eq!(cache.entry_count(), entries.len() as u64);
        assert_eq!(cache.weighted_size(), entries.iter().sum::<u64>());
    }

    #[test]
    fn replacing_and_removing_keeps_the_accounting_correct() {
        let cache = cache(1_000, 1_000);
        for round in 0..200 {
            let (first, second) = if round % 2 == 0 { (1, 900) } else { (900, 1) };
            cache.insert(1, first);
            cache.run_pending_tasks();
            cache.insert(1, second);
            cache.remove(&1);
            assert_accounted(&cache);
        }
        for key in 0..100 {
            cache.insert(key, 10);
        }
        assert_accounted(&cache);
        assert_eq!(
            cache.weighted_size(),
            1_000,
            "the whole capacity is still usable"
        );
    }

    #[test]
    fn concurrent_writers_keep_the_accounting_correct() {
        let cache = cache(50, 1_000);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let key = (round * 7 + thread) % 90;
                        match (round + thread) % 4 {
                            0 => cache.remove(&key),
                            1 if round % 500 == 1 => cache.clear(),
                            1 => cache.insert(key, 2_000),
                            _ => cache.insert(key, (round * 13) % 80),
                        }
                    }
                });
            }
        });
        assert_accounted(&cache);
    }
}
