//! The reference shared cache passes the suite, whenever its clock begins.

use async_trait::async_trait;
use memory_core::{MemoryResult, SharedCache, SharedEntry, SharedGroup, SharedKey, SharedLookup};
use memory_testkit::{InMemorySharedCache, shared_cache};

#[tokio::test]
async fn the_in_memory_shared_cache_conforms() {
    let report = shared_cache::conformance(&InMemorySharedCache::new()).await;
    report.assert();
    assert_eq!(report.outcomes().len(), shared_cache::CHECKS.len());
}

/// A cache whose clock counts from its start.
#[derive(Debug)]
struct CountsFromStart {
    cache: InMemorySharedCache,
    /// The start by the clock of `cache`.
    start: u64,
}

#[async_trait]
impl SharedCache for CountsFromStart {
    fn name(&self) -> &'static str {
        "counts from its start"
    }

    async fn get_many(&self, keys: &[SharedKey]) -> MemoryResult<Vec<SharedLookup>> {
        let mut lookups = self.cache.get_many(keys).await?;
        for lookup in &mut lookups {
            lookup.now.0 -= self.start;
            if let Some(value) = &mut lookup.value {
                value.as_of.0 -= self.start;
            }
        }
        Ok(lookups)
    }

    async fn put_many(&self, entries: &[SharedEntry]) -> MemoryResult<Vec<bool>> {
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            entry.as_of.0 += self.start;
        }
        self.cache.put_many(&entries).await
    }

    async fn remove_many(&self, keys: &[SharedKey], version: u64) -> MemoryResult<()> {
        self.cache.remove_many(keys, version).await
    }

    async fn remove_group(&self, group: &SharedGroup, version: u64) -> MemoryResult<()> {
        self.cache.remove_group(group, version).await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.cache.close().await
    }
}

#[tokio::test]
async fn a_cache_whose_clock_counts_from_its_start_conforms() {
    let cache = InMemorySharedCache::new();
    let key = SharedKey::new(SharedGroup([1; 16]), [1; 16]);
    let lookups = cache.get_many(&[key]).await;
    let start = lookups.map_or(0, |lookups| lookups[0].now.0);
    let report = shared_cache::conformance(&CountsFromStart { cache, start }).await;
    report.assert();
}
