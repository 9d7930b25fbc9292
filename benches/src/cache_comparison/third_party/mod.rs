//! Adapters for third-party caches behind [`memory_core::Cache`], as references.
//!
//! They are not backends of the memory system: each implements the part of the
//! contract that its library supports. They are limited by bytes only, have no
//! expiry and count nothing, which makes their times slightly better than those
//! of the workspace's own caches, which do all three.

mod foyer;
mod lru;
mod mini_moka;
mod moka_future;

use std::marker::PhantomData;

use memory_core::{Cache, CacheBackend, CacheCounters, CacheKey, CachePolicy, CacheValue};

pub use foyer::{FoyerBackend, FoyerCache};
pub use lru::{LruBackend, LruCache};
pub use mini_moka::{MiniMokaBackend, MiniMokaCache};
pub use moka_future::{MokaFutureBackend, MokaFutureCache};

/// A weight for libraries that count in 32 bits.
fn narrow(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Builds [`NoCache`]s.
#[derive(Debug, Clone, Copy)]
pub struct NoBackend;

impl CacheBackend for NoBackend {
    type Cache<K: CacheKey, V: CacheValue> = NoCache<K, V>;

    fn name(&self) -> &'static str {
        "none"
    }

    fn build<K: CacheKey, V: CacheValue>(&self, _policy: CachePolicy<K, V>) -> NoCache<K, V> {
        NoCache(PhantomData)
    }
}

/// A cache that never holds an entry.
#[derive(Debug)]
pub struct NoCache<K, V>(PhantomData<fn(K, V)>);

impl<K: CacheKey, V: CacheValue> Cache<K, V> for NoCache<K, V> {
    fn get(&self, _key: &K) -> Option<V> {
        None
    }

    fn insert(&self, _key: K, _value: V) {}

    fn remove(&self, _key: &K) {}

    fn clear(&self) {}

    fn entry_count(&self) -> u64 {
        0
    }

    fn weighted_size(&self) -> u64 {
        0
    }

    fn counters(&self) -> CacheCounters {
        CacheCounters::default()
    }

    fn run_pending_tasks(&self) {}
}

#[cfg(test)]
mod tests {
    use memory_testkit::cache::Suite;

    use super::*;

    /// Checks the part of the contract that the comparison relies on.
    fn assert_returns_correct_values(backend: &impl CacheBackend) {
        let suite = Suite::new().only([
            "values::holds_what_fits",
            "values::gives_the_latest",
            "values::gives_nothing_else",
            "values::too_heavy_a_value_ends_the_older",
            "values::remove_takes_effect_at_once",
            "threads::never_see_older_values",
        ]);
        suite.run(backend).assert();
    }

    #[test]
    fn third_party_caches_return_correct_values() {
        assert_returns_correct_values(&MokaFutureBackend);
        assert_returns_correct_values(&MiniMokaBackend);
        assert_returns_correct_values(&FoyerBackend::TINY_LFU);
        assert_returns_correct_values(&FoyerBackend::S3_FIFO);
        assert_returns_correct_values(&LruBackend);
    }
}
