//! The cache itself.

use std::cell::RefCell;
use std::fmt;

use memory_core::{Cache, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher};
use quick_cache::DefaultHashBuilder;
use quick_cache::sync;

use crate::departures::{Departures, Hooks};
use crate::lifetimes::Lifetimes;
use crate::room::Room;
use crate::tag::{Look, Name, Tag};
use crate::tally::Tally;

/// A [`Cache`] on `quick_cache::sync::Cache`; made by [`QuickBackend`].
///
/// A hit takes its shard's read lock, clones the value and counts itself; with
/// a lifetime in the policy it also reads the clock. What it promises beyond
/// the contract is on the [crate's page](crate#behavior).
///
/// [`QuickBackend`]: crate::QuickBackend
pub struct QuickCache<K: CacheKey, V: CacheValue> {
    held: sync::Cache<Tag<K>, V, Room, DefaultHashBuilder, Hooks>,
    weigher: Weigher<K, V>,
    lifetimes: Lifetimes,
    tally: Tally,
}

impl<K: CacheKey, V: CacheValue> QuickCache<K, V> {
    /// An empty cache, bounded by `policy`.
    #[must_use]
    pub fn new(policy: CachePolicy<K, V>) -> Self {
        let room = Room::new(policy.max_entries, policy.max_bytes);
        Self {
            held: room.build(),
            weigher: policy.weigher,
            lifetimes: Lifetimes::new(policy.ttl, policy.tti),
            tally: Tally::new(),
        }
    }

    /// Lets go of what `look` found to be stale, unless somebody put another
    /// entry in its place meanwhile.
    #[cold]
    fn expire(&self, look: &Look<'_, K>) {
        if let Some((tag, _value)) = self.held.remove_if(look, |_| look.met_stale()) {
            self.tally.moved(0, tag.bytes(), 1);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> for QuickCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let look = Look::new(key, &self.lifetimes);
        let found = self.held.get(&look);
        if look.met_stale() {
            self.expire(&look);
        } else if found.is_some() {
            self.tally.hit();
            return found;
        }
        self.tally.miss();
        None
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        let tag = Tag::new(key, bytes, self.lifetimes.now());
        let mut departures = Departures::default();
        self.held.insert_with_lifecycle(tag, value, &mut departures);
        self.tally
            .moved(bytes, departures.bytes(), departures.evictions());
    }

    fn remove(&self, key: &K) {
        if let Some((tag, _value)) = self.held.remove(&Name(key)) {
            self.tally.moved(0, tag.bytes(), 0);
        }
    }

    /// Lets go of everything, one entry after another: others look up and
    /// insert meanwhile.
    fn clear(&self) {
        for (tag, _value) in self.held.drain() {
            self.tally.moved(0, tag.bytes(), 0);
        }
    }

    fn entry_count(&self) -> u64 {
        self.held.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        self.tally.bytes()
    }

    fn counters(&self) -> CacheCounters {
        self.tally.counters()
    }

    /// Lets go of what has expired, under the lock of one shard after another.
    /// Without a lifetime in the policy there is nothing to do.
    fn run_pending_tasks(&self) {
        if !self.lifetimes.limited() {
            return;
        }
        let now = self.lifetimes.now();
        // The sweep drops what it lets go of under a shard's lock. With a clone
        // kept until the end that drop is never a value's last.
        let swept = RefCell::new(Vec::new());
        self.held.retain(|tag, value| {
            let fresh = !tag.is_stale(&self.lifetimes, now);
            if !fresh {
                self.tally.moved(0, tag.bytes(), 1);
                swept.borrow_mut().push(value.clone());
            }
            fresh
        });
    }
}

impl<K: CacheKey, V: CacheValue> fmt::Debug for QuickCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickCache")
            .field("entries", &self.held.len())
            .field("bytes", &self.tally.bytes())
            .field("lifetimes", &self.lifetimes)
            .finish_non_exhaustive()
    }
}
