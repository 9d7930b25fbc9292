//! Restoring exported memories.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    ErrorKind, LimitPolicy, ListScope, Memory, MemoryConfig, MemoryError, MemoryId, MemoryResult,
};
use memory_engine::{ConsolidateRequest, RestoreItem};
use memory_testkit::{
    HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation, wait_until,
};
use tokio::sync::Notify;

use crate::fixture::{Fixture, Interleaving, days_ago, fixture, fixture_on, item, mira, now};

fn items(memories: &[Memory]) -> Vec<RestoreItem> {
    memories.iter().cloned().map(RestoreItem::from).collect()
}

async fn everything(b: &Fixture) -> Vec<Memory> {
    let mut all = b.all(ListScope::Live).await;
    all.extend(b.all(ListScope::Archived).await);
    all.sort_by_key(|memory| memory.id);
    all
}

#[tokio::test]
async fn memories_and_summaries_are_restored_completely() {
    let b = fixture();
    b.retain(vec![
        item("the ferry left").with_timestamp(days_ago(9)),
        item("the ferry left").with_timestamp(days_ago(8)),
        item("bread").with_tag("x").with_importance(0.25),
    ])
    .await;
    b.recall("ferry").await;
    let request = ConsolidateRequest::new();
    let low = b.engine.consolidate(&mira(), &request).await.unwrap();
    b.retain(vec![item("the ferry left")]).await;
    let high = b.engine.consolidate(&mira(), &request).await.unwrap();
    let mut touched = b.all(ListScope::Live).await;
    touched.retain(|memory| memory.content == "bread");
    let update = memory_core::AccessUpdate::new(mira(), touched[0].id, 7, now());
    b.store
        .record_accesses(&[update], Duration::ZERO)
        .await
        .unwrap();
    b.engine.clear_all_caches();
    let before = everything(&b).await;
    assert_eq!(before.len(), 6);

    let other = fixture();
    let (low, high) = (&low.summaries[0], &high.summaries[0]);
    let is_summary = |memory: &Memory| [low.id, high.id].contains(&memory.id);
    let (summaries, plain): (Vec<_>, Vec<_>) = before.iter().cloned().partition(is_summary);
    for time in 0..2 {
        let ids = other.engine.restore_memories(items(&plain)).await.unwrap();
        assert_eq!(ids.len(), 4);
        for summary in [low, high] {
            let memory = summaries.iter().find(|memory| memory.id == summary.id);
            let (memory, sources) = (memory.unwrap().clone(), summary.sources.clone());
            let fresh = other.engine.restore_summary(memory.into(), sources).await;
            assert_eq!(fresh.unwrap(), time == 0, "everything exists already");
        }
        assert_eq!(everything(&other).await, before);
    }
    let generation = other.engine.entity_stats(&mira()).await.unwrap().generation;
    assert_eq!(generation.0, 3, "the second time wrote nothing");
    let bread = other
        .engine
        .get_memory(&mira(), &touched[0].id)
        .await
        .unwrap();
    assert_eq!((bread.access_count, bread.last_accessed), (7, Some(now())));
}

#[tokio::test]
async fn invalid_memories_and_missing_sources_are_refused() {
    let b = fixture();
    let memory = |content: &str| item(content).into_memory(now()).unwrap();
    let mut bad = memory("x");
    bad.decay_rate = f32::NAN;
    let error = b.engine.restore_memories(items(&[memory("a"), bad])).await;
    assert!(error.unwrap_err().to_string().contains("item 1"));
    let missing = vec![memory_core::MemoryId::new()];
    let error = b.engine.restore_summary(memory("s").into(), missing).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Changed);
    let taken = b.retain(vec![item("a"), item("b")]).await;
    let mut summary = memory("other");
    summary.id = taken[0];
    let error = b
        .engine
        .restore_summary(summary.into(), vec![taken[1]])
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
}

/// Nothing is embedded for it, whether or not the summary exists.
#[tokio::test]
async fn sources_of_a_summary_are_checked_first() {
    let b = fixture();
    let ids = b.retain(vec![item("a"), item("b")]).await;
    let existing = b.all(ListScope::Live).await.remove(0);
    let texts = b.embedder.texts();
    let new = item("new").into_memory(now()).unwrap();
    for summary in [existing, new] {
        let own = summary.id;
        for (sources, expected) in [
            (vec![], "no sources"),
            (vec![ids[1], ids[1]], "twice"),
            (vec![own], "twice"),
        ] {
            let restored = b.engine.restore_summary(summary.clone().into(), sources);
            let error = restored.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    assert_eq!(b.embedder.texts(), texts);
}

#[tokio::test]
async fn memories_whose_summary_follows_them_are_archived() {
    let b = fixture();
    let memory = |content: &str| item(content).into_memory(now()).unwrap();
    let [mut source, mut below, mut low, high] = ["a", "b", "a b", "all"].map(memory);
    (source.archived_by, below.archived_by) = (Some(low.id), Some(low.id));
    low.archived_by = Some(high.id);
    let all = [source.clone(), below.clone(), low.clone(), high.clone()];
    // In another order they are live.
    let turned: Vec<Memory> = all.iter().rev().cloned().collect();
    let other = fixture();
    other.engine.restore_memories(items(&turned)).await.unwrap();
    assert_eq!(other.all(ListScope::Live).await.len(), 4);

    for _ in 0..2 {
        let ids = b.engine.restore_memories(items(&all)).await.unwrap();
        assert_eq!(ids, all.clone().map(|memory| memory.id));
        let mut expected = all.to_vec();
        expected.sort_by_key(|memory| memory.id);
        assert_eq!(everything(&b).await, expected);
    }
    let generation = b.engine.entity_stats(&mira()).await.unwrap().generation;
    assert_eq!(generation.0, 3, "the second time wrote nothing");

    // An existing summary has its sources, and an existing source its summary.
    let mut new = memory("new");
    new.archived_by = Some(high.id);
    let restored = b.engine.restore_memories(items(&[new.clone(), high]));
    assert_eq!(restored.await.unwrap_err().kind(), ErrorKind::Conflict);
    let above = memory("above");
    source.archived_by = Some(above.id);
    let restored = b.engine.restore_memories(items(&[source, above]));
    assert_eq!(restored.await.unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(everything(&b).await.len(), 4, "nothing was written");
}

fn pruning(max: u64) -> MemoryConfig {
    MemoryConfig {
        max_memories_per_entity: Some(max),
        limit_policy: LimitPolicy::Prune,
        ..MemoryConfig::default()
    }
}

/// Ten summaries of three sources each, below one summary.
fn tree() -> Vec<RestoreItem> {
    let memory = |content: &str, archived_by| {
        let mut memory = item(content).into_memory(now()).unwrap();
        memory.archived_by = archived_by;
        memory
    };
    let root = memory("all weather", None);
    let mut tree = Vec::new();
    for n in 0..10 {
        let summary = memory(&format!("weather {n}"), Some(root.id));
        let sources = (0..3).map(|m| memory(&format!("rain {n} {m}"), Some(summary.id)));
        tree.extend(sources);
        tree.push(summary);
    }
    tree.push(root);
    tree.into_iter().map(RestoreItem::from).collect()
}

/// Another process cannot know that memories are archived in a moment: what is live meanwhile
/// must be little.
#[tokio::test]
async fn a_restore_that_another_process_comes_into_evicts_nothing_of_it() {
    let (hooks, b, other) = Interleaving::fixtures(&pruning(20));
    let own: Vec<_> = (0..5)
        .map(|n| item(&format!("own {n}")).with_importance(0.01))
        .collect();
    let own = b.retain(own).await;
    let retained = Arc::new(AtomicBool::new(false));
    let is_retained = Arc::clone(&retained);
    hooks.after(StoreOperation::InsertOpts, async move {
        other.retain(vec![item("of another process")]).await;
        is_retained.store(true, Ordering::SeqCst);
    });
    b.engine.restore_memories(tree()).await.unwrap();
    assert!(retained.load(Ordering::SeqCst));
    let left = b.all(ListScope::Live).await;
    let left: Vec<MemoryId> = left.iter().map(|memory| memory.id).collect();
    assert!(own.iter().all(|id| left.contains(id)));
    assert_eq!(left.len(), 7);
    assert_eq!(b.all(ListScope::Archived).await.len(), 40);
}

#[tokio::test]
async fn a_restore_whose_caller_is_dropped_archives_all_that_it_wrote() {
    let (hooks, b, _) = Interleaving::fixtures(&pruning(20));
    let (reached, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (is_reached, is_released) = (Arc::clone(&reached), Arc::clone(&released));
    hooks.after(StoreOperation::InsertOpts, async move {
        is_reached.notify_one();
        is_released.notified().await;
    });
    let engine = b.engine.clone();
    let restoring = tokio::spawn(async move { engine.restore_memories(tree()).await });
    reached.notified().await;
    restoring.abort();
    assert!(restoring.await.is_err());
    released.notify_one();
    wait_until("all is archived", || async {
        let stats = b.engine.entity_stats(&mira()).await.unwrap();
        (stats.memory_count, stats.archived_count) == (1, 40)
    })
    .await;
}

/// The first summary cannot be written for a moment.
#[derive(Debug, Default)]
struct Busy(AtomicBool);

#[async_trait]
impl StoreHooks for Busy {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        let is_summary = call.operation == StoreOperation::Consolidate;
        if is_summary && !self.0.swap(true, Ordering::SeqCst) {
            let kind = ErrorKind::Unavailable;
            return Err(MemoryError::store(kind, "consolidate", "busy"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_store_that_is_busy_for_a_moment_leaves_no_source_live() {
    let hooks = Arc::new(Busy::default());
    let hooked = HookedStore::new(Arc::new(InMemoryStore::new()), Arc::clone(&hooks) as _);
    let b = fixture_on(Arc::new(hooked), pruning(20), None);
    b.engine.restore_memories(tree()).await.unwrap();
    assert!(hooks.0.load(Ordering::SeqCst));
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (1, 40));
}
