//! Relations between memories.

use memory_core::{
    ErrorKind, InvalidInput, ListRequest, ListScope, MemoryBatchItem, MemoryConfig, MemoryError,
    MemoryFilter, MemoryId, MemoryKind,
};
use memory_engine::{ConsolidateRequest, LinkDirection};
use memory_testkit::StoreOperation;

use crate::fixture::{Interleaving, fixture, item, mira};

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
