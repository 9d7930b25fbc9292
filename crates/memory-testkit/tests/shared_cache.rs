//! The reference shared cache passes the suite.

use memory_testkit::{InMemorySharedCache, shared_cache};

#[tokio::test]
async fn the_in_memory_shared_cache_conforms() {
    let report = shared_cache::conformance(&InMemorySharedCache::new()).await;
    report.assert();
    assert_eq!(report.outcomes().len(), shared_cache::CHECKS.len());
}
