//! Entries that are too old, or unread for too long, are not returned.

use std::thread::sleep;
use std::time::{Duration, Instant};

use memory_core::{Cache, CacheBackend};

use super::limits::fill;
use crate::cache::policy;
use crate::cache::{put, version};
use crate::check::{CheckResult, ensure, ensure_eq};

/// A lifetime short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(60);
/// Well past [`SHORT`].
pub(super) const PAST: Duration = Duration::from_millis(130);

/// An entry older than the `ttl` is not returned, settled or not.
pub fn ttl_ends_an_entry<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 10_000).ttl(SHORT));
    put(&cache, 1, 1, 10);
    put(&cache, 2, 2, 10);
    cache.run_pending_tasks();
    put(&cache, 3, 3, 10);
    sleep(PAST);
    for key in 1..=3 {
        ensure_eq!(version(&cache, key), None, "older than its ttl: {key}");
    }
    put(&cache, 1, 4, 10);
    let got = version(&cache, 1);
    ensure!(
        got.is_none() || got == Some(4),
        "after a new insert: {got:?}"
    );
    Ok(())
}

/// Reading does not make an entry younger.
pub fn reads_do_not_prolong_a_ttl<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 10_000).ttl(SHORT).tti(SHORT * 100));
    put(&cache, 1, 1, 10);
    let inserted = Instant::now();
    while inserted.elapsed() < PAST {
        version(&cache, 1);
        sleep(SHORT / 10);
    }
    ensure_eq!(version(&cache, 1), None, "read all the time, but too old");
    Ok(())
}

/// An entry unread for the `tti` is not returned, whether it was ever read.
pub fn tti_ends_an_unread_entry<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 10_000).tti(SHORT).ttl(SHORT * 100));
    put(&cache, 1, 1, 10);
    put(&cache, 2, 2, 10);
    version(&cache, 2);
    sleep(PAST);
    for key in 1..=2 {
        ensure_eq!(version(&cache, key), None, "unread for too long: {key}");
    }
    Ok(())
}

/// An entry that is read in time lives on.
pub fn reads_prolong_a_tti<B: CacheBackend>(backend: &B) -> CheckResult {
    /// A busy machine may sleep past the lifetime: then the try says nothing.
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        let cache = backend.build(policy(100, 10_000).tti(SHORT));
        put(&cache, 1, 1, 10);
        let (inserted, mut read, mut in_time) = (Instant::now(), Instant::now(), true);
        while inserted.elapsed() < PAST {
            sleep(SHORT / 10);
            let got = version(&cache, 1);
            in_time &= read.elapsed() < SHORT / 2;
            read = Instant::now();
            ensure!(
                got == Some(1) || !in_time,
                "gone after {:?} although read all the time",
                inserted.elapsed()
            );
        }
        if in_time {
            return Ok(());
        }
    }
    Err(crate::check::CheckFailure::NotApplicable(
        "the machine is too busy to read an entry in time".to_owned(),
    ))
}

/// Once settled, what has expired is gone from the sizes, as evictions.
pub fn expired_entries_are_dropped<B: CacheBackend>(backend: &B) -> CheckResult {
    for policy in [
        policy(1_000, 10_000).ttl(SHORT),
        policy(1_000, 10_000).tti(SHORT),
        policy(1_000, 10_000).ttl(SHORT).tti(SHORT * 2),
    ] {
        let cache = backend.build(policy);
        fill(&cache, 500, |_| 2);
        cache.run_pending_tasks();
        sleep(PAST + SHORT);
        cache.run_pending_tasks();
        ensure_eq!(cache.entry_count(), 0, "entries, all of them expired");
        ensure_eq!(cache.weighted_size(), 0, "weight, all of it expired");
        ensure_eq!(cache.counters().evictions, 500, "evictions");
    }
    Ok(())
}

/// The longest durations there are do no harm.
pub fn lifetimes_may_be_infinite<B: CacheBackend>(backend: &B) -> CheckResult {
    let cache = backend.build(policy(100, 10_000).ttl(Duration::MAX).tti(Duration::MAX));
    put(&cache, 1, 1, 10);
    cache.run_pending_tasks();
    ensure_eq!(version(&cache, 1), Some(1), "an entry that never expires");
    Ok(())
}
