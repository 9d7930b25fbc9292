//! What entries cost in memory, and what letting go of many costs in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{ByteSize, Cache, CacheBackend, CachePolicy};

/// Entries of each tenant.
pub const PER_TENANT: u64 = 1_000;

/// How long it took to let go of entries.
#[derive(Debug, Clone, Copy)]
pub struct LettingGo {
    /// Of one tenant's, of which there were so many: a removal each. The
    /// contract has no other way, and a tier needs none: it knows the keys of
    /// what was written, and an entity's snapshot is one entry.
    pub tenant: Duration,
    /// That many were there, and are not now.
    pub removed: u64,
    /// Of all that was left: until none is found any more.
    pub clear: Duration,
    /// The same, until none is held any more.
    pub settled: Duration,
}

/// Fills a cache with so many entries of tenants of [`PER_TENANT`] each, lets
/// go of one tenant in the middle, then of everything.
#[must_use]
pub fn let_go(backend: &impl CacheBackend, entries: u64) -> LettingGo {
    // InsertOptions to spare, so that a cache of shards holds all.
    let cache = backend.build(policy(entries * 2));
    let value = Arc::new(1);
    for key in 0..entries {
        cache.insert(key, Arc::clone(&value));
    }
    cache.run_pending_tasks();
    let before = cache.entry_count();
    let first = entries / 2;

    let start = Instant::now();
    for key in first..first + PER_TENANT {
        cache.remove(&key);
    }
    let tenant = start.elapsed();
    cache.run_pending_tasks();
    let removed = before - cache.entry_count();

    let start = Instant::now();
    cache.clear();
    let clear = start.elapsed();
    // A reference may settle a part at a time.
    let mut left = u64::MAX;
    while cache.entry_count() < left {
        left = cache.entry_count();
        cache.run_pending_tasks();
    }
    LettingGo {
        tenant,
        removed,
        clear,
        settled: start.elapsed(),
    }
}

/// Bytes that a full cache takes for each entry of a `u64` under a `u64`, which
/// are 16 by themselves. `held` tells how many bytes the program holds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a mean for people to read")]
pub fn bytes_per_entry(backend: &impl CacheBackend, entries: u64, held: impl Fn() -> i64) -> f64 {
    let before = held();
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
    (held() - before) as f64 / count as f64
}

/// One byte an entry: both bounds are the same, for caches that know but one.
fn policy(entries: u64) -> CachePolicy<u64, Arc<u64>> {
    CachePolicy::new(entries, ByteSize(entries), |_, _| 1)
}

#[cfg(test)]
mod tests {
    use memory_testkit::MapBackend;

    use super::*;

    #[test]
    fn one_tenant_goes_and_then_all() {
        let gone = let_go(&MapBackend, 3 * PER_TENANT);
        assert_eq!(gone.removed, PER_TENANT);
    }
}
