//! Guarantees of QuickCache beyond those of the trait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{scope, sleep};
use std::time::Duration;

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};
use memory_quick::{QuickBackend, QuickCache};

const SHORT: Duration = Duration::from_millis(20);

/// Values that are their own weight.
fn policy(max_entries: u64, max_bytes: u64) -> CachePolicy<u64, u64> {
    CachePolicy::new(max_entries, ByteSize(max_bytes), |_key, value| *value)
}

#[test]
fn limits_hold_without_pending_tasks() {
    let cache = QuickBackend.build(policy(20, 1_000));
    for key in 0..2_000 {
        cache.insert(key, key * 31 % 90);
        assert!(cache.entry_count() <= 20, "at {key}");
        assert!(cache.weighted_size() <= 1_000, "at {key}");
    }
}

#[test]
fn every_insertion_is_present_replaced_removed_or_evicted() {
    let cache = QuickBackend.build(policy(50, 1_000));
    let (mut replaced, mut removed) = (0, 0);
    for step in 0..5_000u64 {
        let key = step * 7 % 80;
        let is_present = cache.get(&key).is_some();
        if step % 9 == 0 {
            removed += u64::from(is_present);
            cache.remove(&key);
        }
        let is_present = is_present && step % 9 != 0;
        // Every hundredth entry is too heavy: it is evicted itself, and the
        // entry that it would have replaced is removed.
        let bytes = if step % 100 == 3 { 5_000 } else { step % 60 };
        let before = cache.counters().evictions;
        cache.insert(key, bytes);
        replaced += u64::from(is_present);
        if bytes > 1_000 {
            assert_eq!(cache.counters().evictions, before + 1);
            assert_eq!(cache.get(&key), None);
        }
    }
    let evicted = cache.counters().evictions;
    assert_eq!(cache.entry_count() + replaced + removed + evicted, 5_000);
}

#[test]
fn a_large_cache_accepts_entries_a_thousand_times_the_mean() {
    const MEAN: u64 = 6_000;
    for max_entries in [1_000, 10_000, 50_000, 1_000_000] {
        let cache = QuickBackend.build(policy(max_entries, max_entries * MEAN));
        for key in 0..10 {
            let bytes = MEAN * 97 / 100 * 1_000;
            cache.insert(key, bytes);
            assert_eq!(cache.get(&key), Some(bytes), "of {max_entries} entries");
        }
    }
}

#[test]
fn an_expired_entry_is_removed_when_it_is_found() {
    for policy in [policy(100, 1_000).ttl(SHORT), policy(100, 1_000).tti(SHORT)] {
        let cache = QuickBackend.build(policy);
        cache.insert(1, 10);
        cache.insert(2, 10);
        sleep(SHORT);
        assert_eq!(cache.get(&1), None);
        assert_eq!((cache.entry_count(), cache.weighted_size()), (1, 10));
        assert_eq!(cache.counters().evictions, 1);
        cache.insert(1, 20);
        assert_eq!(cache.weighted_size(), 30);
        cache.run_pending_tasks();
        assert!(cache.entry_count() <= 1, "the second expired");
        assert!(cache.counters().evictions >= 2);
    }
}

type ReentrantCache = QuickCache<u64, Arc<Reentrant>>;

/// A value that calls its cache when it is dropped.
struct Reentrant {
    cache_ref: Arc<OnceLock<Weak<ReentrantCache>>>,
    drops: Arc<AtomicU64>,
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        let cache_ref = self.cache_ref.get().and_then(Weak::upgrade);
        if let Some(cache) = cache_ref {
            // With one shard, these would deadlock under its lock.
            cache.get(&0);
            cache.remove(&u64::MAX);
        }
    }
}

#[test]
fn values_are_dropped_outside_the_locks() {
    let weigher = |key: &u64, _: &Arc<Reentrant>| if *key == 99 { 60 } else { 10 };
    let policy = CachePolicy::new(10, ByteSize(100), weigher).ttl(SHORT);
    let cache = Arc::new(QuickBackend.build(policy));
    let (cache_ref, drops) = (Arc::new(OnceLock::new()), Arc::new(AtomicU64::new(0)));
    cache_ref.set(Arc::downgrade(&cache)).ok();
    let value = || {
        let (cache_ref, drops) = (Arc::clone(&cache_ref), Arc::clone(&drops));
        Arc::new(Reentrant { cache_ref, drops })
    };
    for key in 0..30 {
        cache.insert(key, value()); // evicts one at a time
        cache.insert(key, value()); // replaces
    }
    cache.insert(99, value()); // evicts many
    cache.remove(&99);
    cache.clear();
    for key in 0..5 {
        cache.insert(key, value());
    }
    sleep(SHORT);
    cache.get(&3); // finds an expired entry
    cache.run_pending_tasks(); // removes the others
    assert_eq!(cache.entry_count(), 0);
    assert_eq!(drops.load(Ordering::Relaxed), 66);
}

#[test]
fn concurrent_use_leaves_exact_counts() {
    let cache = QuickBackend.build(policy(5_000, 200_000).tti(SHORT));
    scope(|scope| {
        for thread in 0..4u64 {
            let cache = &cache;
            scope.spawn(move || {
                for step in 0..20_000u64 {
                    let key = (step * 31 + thread * 7) % 9_000;
                    match step % 8 {
                        0..4 => drop(cache.get(&key)),
                        7 if step % 128 == 7 => cache.run_pending_tasks(),
                        7 => cache.remove(&key),
                        _ => cache.insert(key, step % 90),
                    }
                }
            });
        }
    });
    let counters = cache.counters();
    assert_eq!(counters.hits + counters.misses, 40_000);
    sleep(SHORT);
    cache.run_pending_tasks();
    assert_eq!((cache.entry_count(), cache.weighted_size()), (0, 0));
}
