//! Counters of hits, misses and evictions.

use std::thread::sleep;

use memory_core::{Cache, CacheBackend, CacheCounters};

use super::expiry::{PAST, SHORT};
use super::limits::fill;
use crate::cache::policy;
use crate::cache::{put, version};
use crate::check::{CheckResult, ensure, ensure_eq};

/// Each `get` is a hit or a miss; no other call is either.
pub fn count_hits_and_misses<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 100_000));
    ensure_eq!(cache.counters(), CacheCounters::default(), "when new");
    let (mut hits, mut misses) = (0, 0);
    for round in 0..500 {
        let key = round % 20;
        match version(&cache, key) {
            Some(_) => hits += 1,
            None => misses += 1,
        }
        match round % 3 {
            0 => put(&cache, key, round, 1),
            1 => cache.remove(&(key + 1)),
            _ => cache.run_pending_tasks(),
        }
    }
    ensure!(hits > 0 && misses > 0, "{hits} hits and {misses} misses");
    let counters = cache.counters();
    ensure_eq!(counters.hits, hits, "hits");
    ensure_eq!(counters.misses, misses, "misses");
    Ok(())
}

/// A look-up of what has expired is a miss.
pub fn count_expired_as_missed<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 1_000).ttl(SHORT));
    fill(&cache, 5, |_| 1);
    sleep(PAST);
    let before = cache.counters();
    for key in 0..5 {
        ensure_eq!(version(&cache, key), None, "expired {key}");
    }
    let counters = cache.counters();
    ensure_eq!(counters.hits, before.hits, "hits");
    ensure_eq!(counters.misses, before.misses + 5, "misses");
    Ok(())
}

/// Evictions are counted exactly.
pub fn count_evictions<B: CacheBackend>(backend: &B) -> CheckResult {
    let by_entries = backend.build(policy(50, 1_000_000));
    let by_bytes = backend.build(policy(1_000_000, 500));
    for cache in [by_entries, by_bytes] {
        fill(&cache, 700, |_| 10);
        cache.run_pending_tasks();
        let gone = 700 - cache.entry_count();
        ensure!(gone >= 650, "only {gone} of 700 entries went");
        ensure_eq!(cache.counters().evictions, gone, "evictions");
    }
    Ok(())
}

/// A value too heavy to be held is an eviction of its own; what it would have
/// replaced is not another.
pub fn count_the_refused<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 1_000));
    for round in 0..20 {
        put(&cache, 1, round, 10);
        put(&cache, 1, round + 100, 1_001);
        put(&cache, 2, round, 1_000_000);
        cache.run_pending_tasks();
        ensure_eq!(version(&cache, 1), None, "too heavy a replacement");
        ensure_eq!(cache.entry_count(), 0, "entries after two refusals");
        let refused = 2 * (round + 1);
        ensure_eq!(cache.counters().evictions, refused, "refusals");
    }
    Ok(())
}

/// Every insert is held, or was replaced, removed or evicted.
pub fn add_up<B: CacheBackend>(backend: &B) -> CheckResult {
    const STEPS: u64 = 4_000;
    let cache = backend.build(policy(40, 1_000));
    let (mut replaced, mut removed) = (0, 0);
    for step in 0..STEPS {
        let key = step * 7 % 60;
        // A cache may still show what it is about to evict.
        cache.run_pending_tasks();
        let there = u64::from(version(&cache, key).is_some());
        if step % 9 == 0 {
            cache.remove(&key);
            removed += there;
        } else {
            replaced += there;
        }
        let bytes = if step % 50 == 3 { 5_000 } else { step % 60 };
        put(&cache, key, step, bytes);
    }
    cache.run_pending_tasks();
    let ended = replaced + removed + cache.counters().evictions;
    ensure_eq!(cache.entry_count() + ended, STEPS, "fates of all inserts");
    Ok(())
}

/// Removals, clears and replacements are no evictions.
pub fn do_not_count_removals<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(1_000, 100_000).ttl(SHORT * 1_000));
    for round in 0..10 {
        fill(&cache, 100, |_| 10 + round);
        for key in 0..30 {
            cache.remove(&key);
        }
        cache.run_pending_tasks();
        ensure_eq!(cache.counters().evictions, 0, "after removals");
        if round % 2 == 0 {
            cache.clear();
            cache.run_pending_tasks();
            ensure_eq!(cache.counters().evictions, 0, "after a clear");
        }
    }
    Ok(())
}
