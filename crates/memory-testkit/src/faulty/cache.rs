//! A cache that breaks one promise.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use memory_core::{
    ByteSize, Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue, Weigher,
};

use super::faults;
use crate::map_cache::{MapBackend, MapCache};

faults! {
    /// The one promise that a [`FaultyCache`] breaks.
    pub enum CacheFault {
        /// Nothing is ever held.
        HoldsNothing => "values::holds_what_fits",
        /// A key keeps its first value.
        KeepsTheFirst => "values::gives_the_latest",
        /// A value too heavy to be held leaves the older one in place.
        KeepsTheOlder => "values::too_heavy_a_value_ends_the_older",
        /// A removal takes effect when the cache is settled.
        RemovesLater => "values::remove_takes_effect_at_once",
        /// A clear takes effect when the cache is settled.
        ClearsLater => "values::clear_takes_effect_at_once",
        /// After a clear, nothing is held any more.
        StopsAfterAClear => "values::works_after_a_clear",
        /// Any number of entries is held.
        IgnoresMaxEntries => "limits::entries_are_limited",
        /// Any number of bytes is held.
        IgnoresMaxBytes => "limits::bytes_are_limited",
        /// Entries of 0 bytes do not count as entries.
        IgnoresTheWeightlessInEntries => "limits::weightless_entries_count",
        /// What is removed still weighs.
        WeighsRemoved => "limits::sizes_are_exact_at_rest",
        /// Bytes are counted in 32 bits.
        CountsIn32Bits => "limits::weights_exceed_32_bits",
        /// Entries grow old and stay.
        NeverExpires => "expiry::ttl_ends_an_entry",
        /// Reading makes an entry young again.
        RenewsByReading => "expiry::reads_do_not_prolong_a_ttl",
        /// Unread entries stay.
        IgnoresIdleness => "expiry::tti_ends_an_unread_entry",
        /// Reading does not keep an entry.
        TakesIdlenessForAge => "expiry::reads_prolong_a_tti",
        /// Expired entries are hidden and never removed.
        HoardsTheExpired => "expiry::expired_entries_are_dropped",
        /// Every look-up counts as a hit.
        CountsHitsOnly => "counters::count_hits_and_misses",
        /// A look-up of an expired entry counts as a hit.
        CountsExpiredAsHits => "counters::count_expired_as_missed",
        /// Evictions are not counted.
        OmitsEvictions => "counters::count_evictions",
        /// What is too heavy is refused and not counted.
        OmitsRefusals => "counters::count_the_refused",
        /// Replacements count as evictions.
        CountsReplacements => "counters::add_up",
        /// Removals count as evictions.
        CountsRemovals => "counters::do_not_count_removals",
        /// Each thread may see what it read a moment ago.
        ReturnsOldValues => "threads::never_see_older_values",
        /// A clear soon after another does nothing.
        SkipsClears => "threads::may_clear_at_any_time",
        /// Look-ups of several threads at once are counted as one.
        LosesCounts => "threads::leave_a_consistent_cache",
    }
}

/// Makes [`FaultyCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct FaultyBackend(pub CacheFault);

impl CacheBackend for FaultyBackend {
    type Cache<K: CacheKey, V: CacheValue> = FaultyCache<K, V>;

    fn name(&self) -> &'static str {
        "faulty"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, policy: CachePolicy<K, V>) -> FaultyCache<K, V> {
        let Self(fault) = *self;
        let (weigher, max_bytes, ttl) = (policy.weigher, policy.max_bytes, policy.ttl);
        FaultyCache {
            inner: MapBackend.build(misread(fault, policy)),
            fault,
            weigher,
            max_bytes,
            ttl,
            extra: Mutex::new(Extra {
                first: HashSet::new(),
                later: Vec::new(),
                inserted: HashMap::new(),
                near: HashMap::new(),
                weightless: HashMap::new(),
                weighed: 0,
                evicted: 0,
                refused: 0,
                cleared: None,
            }),
            lookups: AtomicU64::new(0),
        }
    }
}

/// What becomes of a policy.
fn misread<K, V>(fault: CacheFault, mut policy: CachePolicy<K, V>) -> CachePolicy<K, V> {
    match fault {
        CacheFault::HoldsNothing => policy.max_entries = 0,
        CacheFault::IgnoresMaxEntries => policy.max_entries = u64::MAX,
        CacheFault::IgnoresMaxBytes => policy.max_bytes = ByteSize(u64::MAX),
        CacheFault::NeverExpires
        | CacheFault::HoardsTheExpired
        | CacheFault::CountsExpiredAsHits => policy.ttl = None,
        CacheFault::RenewsByReading => {
            policy.tti = policy.ttl.take().map(|ttl| ttl.saturating_mul(2))
        }
        CacheFault::IgnoresIdleness => policy.tti = None,
        CacheFault::TakesIdlenessForAge => {
            policy.ttl = policy.ttl.into_iter().chain(policy.tti.take()).min();
        }
        _ => {}
    }
    policy
}

/// A [`MapCache`] with one fault.
#[derive(Debug)]
pub struct FaultyCache<K, V> {
    inner: MapCache<K, V>,
    fault: CacheFault,
    weigher: Weigher<K, V>,
    max_bytes: ByteSize,
    ttl: Option<Duration>,
    extra: Mutex<Extra<K, V>>,
    lookups: AtomicU64,
}

/// What a faulty cache remembers, so as to go wrong.
#[derive(Debug)]
struct Extra<K, V> {
    first: HashSet<K>,
    /// Removals put off; `None` for a clear.
    later: Vec<Option<K>>,
    inserted: HashMap<K, Instant>,
    near: HashMap<(ThreadId, K), (V, u8)>,
    weightless: HashMap<K, V>,
    weighed: u64,
    evicted: u64,
    refused: u64,
    cleared: Option<Instant>,
}

impl<K: CacheKey, V: CacheValue> FaultyCache<K, V> {
    fn extra(&self) -> MutexGuard<'_, Extra<K, V>> {
        self.extra.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expired(&self, inserted: Instant) -> bool {
        self.ttl.is_some_and(|ttl| inserted.elapsed() >= ttl)
    }

    /// Looks where this thread looked a moment ago.
    fn get_near(&self, key: &K) -> Option<V> {
        let place = (thread::current().id(), key.clone());
        if let Some((value, left)) = self.extra().near.get_mut(&place)
            && *left > 0
        {
            *left -= 1;
            return Some(value.clone());
        }
        let value = self.inner.get(key)?;
        self.extra().near.insert(place, (value.clone(), 20));
        Some(value)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<K: CacheKey, V: CacheValue> Cache<K, V> for FaultyCache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let seen = self.lookups.load(Ordering::Relaxed);
        if self.fault == CacheFault::LosesCounts {
            thread::yield_now();
        }
        self.lookups.store(seen + 1, Ordering::Relaxed);
        match self.fault {
            CacheFault::IgnoresTheWeightlessInEntries => {
                let weightless = self.extra().weightless.get(key).cloned();
                weightless.or_else(|| self.inner.get(key))
            }
            CacheFault::ReturnsOldValues => self.get_near(key),
            CacheFault::HoardsTheExpired | CacheFault::CountsExpiredAsHits => {
                let value = self.inner.get(key);
                let inserted = self.extra().inserted.get(key).copied();
                value.filter(|_| inserted.is_none_or(|inserted| !self.expired(inserted)))
            }
            _ => self.inner.get(key),
        }
    }

    fn insert(&self, key: K, value: V) {
        let bytes = (self.weigher)(&key, &value);
        {
            let mut extra = self.extra();
            let first = extra.first.insert(key.clone());
            match self.fault {
                CacheFault::OmitsRefusals => {
                    extra.refused += u64::from(bytes > self.max_bytes.0);
                }
                CacheFault::CountsReplacements => extra.evicted += u64::from(!first),
                _ => {}
            }
            let kept = match self.fault {
                CacheFault::KeepsTheFirst => first,
                CacheFault::KeepsTheOlder => bytes <= self.max_bytes.0,
                CacheFault::StopsAfterAClear => extra.cleared.is_none(),
                _ => true,
            };
            if !kept {
                return;
            }
            extra.weighed = extra.weighed.saturating_add(bytes);
            extra.inserted.insert(key.clone(), Instant::now());
            extra.near.remove(&(thread::current().id(), key.clone()));
            extra.weightless.remove(&key);
            if bytes == 0 && self.fault == CacheFault::IgnoresTheWeightlessInEntries {
                extra.weightless.insert(key.clone(), value);
                self.inner.remove(&key);
                return;
            }
        }
        self.inner.insert(key, value);
    }

    fn remove(&self, key: &K) {
        let mut extra = self.extra();
        extra.near.remove(&(thread::current().id(), key.clone()));
        extra.weightless.remove(key);
        extra.evicted += u64::from(self.fault == CacheFault::CountsRemovals);
        match self.fault {
            CacheFault::RemovesLater => extra.later.push(Some(key.clone())),
            _ => self.inner.remove(key),
        }
    }

    fn clear(&self) {
        let mut extra = self.extra();
        extra
            .near
            .retain(|(thread, _), _| *thread != thread::current().id());
        extra.weightless.clear();
        let before = extra.cleared.replace(Instant::now());
        let soon = before.is_some_and(|before| before.elapsed() < Duration::from_mins(1));
        match self.fault {
            CacheFault::ClearsLater => extra.later.push(None),
            CacheFault::SkipsClears if soon => {}
            _ => self.inner.clear(),
        }
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count() + self.extra().weightless.len() as u64
    }

    fn weighted_size(&self) -> u64 {
        match self.fault {
            CacheFault::WeighsRemoved => self.extra().weighed,
            CacheFault::CountsIn32Bits => self.inner.weighted_size() & u64::from(u32::MAX),
            _ => self.inner.weighted_size(),
        }
    }

    fn counters(&self) -> CacheCounters {
        let mut counters = self.inner.counters();
        match self.fault {
            CacheFault::CountsHitsOnly => {
                counters.hits += std::mem::take(&mut counters.misses);
            }
            CacheFault::LosesCounts | CacheFault::ReturnsOldValues => {
                let lookups = self.lookups.load(Ordering::Relaxed);
                counters.hits = lookups.saturating_sub(counters.misses);
            }
            CacheFault::OmitsEvictions => counters.evictions = 0,
            CacheFault::OmitsRefusals => counters.evictions -= self.extra().refused,
            _ => counters.evictions += self.extra().evicted,
        }
        counters
    }

    fn run_pending_tasks(&self) {
        let later = std::mem::take(&mut self.extra().later);
        for removal in later {
            match removal {
                Some(key) => self.inner.remove(&key),
                None => self.inner.clear(),
            }
        }
        if self.fault == CacheFault::CountsExpiredAsHits {
            let mut extra = self.extra();
            let old = extra.inserted.iter().filter(|(_, at)| self.expired(**at));
            let old: Vec<K> = old.map(|(key, _)| key.clone()).collect();
            for key in old {
                extra.inserted.remove(&key);
                extra.evicted += 1;
                self.inner.remove(&key);
            }
        }
        self.inner.run_pending_tasks();
    }
}
