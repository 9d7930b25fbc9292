//! The reference cache: a map under a lock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue};

/// Makes [`MapCache`]s: the plainest [`CacheBackend`], for tests of what lies
/// above a cache, and as the reference for others.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapBackend;

impl CacheBackend for MapBackend {
    type Cache<K: CacheKey, V: CacheValue> = MapCache<K, V>;

    fn name(&self) -> &'static str {
        "map"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> MapCache<K, V> {
        MapCache {
            policy,
            state: Mutex::new(State {
                entries: HashMap::new(),
                weight: 0,
                clock: 0,
                counters: CacheCounters::default(),
            }),
        }
    }
}

/// A map under one lock that evicts the least recently used entry. Every
/// bound holds after every call; finding that entry takes a scan.
#[derive(Debug)]
pub struct MapCache<K, V> {
    policy: CachePolicy<K, V>,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Wide enough for any number of the heaviest values.
    weight: u128,
    /// Counts uses, so that entries can be ordered by their last.
    clock: u64,
    counters: CacheCounters,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    inserted: Instant,
    read: Instant,
    used: u64,
}

impl<K: CacheKey, V: CacheValue> MapCache<K, V> {
    fn locked(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        self.policy
            .ttl
            .is_none_or(|ttl| entry.inserted.elapsed() < ttl)
            && self.policy.tti.is_none_or(|tti| entry.read.elapsed() < tti)
    }

    /// Removes expired entries, then the least recently used, until both limits
    /// hold.
    fn shrink(&self, state: &mut State<K, V>) {
        let expired: Vec<K> = state
            .entries
            .iter()
            .filter(|(_, entry)| !self.is_fresh(entry))
            .map(|(key, _)| key.clone())
            .collect();
        for key in expired {
            state.evict(&key);
        }
        while state.entries.len() as u64 > self.policy.max_entries
            || state.weight > u128::from(self.policy.max_bytes.0)
        {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            state.evict(&key);
        }
    }
}

impl<K: CacheKey, V: CacheValue> State<K, V> {
    fn take(&mut self, key: &K) -> bool {
        let taken = self.entries.remove(key);
        self.weight -= taken.as_ref().map_or(0, |entry| u128::from(entry.bytes));
        taken.is_some()
    }

    fn evict(&mut self, key: &K) {
        if self.take(key) {
            self.counters.evictions += 1;
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for MapCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let mut state = self.locked();
        let used = state.tick();
        let fresh = state
            .entries
            .get_mut(key)
            .filter(|entry| self.is_fresh(entry));
        let value = fresh.map(|entry| {
            entry.read = Instant::now();
            entry.used = used;
            entry.value.clone()
        });
        match value {
            Some(_) => state.counters.hits += 1,
            None => state.counters.misses += 1,
        }
        value
    }

    fn insert(&self, key: K, value: V) {
        let mut state = self.locked();
        state.take(&key);
        let bytes = (self.policy.weigher)(&key, &value);
        if bytes > self.policy.max_bytes.0 {
            state.counters.evictions += 1;
            return;
        }
        let (now, used) = (Instant::now(), state.tick());
        state.weight += u128::from(bytes);
        let entry = Entry {
            value,
            bytes,
            inserted: now,
            read: now,
            used,
        };
        state.entries.insert(key, entry);
        self.shrink(&mut state);
    }

    fn remove(&self, key: &K) {
        self.locked().take(key);
    }

    fn clear(&self) {
        let mut state = self.locked();
        state.entries.clear();
        state.weight = 0;
    }

    fn entry_count(&self) -> u64 {
        self.locked().entries.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        // At most `max_bytes`, after every call.
        u64::try_from(self.locked().weight).unwrap_or(u64::MAX)
    }

    fn counters(&self) -> CacheCounters {
        self.locked().counters
    }

    fn run_pending_tasks(&self) {
        self.shrink(&mut self.locked());
    }
}
