//! A first-in, first-out cache: a `CacheBackend` in about a hundred lines.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue};

/// Builds [`FifoCache`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct FifoBackend;

impl CacheBackend for FifoBackend {
    type Cache<K: CacheKey, V: CacheValue> = FifoCache<K, V>;

    fn name(&self) -> &'static str {
        "fifo"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> FifoCache<K, V> {
        FifoCache { policy, state: Mutex::new(State::default()) }
    }
}

/// Evicts the entry that was inserted first. One lock, so that every limit
/// holds after every call.
pub struct FifoCache<K, V> {
    policy: CachePolicy<K, V>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys in order of insertion. A number tells a current place from one that
    /// was left by an earlier insert of the same key.
    order: VecDeque<(u64, K)>,
    next_number: u64,
    bytes: u128,
    counters: CacheCounters,
}

struct Entry<V> {
    value: V,
    bytes: u64,
    number: u64,
    inserted: Instant,
    last_read: Instant,
}

impl<K, V> Default for State<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next_number: 0,
            bytes: 0,
            counters: CacheCounters::default(),
        }
    }
}

impl<K: CacheKey, V: CacheValue> FifoCache<K, V> {
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        self.policy.ttl.is_none_or(|ttl| entry.inserted.elapsed() < ttl)
            && self.policy.tti.is_none_or(|tti| entry.last_read.elapsed() < tti)
    }

    fn evict_expired(&self, state: &mut State<K, V>) {
        let expired = state.entries.iter().filter(|(_, entry)| !self.is_fresh(entry));
        let expired: Vec<K> = expired.map(|(key, _)| key.clone()).collect();
        for key in expired {
            state.take(&key);
            state.counters.evictions += 1;
        }
    }

    fn is_over_limit(&self, state: &State<K, V>) -> bool {
        state.entries.len() as u64 > self.policy.max_entries
            || state.bytes > u128::from(self.policy.max_bytes.0)
    }
}

impl<K: CacheKey, V: CacheValue> State<K, V> {
    fn take(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= u128::from(entry.bytes);
        }
    }

    fn evict_first(&mut self) {
        while let Some((number, key)) = self.order.pop_front() {
            if self.entries.get(&key).is_some_and(|entry| entry.number == number) {
                self.take(&key);
                self.counters.evictions += 1;
                return;
            }
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for FifoCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let mut state = self.lock();
        let entry = state.entries.get_mut(key).filter(|entry| self.is_fresh(entry));
        let value = entry.map(|entry| {
            entry.last_read = Instant::now();
            entry.value.clone()
        });
        match value {
            Some(_) => state.counters.hits += 1,
            None => state.counters.misses += 1,
        }
        value
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.policy.weigher)(&key, &value);
        let mut state = self.lock();
        state.take(&key);
        if bytes > self.policy.max_bytes.0 {
            state.counters.evictions += 1; // A refused insert counts as evicted.
            return;
        }
        let (now, number) = (Instant::now(), state.next_number);
        state.next_number += 1;
        state.bytes += u128::from(bytes);
        state.order.push_back((number, key.clone()));
        state.entries.insert(key, Entry { value, bytes, number, inserted: now, last_read: now });
        if self.is_over_limit(&state) {
            self.evict_expired(&mut state);
        }
        while self.is_over_limit(&state) {
            state.evict_first();
        }
        // Places that replaced or removed entries left behind must not pile up.
        if state.order.len() > 2 * state.entries.len() + 64 {
            let State { entries, order, .. } = &mut *state;
            order.retain(|(number, key)| entries.get(key).is_some_and(|e| e.number == *number));
        }
    }

    fn remove(&self, key: &K) {
        self.lock().take(key);
    }

    fn clear(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.order.clear();
        state.bytes = 0;
    }

    fn entry_count(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        u64::try_from(self.lock().bytes).unwrap_or(u64::MAX)
    }

    fn counters(&self) -> CacheCounters {
        self.lock().counters
    }

    fn run_pending_tasks(&self) {
        self.evict_expired(&mut self.lock());
    }
}
