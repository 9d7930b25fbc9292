//! A least-recently-used list under one lock: the simplest cache in common use.

use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};

/// Builds [`LruCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct LruBackend;

impl CacheBackend for LruBackend {
    type Cache<K: CacheKey, V: CacheValue> = LruCache<K, V>;

    fn name(&self) -> &'static str {
        "lru + mutex"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> LruCache<K, V> {
        LruCache {
            max_bytes: policy.max_bytes.0,
            weigher: policy.weigher,
            state: Mutex::new(State {
                entries: lru::LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }
}

/// The `lru` crate's list behind a mutex.
#[derive(Debug)]
pub struct LruCache<K: CacheKey, V> {
    max_bytes: u64,
    weigher: Weigher<K, V>,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K: CacheKey, V> {
    entries: lru::LruCache<K, (V, u64)>,
    bytes: u64,
}

impl<K: CacheKey, V> LruCache<K, V> {
    fn locked(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: CacheKey, V> State<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some((_, bytes)) = self.entries.pop(key) {
            self.bytes -= bytes;
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for LruCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.locked()
            .entries
            .get(key)
            .map(|(value, _)| value.clone())
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        let mut state = self.locked();
        state.remove(&key);
        if bytes > self.max_bytes {
            return;
        }
        while state.bytes + bytes > self.max_bytes {
            match state.entries.pop_lru() {
                Some((_, (_, freed))) => state.bytes -= freed,
                None => break,
            }
        }
        state.bytes += bytes;
        state.entries.put(key, (value, bytes));
    }

    fn remove(&self, key: &K) {
        self.locked().remove(key);
    }

    fn clear(&self) {
        let mut state = self.locked();
        state.entries.clear();
        state.bytes = 0;
    }

    fn entry_count(&self) -> u64 {
        self.locked().entries.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        self.locked().bytes
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {}
}
