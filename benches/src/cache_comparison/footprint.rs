//! Memory per entry, and the time to remove many entries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

/// Entries of each tenant.
pub const ENTRIES_PER_TENANT: u64 = 1_000;

/// How long removing entries took.
#[derive(Debug, Clone, Copy)]
pub struct RemovalTiming {
    /// Removing all entries of one tenant, one call per entry. The cache trait
    /// has no bulk removal: the engine knows the keys that a write touched, and
    /// an entity's snapshot is a single entry.
    pub tenant: Duration,
    /// The number of entries that these calls removed.
    pub removed: u64,
    /// Clearing the rest, until no entry can be read.
    pub clear: Duration,
    /// Clearing the rest, until no entry occupies memory.
    pub clear_and_reclaim: Duration,
}

/// Fills a cache with entries of tenants of [`ENTRIES_PER_TENANT`] each,
/// removes one tenant from the middle, then clears the cache.
#[must_use]
pub fn time_removals(backend: &impl CacheBackend, entries: u64) -> RemovalTiming {
    // Twice the capacity, so that a sharded cache holds every entry.
    let cache = backend.build(policy(entries * 2));
    let value = Arc::new(1);
    for key in 0..entries {
        cache.insert(key, Arc::clone(&value));
    }
    cache.run_pending_tasks();
    let before = cache.entry_count();
    let first = entries / 2;

    let start = Instant::now();
    for key in first..first + ENTRIES_PER_TENANT {
        cache.remove(&key);
    }
    let tenant = start.elapsed();
    cache.run_pending_tasks();
    let removed = before - cache.entry_count();

    let start = Instant::now();
    cache.clear();
    let clear = start.elapsed();
    // A third-party cache may run only part of its pending tasks per call.
    let mut left = u64::MAX;
    while cache.entry_count() < left {
        left = cache.entry_count();
        cache.run_pending_tasks();
    }
    RemovalTiming {
        tenant,
        removed,
        clear,
        clear_and_reclaim: start.elapsed(),
    }
}

/// Bytes that a full cache allocates per entry of a `u64` under a `u64` (16
/// bytes of payload). `allocated` returns the bytes allocated by the process.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a mean for a table")]
pub fn bytes_per_entry(
    backend: &impl CacheBackend,
    entries: u64,
    allocated: impl Fn() -> i64,
) -> f64 {
    let before = allocated();
    let cache = backend.build(CachePolicy::new(
        entries,
        ByteSize(entries),
        |_: &u64, _: &u64| 1,
    ));
    for key in 0..entries {
        cache.insert(key, key);
    }
    cache.run_pending_tasks();
    let count = cache.entry_count().max(1);
    (allocated() - before) as f64 / count as f64
}

/// One byte per entry: both limits are equal, since some caches have only one.
fn policy(entries: u64) -> CachePolicy<u64, Arc<u64>> {
    CachePolicy::new(entries, ByteSize(entries), |_, _| 1)
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;

    #[test]
    fn removes_exactly_one_tenant_before_clearing() {
        let timing = time_removals(&MapBackend, 3 * ENTRIES_PER_TENANT);
        assert_eq!(timing.removed, ENTRIES_PER_TENANT);
    }
}
