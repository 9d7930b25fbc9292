//! The cache and the backend that builds it.

use std::cell::RefCell;
use std::fmt;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
use quick_cache::DefaultHashBuilder;
use quick_cache::sync;

use crate::entry_key::{EntryKey, KeyRef, Probe};
use crate::evicted::{CollectEvicted, Evicted};
use crate::expiry::Expiry;
use crate::striped_counters::StripedCounters;
use crate::weighting::Weighting;

/// Builds [`QuickCache`]s.
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

/// A [`Cache`] on `quick_cache::sync::Cache`, built by [`QuickBackend`].
///
/// A hit takes its shard's read lock, clones the value and increments a
/// counter; if the policy has a lifetime it also reads the clock. Guarantees
/// beyond the trait's are listed in the [crate documentation](crate#behavior).
pub struct QuickCache<K: CacheKey, V: CacheValue> {
    entries: sync::Cache<EntryKey<K>, V, Weighting, DefaultHashBuilder, CollectEvicted>,
    weigher: Weigher<K, V>,
    expiry: Expiry,
    counters: StripedCounters,
}

impl<K: CacheKey, V: CacheValue> QuickCache<K, V> {
    /// Creates an empty cache with the limits and lifetimes of `policy`.
    #[must_use]
    pub fn new(policy: CachePolicy<K, V>) -> Self {
        let weighting = Weighting::new(policy.max_entries, policy.max_bytes);
        Self {
            entries: weighting.build(),
            weigher: policy.weigher,
            expiry: Expiry::new(policy.ttl, policy.tti),
            counters: StripedCounters::new(),
        }
    }

    /// Removes the expired entry that `probe` found, unless it has been
    /// replaced since.
    #[cold]
    fn remove_expired(&self, probe: &Probe<'_, K>) {
        if let Some((key, _value)) = self.entries.remove_if(probe, |_| probe.found_expired()) {
            self.counters.record_change(0, key.bytes(), 1);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for QuickCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let probe = Probe::new(key, &self.expiry);
        let value = self.entries.get(&probe);
        if probe.found_expired() {
            self.remove_expired(&probe);
        } else if value.is_some() {
            self.counters.record_hit();
            return value;
        }
        self.counters.record_miss();
        None
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        let key = EntryKey::new(key, bytes, self.expiry.now());
        let mut evicted = Evicted::default();
        self.entries.insert_with_lifecycle(key, value, &mut evicted);
        self.counters
            .record_change(bytes, evicted.bytes(), evicted.evictions());
    }

    fn remove(&self, key: &K) {
        if let Some((key, _value)) = self.entries.remove(&KeyRef(key)) {
            self.counters.record_change(0, key.bytes(), 0);
        }
    }

    /// Removes all entries one by one. Lookups and insertions of other threads
    /// run concurrently.
    fn clear(&self) {
        for (key, _value) in self.entries.drain() {
            self.counters.record_change(0, key.bytes(), 0);
        }
    }

    fn entry_count(&self) -> u64 {
        self.entries.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        self.counters.bytes()
    }

    fn counters(&self) -> CacheCounters {
        self.counters.counters()
    }

    /// Removes all expired entries, locking one shard after another. Without a
    /// lifetime in the policy there is nothing to do.
    fn run_pending_tasks(&self) {
        if !self.expiry.is_limited() {
            return;
        }
        let now = self.expiry.now();
        // `retain` drops removed values under a shard's lock. Keeping a clone
        // until the end ensures that the last reference is dropped outside it.
        let removed = RefCell::new(Vec::new());
        self.entries.retain(|key, value| {
            let is_live = !key.is_expired(&self.expiry, now);
            if !is_live {
                self.counters.record_change(0, key.bytes(), 1);
                removed.borrow_mut().push(value.clone());
            }
            is_live
        });
    }
}

impl<K: CacheKey, V: CacheValue> fmt::Debug for QuickCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickCache")
            .field("entries", &self.entries.len())
            .field("bytes", &self.counters.bytes())
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}
