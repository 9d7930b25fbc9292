//! Closing, and what a closed system answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use memory_core::{
    Consistency, Embedder, ErrorKind, ListRequest, MemoryConfig, MemoryError, MemoryFilter,
    MemoryPatch, MemoryResult,
};
use memory_engine::{ConsolidateRequest, Engine, RecallRequest, ReembedRequest, ReflectRequest};
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation, wait_until,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::background_loads::recall_from_snapshot;
use crate::fixture::{fixture_with, item, mira};

#[track_caller]
fn assert_closed<T>(what: &str, result: MemoryResult<T>) {
    let error = result.err().unwrap_or_else(|| panic!("{what} succeeded"));
    assert_eq!(error.kind(), ErrorKind::Closed, "{what}: {error}");
}

#[tokio::test]
async fn every_call_after_a_close_is_refused_whatever_is_cached() {
    for consistency in [
        Consistency::Local,
        Consistency::Bounded(Duration::from_secs(60)),
        Consistency::Checked,
    ] {
        let config = MemoryConfig {
            consistency: Some(consistency),
            ..MemoryConfig::default()
        };
        let b = fixture_with(config);
        let (engine, entity) = (&b.engine, &mira());
        let items = vec![item("rain"), item("snow")];
        let ids = engine.retain_batch(items).await.unwrap();
        let (list, ask) = (ListRequest::new(10), RecallRequest::new("rain"));
        let memory = engine.get_memory(entity, &ids[0]).await.unwrap();
        engine.recall(entity, &ask).await.unwrap();
        engine.list_memories(entity, &list).await.unwrap();
        engine.entity_generation(entity).await.unwrap();
        engine.close().await.unwrap();
        engine.close().await.unwrap();

        assert_closed("get_memory", engine.get_memory(entity, &ids[0]).await);
        assert_closed("get_memories", engine.get_memories(entity, &ids).await);
        assert_closed("none", engine.get_memories(entity, &[]).await);
        assert_closed("recall", engine.recall(entity, &ask).await);
        let past = Utc::now() - TimeDelta::days(1);
        let later = MemoryFilter::new().since(Utc::now());
        let recall_past = ask.clone().filter(later.clone()).as_of(past);
        assert_closed("recall as_of", engine.recall(entity, &recall_past).await);
        let reflect = ReflectRequest::new("rain");
        assert_closed("reflect", engine.reflect(entity, &reflect).await);
        assert_closed("list", engine.list_memories(entity, &list).await);
        let list_past = list.clone().filter(later);
        let listed = engine.list_memories_as_of(entity, past, &list_past).await;
        assert_closed("list_as_of", listed);
        assert_closed("generation", engine.entity_generation(entity).await);
        assert_closed("stats", engine.entity_stats(entity).await);
        let texts = ["rain".to_owned()];
        assert_closed("embed", engine.generate_embeddings_batch(&texts).await);
        assert_closed("check", engine.check_embedder().await);
        assert_closed("retain", engine.retain_batch(vec![item("hail")]).await);
        assert_closed("retain none", engine.retain_batch(Vec::new()).await);
        assert_closed("restore none", engine.restore_memories(Vec::new()).await);
        let summary = (*memory).clone().into();
        let restored = engine.restore_summary(summary, vec![ids[1]]).await;
        assert_closed("restore_summary", restored);
        let patch = MemoryPatch::new().content("hail");
        assert_closed("alter", engine.alter_memory(entity, &ids[0], &patch).await);
        assert_closed("relate", engine.relate(entity, &ids[0], &ids[1], "x").await);
        assert_closed("related", engine.related(entity, &ids[0]).await);
        assert_closed("delete", engine.delete_memory(entity, &ids[0]).await);
        assert_closed("forget", engine.forget(entity, &ids[0]).await);
        let pruned = engine.prune_low_importance_memories(entity, 0).await;
        assert_closed("prune", pruned);
        let consolidate = ConsolidateRequest::new();
        assert_closed(
            "consolidate",
            engine.consolidate(entity, &consolidate).await,
        );
        let automatic = engine.auto_consolidate_if_needed(entity).await;
        assert_closed("auto_consolidate_if_needed", automatic);
        let reembed = ReembedRequest::new();
        assert_closed("reembed", engine.reembed(entity, &reembed).await);
    }
}

/// A store whose closing waits, and fails if that is set.
#[derive(Debug, Default)]
struct SlowClose {
    fails: AtomicBool,
    reached: Notify,
    released: Notify,
}

#[async_trait]
impl StoreHooks for SlowClose {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::Close {
            self.reached.notify_one();
            self.released.notified().await;
            if self.fails.load(Ordering::SeqCst) {
                return Err(MemoryError::store(ErrorKind::Unavailable, "close", "busy"));
            }
        }
        Ok(())
    }
}

async fn slow_to_close(fails: bool) -> (Engine, Arc<SlowClose>) {
    let hooks = Arc::new(SlowClose::default());
    hooks.fails.store(fails, Ordering::SeqCst);
    let shared = Arc::clone(&hooks) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), shared);
    let embedder = Arc::new(HashEmbedder::new()) as Arc<dyn Embedder>;
    let engine = Engine::builder(MokaBackend).build(Arc::new(store), embedder);
    let engine = engine.unwrap();
    // More than a recall waits for.
    let items = (0..600).map(|n| item(&format!("memory number {n}")));
    engine.retain_batch(items.collect()).await.unwrap();
    (engine, hooks)
}

#[tokio::test]
async fn a_close_that_is_dropped_runs_to_its_end() {
    let (engine, hooks) = slow_to_close(false).await;
    let closing = timeout(Duration::from_millis(20), engine.close()).await;
    assert!(closing.is_err());
    hooks.reached.notified().await;
    hooks.released.notify_one();
    wait_until("the system is closed", || async {
        engine.entity_stats(&mira()).await.is_err()
    })
    .await;
    let recalled = engine.recall(&mira(), &RecallRequest::new("which?")).await;
    assert_closed("recall", recalled);
}

#[tokio::test]
async fn a_system_that_could_not_be_closed_loads_snapshots_as_before() {
    let (engine, hooks) = slow_to_close(true).await;
    hooks.released.notify_one();
    let error = engine.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let hits = recall_from_snapshot(&engine, &mira()).await;
    assert_eq!(hits.len(), 600);
}
