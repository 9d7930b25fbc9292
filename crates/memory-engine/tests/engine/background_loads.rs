//! Large snapshots are loaded in the background: no recall waits for them, and what is
//! recalled meanwhile is what the store holds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use memory_core::{
    EntityId, ErrorKind, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemoryPatch,
};
use memory_engine::{ConsolidateRequest, Engine, RecallHit, RecallPath, RecallRequest};
use tokio::time::{sleep, timeout};

use crate::fixture::{Fixture, StoreGate, fixture, fixture_on, item, mira};

/// More than a recall waits for.
const LARGE: usize = 600;

/// More than anything takes here that waits for nothing.
const LONG: Duration = Duration::from_secs(60);

fn of(entity: &str, n: usize) -> MemoryBatchItem {
    MemoryBatchItem::new(entity, MemoryKind::Experience, format!("memory number {n}"))
}

async fn retain_large(engine: &Engine, entity: &str) -> Vec<MemoryId> {
    let items = (0..LARGE).map(|n| of(entity, n)).collect();
    engine.retain_batch(items).await.unwrap()
}

/// Everything of an entity.
async fn recall_of(engine: &Engine, entity: &EntityId) -> Vec<RecallHit> {
    let request = RecallRequest::new("which number?").limit(1_000);
    let recalled = timeout(LONG, engine.recall(entity, &request)).await;
    recalled.unwrap().unwrap()
}

async fn recall(engine: &Engine) -> Vec<RecallHit> {
    recall_of(engine, &mira()).await
}

/// Recalls until a snapshot answers; a test that waits in vain ends by its time limit.
pub(crate) async fn recall_from_snapshot(engine: &Engine, entity: &EntityId) -> Vec<RecallHit> {
    loop {
        let hits = recall_of(engine, entity).await;
        if path(&hits) == RecallPath::Snapshot {
            return hits;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn path(hits: &[RecallHit]) -> RecallPath {
    hits[0].explanation.path
}

fn contents(hits: &[RecallHit]) -> BTreeSet<String> {
    hits.iter().map(|hit| hit.memory.content.clone()).collect()
}

/// A large entity, whose load waits behind the gate after it has read.
async fn loading() -> (Fixture, Vec<MemoryId>) {
    let b = fixture();
    let ids = retain_large(&b.engine, "mira").await;
    b.store.hold_loads();
    for _ in 0..2 {
        assert_eq!(path(&recall(&b.engine).await), RecallPath::Store);
    }
    timeout(LONG, b.store.reached.notified()).await.unwrap();
    (b, ids)
}

#[tokio::test]
async fn no_recall_waits_for_a_load() {
    let (b, _) = loading().await;
    for _ in 0..5 {
        let hits = recall(&b.engine).await;
        assert_eq!((hits.len(), path(&hits)), (LARGE, RecallPath::Store));
    }
    let stats = b.engine.cache_stats().entity;
    assert_eq!((stats.hits, stats.misses, stats.loads), (0, 7, 1));
    b.store.release();
    let hits = recall_from_snapshot(&b.engine, &mira()).await;
    assert_eq!(hits.len(), LARGE);
    recall(&b.engine).await;
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
    assert_eq!(b.engine.cache_stats().entity.hits, 2);
}

#[tokio::test]
async fn a_snapshot_that_writes_overtake_is_brought_up_to_date() {
    let (b, ids) = loading().await;
    let mut expected = contents(&recall(&b.engine).await);

    b.engine
        .retain_batch(vec![item("a new one")])
        .await
        .unwrap();
    expected.insert("a new one".to_owned());
    assert_eq!(contents(&recall(&b.engine).await), expected);

    let patch = MemoryPatch::new().content("what it says now");
    let altered = b.engine.alter_memory(&mira(), &ids[1], &patch).await;
    altered.unwrap();
    b.engine.delete_memory(&mira(), &ids[2]).await.unwrap();
    b.engine.forget(&mira(), &ids[3]).await.unwrap();
    for n in 1..4 {
        expected.remove(&format!("memory number {n}"));
    }
    expected.insert("what it says now".to_owned());
    assert_eq!(contents(&recall(&b.engine).await), expected);

    b.store.release();
    let hits = recall_from_snapshot(&b.engine, &mira()).await;
    assert_eq!(contents(&hits), expected);
    assert_eq!(StoreGate::count(&b.store.full_loads), 1, "read once");
    assert!(StoreGate::count(&b.store.deltas) >= 1);
}

#[tokio::test]
async fn what_another_system_writes_during_a_load_is_seen() {
    let (b, ids) = loading().await;
    let other = fixture_on(Arc::clone(&b.store), MemoryConfig::default());
    let written = other.engine.retain_batch(vec![item("theirs")]).await;
    written.unwrap();
    other.engine.forget(&mira(), &ids[0]).await.unwrap();
    let mut expected: BTreeSet<_> = (1..LARGE).map(|n| format!("memory number {n}")).collect();
    expected.insert("theirs".to_owned());
    assert_eq!(contents(&recall(&b.engine).await), expected);
    b.store.release();
    let hits = recall_from_snapshot(&b.engine, &mira()).await;
    assert_eq!(contents(&hits), expected);
}

/// What was read before is not used: it may be of a file that was restored meanwhile.
#[tokio::test]
async fn a_load_that_was_in_progress_when_caches_are_cleared_is_not_kept() {
    let clears: [fn(&Engine); 2] = [Engine::clear_all_caches, |engine| {
        engine.invalidate_entity_cache(&mira());
    }];
    for clear in clears {
        let (b, _) = loading().await;
        clear(&b.engine);
        b.store.release();
        while b.engine.cache_stats().entity.stale_fills_refused == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        recall_from_snapshot(&b.engine, &mira()).await;
        assert_eq!(StoreGate::count(&b.store.full_loads), 2);
        assert_eq!(
            StoreGate::count(&b.store.deltas),
            1,
            "after the second load, and none to what was read before"
        );
    }
}

#[tokio::test]
async fn a_load_that_fails_fails_no_recall_and_is_not_tried_at_once() {
    let b = fixture();
    retain_large(&b.engine, "mira").await;
    b.store.loads_fail.store(true, Ordering::SeqCst);
    recall(&b.engine).await;
    let mut recalls = 0;
    while StoreGate::count(&b.store.full_loads) < 1 {
        assert_eq!(path(&recall(&b.engine).await), RecallPath::Store);
    }
    while recalls < 20 {
        assert_eq!(recall(&b.engine).await.len(), LARGE);
        recalls += 1;
    }
    // A machine may take longer than the pause for them.
    let loads = StoreGate::count(&b.store.full_loads);
    assert!(loads <= 5, "{loads} loads for 20 recalls");
    b.store.loads_fail.store(false, Ordering::SeqCst);
    recall_from_snapshot(&b.engine, &mira()).await;
}

#[tokio::test]
async fn a_load_goes_on_without_the_recall_that_started_it() {
    let b = fixture();
    retain_large(&b.engine, "mira").await;
    recall(&b.engine).await;
    b.store.hold_loads();
    let engine = b.engine.clone();
    let recalling = tokio::spawn(async move { recall(&engine).await });
    timeout(LONG, b.store.reached.notified()).await.unwrap();
    recalling.abort();
    b.store.release();
    while b.engine.cache_stats().entity.entries == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(path(&recall(&b.engine).await), RecallPath::Snapshot);
}

#[tokio::test]
async fn one_snapshot_is_loaded_at_a_time() {
    let b = fixture();
    let names = ["mira", "tam", "ivo"].map(EntityId::from);
    for entity in &names {
        retain_large(&b.engine, entity.as_str()).await;
    }
    b.store.hold_loads();
    for entity in names.iter().cycle().take(9) {
        assert_eq!(path(&recall_of(&b.engine, entity).await), RecallPath::Store);
    }
    timeout(LONG, b.store.reached.notified()).await.unwrap();
    assert_eq!(StoreGate::count(&b.store.full_loads), 1);
    b.store.release();
    for entity in &names {
        recall_from_snapshot(&b.engine, entity).await;
    }
    assert_eq!(StoreGate::count(&b.store.full_loads), 3);
}

#[tokio::test]
async fn closing_ends_a_load() {
    let (b, _) = loading().await;
    b.engine.close().await.unwrap();
    b.store.release();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(
        StoreGate::count(&b.store.deltas),
        0,
        "it reads nothing more"
    );
    assert_eq!(b.engine.cache_stats().entity.entries, 0);
    let request = RecallRequest::new("which number?");
    let refused = b.engine.recall(&mira(), &request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn dropping_the_system_ends_a_load() {
    let (b, _) = loading().await;
    let Fixture { engine, store, .. } = b;
    drop(engine);
    // The load is still held: it ends without it.
    while Arc::strong_count(&store) > 1 {
        sleep(Duration::from_millis(1)).await;
    }
}

/// They wait for a load, as they have to be exact, and for one together.
#[tokio::test]
async fn recalls_as_of_a_moment_share_one_load() {
    let b = fixture();
    let mut items: Vec<_> = (0..LARGE).map(|n| of("mira", n)).collect();
    items.push(item("the mill burned down"));
    items.push(item("the mill burned down"));
    b.engine.retain_batch(items).await.unwrap();
    let request = ConsolidateRequest::default();
    let consolidated = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(consolidated.summaries.len(), 1);
    let loads = StoreGate::count(&b.store.full_loads);
    b.engine.clear_all_caches();
    b.store.hold_loads();

    let moment = Utc::now() - TimeDelta::days(1);
    let recall = || async {
        let request = RecallRequest::new("which number?").as_of(moment);
        b.engine.recall(&mira(), &request).await.unwrap()
    };
    let waiting = async {
        b.store.reached.notified().await;
        // Longer than the others need to join.
        sleep(Duration::from_millis(50)).await;
        b.store.release();
    };
    let recalls = join_all((0..4).map(|_| recall()));
    let (found, ()) = timeout(LONG, async { tokio::join!(recalls, waiting) })
        .await
        .unwrap();
    assert!(found.iter().all(|hits| *hits == found[0]));
    assert_eq!(StoreGate::count(&b.store.full_loads) - loads, 1);
    assert_eq!(
        path(&recall_of(&b.engine, &mira()).await),
        RecallPath::Snapshot
    );
}
