//! The cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_core::{Cache, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;

use crate::capacity::Capacity;
use crate::counters::Lookups;
use crate::turns::{Booking, Turns};

/// The longest lifetime that is handed on: moka refuses more than 1,000 years.
const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A [`Cache`] on [`moka::sync::Cache`].
pub struct MokaCache<K: CacheKey, V: CacheValue> {
    inner: moka::sync::Cache<K, Held<V>>,
    capacity: Capacity,
    weigher: Weigher<K, V>,
    turns: Turns,
    lookups: Lookups,
    ledger: Arc<Ledger>,
}

/// A value, and what it weighed when it came: weighing may walk the whole
/// value, and taking away must take what was added.
#[derive(Clone)]
struct Held<V> {
    value: V,
    bytes: u64,
}

/// What moka does not tell: the true bytes of what it holds, and how often it
/// let go of something of its own accord. Its removal listener keeps this.
#[derive(Debug, Default)]
struct Ledger {
    bytes: AtomicU64,
    evictions: AtomicU64,
}

impl<K: CacheKey, V: CacheValue> MokaCache<K, V> {
    /// An empty cache.
    pub(crate) fn new(policy: CachePolicy<K, V>) -> Self {
        let capacity = Capacity::new(policy.max_entries, policy.max_bytes);
        let ledger = Arc::new(Ledger::default());
        let mut builder = moka::sync::Cache::builder()
            .max_capacity(capacity.units())
            .weigher(move |_key: &K, held: &Held<V>| capacity.units_of(held.bytes))
            .eviction_policy(EvictionPolicy::tiny_lfu())
            .eviction_listener({
                let ledger = Arc::clone(&ledger);
                move |_key, held: Held<V>, cause| ledger.strike(held.bytes, cause)
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
            turns: Turns::new(),
            lookups: Lookups::default(),
            ledger,
        }
    }
}

impl Ledger {
    /// A value has gone. Runs inside moka, so it must not panic or block.
    fn strike(&self, bytes: u64, cause: RemovalCause) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if cause.was_evicted() {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for MokaCache<K, V> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        let held = self.inner.get(key);
        self.lookups.record(held.is_some());
        held.map(|held| held.value)
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        if !self.capacity.matches(bytes) {
            // moka would show the value until its next housekeeping, and only
            // then reject it; the older one must go in any case.
            self.remove(&key);
            self.ledger.evictions.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut turn = self.turns.of(&key);
        *turn = Booking::Pending;
        // Added before moka can strike it out again.
        self.ledger.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inner.insert(key, Held { value, bytes });
    }

    fn remove(&self, key: &K) {
        let mut turn = self.turns.of(key);
        if *turn == Booking::Pending {
            self.inner.run_pending_tasks();
            *turn = Booking::Done;
        }
        self.inner.invalidate(key);
    }

    fn clear(&self) {
        // moka clears by time: what bears an earlier moment than the clear
        // counts no more. On a clock that ticks coarsely an insert just before
        // could bear the same moment, so the next one is waited for.
        let now = Instant::now();
        while Instant::now() == now {
            std::hint::spin_loop();
        }
        self.inner.invalidate_all();
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count()
    }

    fn weighted_size(&self) -> u64 {
        self.ledger.bytes.load(Ordering::Relaxed)
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters {
            hits: self.lookups.hits(),
            misses: self.lookups.misses(),
            evictions: self.ledger.evictions.load(Ordering::Relaxed),
        }
    }

    fn run_pending_tasks(&self) {
        // One run stops after a tenth of a second or some hundred entries
        // that it had to pass over; the last run is the one that found nothing.
        loop {
            let before = (self.inner.entry_count(), self.weighted_size());
            self.inner.run_pending_tasks();
            if (self.inner.entry_count(), self.weighted_size()) == before {
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

    /// Whether moka's books agree with what is there.
    fn assert_booked(cache: &Bytes) {
        cache.run_pending_tasks();
        let units = |value: u64| u64::from(cache.capacity.units_of(value));
        let held: Vec<u64> = cache.inner.iter().map(|(_, held)| held.bytes).collect();
        let wanted: u64 = held.iter().map(|bytes| units(*bytes)).sum();
        assert_eq!(cache.inner.weighted_size(), wanted);
        assert_eq!(cache.entry_count(), held.len() as u64);
        assert_eq!(cache.weighted_size(), held.iter().sum::<u64>());
    }

    #[test]
    fn replacing_and_removing_leaves_the_books_right() {
        let cache = cache(1_000, 1_000);
        for round in 0..200 {
            let (first, second) = if round % 2 == 0 { (1, 900) } else { (900, 1) };
            cache.insert(1, first);
            cache.run_pending_tasks();
            cache.insert(1, second);
            cache.remove(&1);
            assert_booked(&cache);
        }
        for key in 0..100 {
            cache.insert(key, 10);
        }
        assert_booked(&cache);
        assert_eq!(cache.weighted_size(), 1_000, "all of it can still be used");
    }

    #[test]
    fn so_does_doing_it_from_many_threads() {
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
        assert_booked(&cache);
    }
}
