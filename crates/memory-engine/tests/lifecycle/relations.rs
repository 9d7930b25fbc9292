//! Relations between memories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    ErrorKind, InvalidInput, ListRequest, ListScope, MemoryBatchItem, MemoryConfig, MemoryError,
    MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult,
};
use memory_engine::{ConsolidateRequest, LinkDirection};
use memory_testkit::{
    HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation, wait_until,
};
use tokio::sync::Notify;

use crate::fixture::{Interleaving, fixture, fixture_on, item, mira};

#[tokio::test]
async fn a_relation_is_visible_from_both_ends_and_can_be_removed() {
    let b = fixture();
    let ids = b
        .retain(vec![
            item("the mill burned"),
            item("a spark flew"),
            item("rain"),
        ])
        .await;
    let (fire, spark) = (ids[0], ids[1]);
    b.engine
        .relate(&mira(), &fire, &spark, "caused by")
        .await
        .unwrap();
    b.engine
        .relate(&mira(), &ids[2], &fire, "after")
        .await
        .unwrap();
    let related = b.engine.related(&mira(), &fire).await.unwrap();
    let described: Vec<_> = related
        .iter()
        .map(|r| (r.memory.content.as_str(), r.relation.as_str(), r.direction))
        .collect();
    assert_eq!(
        described,
        [
            ("a spark flew", "caused by", LinkDirection::Outgoing),
            ("rain", "after", LinkDirection::Incoming)
        ]
    );
    b.engine
        .relate(&mira(), &fire, &spark, "because of")
        .await
        .unwrap();
    let related = b.engine.related(&mira(), &spark).await.unwrap();
    assert_eq!((related.len(), &*related[0].relation), (1, "because of"));

    let filter = MemoryFilter::new().relates_to(spark);
    let page = ListRequest::new(10).filter(filter.clone());
    let page = b.engine.list_memories(&mira(), &page).await.unwrap();
    assert_eq!(page.memories[0].id, fire);
    assert_eq!(b.engine.count_memories(&mira(), &filter).await.unwrap(), 1);

    let generation = || async { b.engine.entity_stats(&mira()).await.unwrap().generation };
    b.engine.unrelate(&mira(), &fire, &spark).await.unwrap();
    assert!(b.engine.related(&mira(), &spark).await.unwrap().is_empty());
    let before = generation().await;
    b.engine.unrelate(&mira(), &fire, &spark).await.unwrap();
    assert_eq!(
        generation().await,
        before,
        "nothing to remove, nothing written"
    );
}

#[tokio::test]
async fn both_ends_must_exist_and_differ() {
    let b = fixture();
    let ids = b.retain(vec![item("a"), item("b")]).await;
    let tams = MemoryBatchItem::new("tam", MemoryKind::World, "c");
    let tams = b.retain(vec![tams]).await[0];
    let error = b.engine.relate(&mira(), &ids[0], &ids[0], "x").await;
    assert!(matches!(
        error.unwrap_err(),
        MemoryError::InvalidInput {
            problem: InvalidInput::SelfRelation,
            ..
        }
    ));
    let long = "r".repeat(129);
    let error = b.engine.relate(&mira(), &ids[0], &ids[1], &long).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    for (from, to) in [
        (ids[0], MemoryId::new()),
        (MemoryId::new(), ids[0]),
        (ids[0], tams),
    ] {
        let error = b.engine.relate(&mira(), &from, &to, "x").await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(b.engine.related(&mira(), &ids[0]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_summary_is_related_to_its_sources() {
    let b = fixture();
    let ids = b.retain(vec![item("the same"), item("the same")]).await;
    let request = ConsolidateRequest::new();
    let done = b.engine.consolidate(&mira(), &request).await.unwrap();
    let related = b
        .engine
        .related(&mira(), &done.summaries[0].id)
        .await
        .unwrap();
    let mut sources: Vec<_> = related.iter().map(|r| r.memory.id).collect();
    sources.sort();
    assert_eq!(sources, ids);
    assert!(related.iter().all(|r| r.relation == "summarizes"));
}

#[tokio::test]
async fn no_link_to_a_memory_that_is_forgotten_meanwhile_stays() {
    let (hooks, b, other) = Interleaving::fixtures(&MemoryConfig::default());
    let ids = b.retain(vec![item("a"), item("b")]).await;
    let (from, to) = (ids[0], ids[1]);
    hooks.after(StoreOperation::Get, async move {
        other.engine.forget(&mira(), &to).await.unwrap();
    });
    let error = b.engine.relate(&mira(), &from, &to, "x").await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(b.all(ListScope::Live).await[0].related.is_empty());
}

/// Fails the second read by ids.
#[derive(Debug, Default)]
struct SecondGetFails(AtomicU64);

#[async_trait]
impl StoreHooks for SecondGetFails {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        let is_get = call.operation == StoreOperation::Get;
        if is_get && self.0.fetch_add(1, Ordering::SeqCst) == 1 {
            return Err(MemoryError::store(ErrorKind::Unavailable, "get", "busy"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_link_that_was_written_is_no_failure() {
    let gets = Arc::new(SecondGetFails::default());
    let hooks = Arc::clone(&gets) as Arc<dyn StoreHooks>;
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let b = fixture_on(Arc::new(store), MemoryConfig::default(), None);
    let ids = b.retain(vec![item("a"), item("b")]).await;
    let related = b.engine.relate(&mira(), &ids[0], &ids[1], "x").await;
    related.unwrap();
    assert_eq!(gets.0.load(Ordering::SeqCst), 2, "one failed");
    let memory = b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    assert_eq!(memory.related[&ids[1]], "x");
}

/// Its caller is dropped between the link and the look at its target.
#[tokio::test]
async fn no_link_to_what_was_deleted_stays_where_the_caller_is_dropped() {
    let (hooks, b, other) = Interleaving::fixtures(&MemoryConfig::default());
    let ids = b.retain(vec![item("a"), item("b")]).await;
    let (from, to) = (ids[0], ids[1]);
    let (written, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let linked = Arc::new(Notify::new());
    let (is_written, is_released) = (Arc::clone(&written), Arc::clone(&released));
    let is_linked = Arc::clone(&linked);
    let deleting = Arc::clone(&other);
    hooks.after(StoreOperation::Update, async move {
        is_written.notify_one();
        is_released.notified().await;
        deleting.engine.delete_memory(&mira(), &to).await.unwrap();
        // A link to what is gone, as if it was deleted before the link was written.
        let patch = MemoryPatch::new().relate(to, "x");
        let altered = deleting.engine.alter_memory(&mira(), &from, &patch).await;
        altered.unwrap();
        is_linked.notify_one();
    });
    let engine = b.engine.clone();
    let relating = tokio::spawn(async move { engine.relate(&mira(), &from, &to, "x").await });
    written.notified().await;
    relating.abort();
    assert!(relating.await.is_err());
    released.notify_one();
    linked.notified().await;
    wait_until("the link to what is gone is removed", || async {
        let memory = other.engine.get_memory(&mira(), &from).await.unwrap();
        memory.related.is_empty()
    })
    .await;
    assert!(other.engine.get_memory(&mira(), &to).await.is_err());
}
