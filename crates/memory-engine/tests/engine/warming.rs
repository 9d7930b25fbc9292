//! Loading snapshots after a start: which, how many, how fast, and what it never holds
//! up.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{Fixture, StoreGate, fixture_on, mira};
use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    AccessUpdate, ByteSize, EntityId, ErrorKind, MemoryBatchItem, MemoryConfig, MemoryKind, Store,
};
use memory_engine::{Engine, RecallHit, RecallPath, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore, MinimalStore};
use tokio::time::{Instant, sleep};

const QUESTION: &str = "which memory?";

fn name(entity: u32) -> EntityId {
    EntityId::from(format!("entity {entity}"))
}

/// A store in which some entities have memories; the highest numbers were accessed last.
async fn used(entities: u32, memories: usize) -> Arc<StoreGate> {
    let store = StoreGate::new();
    let writer = fixture_on(Arc::clone(&store), MemoryConfig::default());
    for entity in 0..entities {
        let items = (0..memories).map(|n| {
            let content = format!("memory number {n} of {entity}");
            MemoryBatchItem::new(name(entity), MemoryKind::Experience, content)
        });
        let ids = writer.engine.retain_batch(items.collect()).await.unwrap();
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000 + i64::from(entity));
        let access = AccessUpdate::new(name(entity), ids[0], 1, at);
        store
            .inner
            .record_accesses(&[access], Duration::ZERO)
            .await
            .unwrap();
    }
    store
}

fn start(store: &Arc<StoreGate>, warm_entities: u64) -> Fixture {
    let config = MemoryConfig {
        warm_entities,
        ..MemoryConfig::default()
    };
    fixture_on(Arc::clone(store), config)
}

async fn recall(engine: &Engine, entity: &EntityId) -> Vec<RecallHit> {
    let request = RecallRequest::new(QUESTION).limit(1_000);
    engine.recall(entity, &request).await.unwrap()
}

/// Waits until something is so, also where the clock of the runtime is paused.
async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        let waited = begun.elapsed();
        assert!(waited.as_secs() < 60, "waited in vain until {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn loaded(store: &StoreGate, loads: u64) {
    let is_loaded = || StoreGate::count(&store.full_loads) >= loads;
    wait_until("the snapshots are loaded", is_loaded).await;
}

/// Waits until the entity tier has so many snapshots.
async fn cached(b: &Fixture, entries: u64) {
    let is_cached = || b.engine.cache_stats().entity.entries >= entries;
    wait_until("the snapshots are cached", is_cached).await;
}

#[tokio::test]
async fn what_was_accessed_last_is_loaded() {
    let store = used(5, 3).await;
    let b = start(&store, 3);
    loaded(&store, 3).await;
    cached(&b, 3).await;
    for entity in [2, 3, 4] {
        assert_eq!(recall(&b.engine, &name(entity)).await.len(), 3);
    }
    assert_eq!(StoreGate::count(&store.full_loads), 3, "all were loaded");
    assert_eq!(b.engine.cache_stats().entity.hits, 3);
    recall(&b.engine, &name(1)).await;
    assert_eq!(StoreGate::count(&store.full_loads), 4, "this one was not");
}

#[tokio::test]
async fn nothing_is_loaded_by_default() {
    let store = used(2, 3).await;
    let _b = fixture_on(Arc::clone(&store), MemoryConfig::default());
    sleep(Duration::from_millis(100)).await;
    assert_eq!(StoreGate::count(&store.full_loads), 0);
}

#[tokio::test]
async fn a_question_does_not_wait_for_a_load() {
    let store = used(1, 300).await;
    store.hold_reads();
    let b = start(&store, 1);
    store.reached.notified().await;
    let hits = recall(&b.engine, &name(0)).await;
    assert_eq!(hits.len(), 300, "while the load is held");
    assert_eq!(hits[0].explanation.path, RecallPath::Store);
    store.release();
    cached(&b, 1).await;
    let hits = recall(&b.engine, &name(0)).await;
    assert_eq!(hits[0].explanation.path, RecallPath::Snapshot);
    assert_eq!(StoreGate::count(&store.full_loads), 1);
}

#[tokio::test]
async fn a_write_during_a_load_is_seen() {
    let store = used(1, 3).await;
    store.hold_reads();
    let b = start(&store, 1);
    store.reached.notified().await;
    let item = MemoryBatchItem::new(name(0), MemoryKind::Experience, "a fourth memory");
    b.engine.retain_batch(vec![item]).await.unwrap();
    store.release();
    assert_eq!(recall(&b.engine, &name(0)).await.len(), 4);
}

#[tokio::test]
async fn closing_ends_it() {
    let store = used(3, 3).await;
    store.hold_reads();
    let b = start(&store, 3);
    store.reached.notified().await;
    b.engine.close().await.unwrap();
    store.release();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(
        StoreGate::count(&store.full_loads),
        1,
        "the one in progress"
    );
}

#[tokio::test]
async fn dropping_the_system_ends_it() {
    let store = used(3, 3).await;
    store.hold_reads();
    let b = start(&store, 3);
    store.reached.notified().await;
    drop(b);
    store.release();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(
        StoreGate::count(&store.full_loads),
        1,
        "the one in progress"
    );
}

#[tokio::test(start_paused = true)]
async fn loads_are_spread_over_time() {
    let store = used(6, 3).await;
    let started = Instant::now();
    let _b = start(&store, 6);
    loaded(&store, 6).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
}

/// A tier of 224 KiB for snapshots.
fn small_tier() -> MemoryConfig {
    MemoryConfig {
        entity_cache_max_bytes: ByteSize(256 * 1_024),
        ..MemoryConfig::default()
    }
}

#[tokio::test]
async fn loads_end_at_half_of_the_bytes() {
    let store = used(8, 50).await;
    let b = fixture_on(Arc::clone(&store), small_tier());
    let warmed = b.engine.warm(8).await.unwrap();
    assert!((1..8).contains(&warmed), "{warmed}");
    let stats = b.engine.cache_stats().entity;
    assert!(
        stats.entries >= 1 && stats.bytes <= 112 * 1_024,
        "{stats:?}"
    );
    assert_eq!(stats.evictions, 0, "{stats:?}");
    let cached = b.engine.warm(8).await.unwrap();
    assert!(
        cached <= 1,
        "one more at most, which does not fit: {cached}"
    );
    assert_eq!(b.engine.cache_stats().entity.entries, stats.entries);
}

#[tokio::test]
async fn loads_end_at_half_of_the_entries() {
    let store = used(8, 3).await;
    let config = MemoryConfig {
        cache_max_capacity: 60,
        ..MemoryConfig::default()
    };
    let b = fixture_on(Arc::clone(&store), config);
    assert_eq!(b.engine.warm(8).await.unwrap(), 3, "of six");
    assert_eq!(b.engine.cache_stats().entity.entries, 3);
}

#[tokio::test]
async fn what_was_asked_for_is_not_evicted() {
    let store = used(8, 50).await;
    let b = fixture_on(Arc::clone(&store), small_tier());
    let mut asked = 0;
    while b.engine.cache_stats().entity.bytes <= 112 * 1_024 {
        assert!(asked < 8, "all of them are small");
        recall(&b.engine, &name(asked)).await;
        asked += 1;
    }
    let before = b.engine.cache_stats().entity;
    assert_eq!(before.entries, u64::from(asked), "{before:?}");
    assert_eq!(b.engine.warm(8).await.unwrap(), 0);
    let after = b.engine.cache_stats().entity;
    assert_eq!((after.entries, after.evictions), (before.entries, 0));
}

#[tokio::test]
async fn a_store_that_does_not_say_what_was_accessed_works_as_before() {
    let config = MemoryConfig {
        warm_entities: 5,
        ..MemoryConfig::default()
    };
    let engine = Engine::builder(MokaBackend)
        .config(config)
        .build(
            Arc::new(MinimalStore::new(Arc::new(InMemoryStore::new()))),
            Arc::new(HashEmbedder::new()),
        )
        .unwrap();
    let item = MemoryBatchItem::new("mira", MemoryKind::Experience, "a red horse");
    engine.retain_batch(vec![item]).await.unwrap();
    assert_eq!(recall(&engine, &mira()).await.len(), 1);
    let refused = engine.warm(5).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_failed_load_is_no_failure_of_the_system() {
    let store = used(2, 3).await;
    store.inner.close().await.unwrap();
    let b = start(&store, 2);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(StoreGate::count(&store.full_loads), 0);
    let refused = b.engine.warm(2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}
