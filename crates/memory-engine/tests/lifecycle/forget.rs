//! Forgetting and deleting memories.

use memory_core::{ErrorKind, ListScope, MemoryPatch};
use memory_engine::ConsolidateRequest;

use crate::fixture::{Fixture, fixture, item, mira};

const SECRET: &str = "the silver key lies below the chapel stairs";

/// How many of these texts have no vector in the embedding tier.
async fn not_cached(b: &Fixture, texts: &[&str]) -> u64 {
    let before = b.embedder.texts();
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    b.engine.generate_embeddings_batch(&texts).await.unwrap();
    b.embedder.texts() - before
}

#[tokio::test]
async fn a_forgotten_memory_leaves_no_row_vector_link_or_tier_entry() {
    let b = fixture();
    let ids = b.retain(vec![item(SECRET), item("Bread is dear")]).await;
    b.engine
        .relate(&mira(), &ids[1], &ids[0], "before")
        .await
        .unwrap();
    b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    assert_eq!(b.recall("silver key").await.len(), 2);

    assert_eq!(b.engine.forget(&mira(), &ids[0]).await.unwrap(), [ids[0]]);
    let error = b.engine.get_memory(&mira(), &ids[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(b.recall("silver key").await, ["Bread is dear"]);
    let other = b.engine.get_memory(&mira(), &ids[1]).await.unwrap();
    assert!(other.related.is_empty(), "its link is gone");
    assert_eq!(not_cached(&b, &["Bread is dear"]).await, 0);
    assert_eq!(not_cached(&b, &[SECRET]).await, 1, "its vector is gone");
    let again = b.engine.forget(&mira(), &ids[0]).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

/// Two levels: `SECRET` twice, summarized, and the summary summarized again
/// with a third.
async fn two_levels(b: &Fixture) -> (Vec<memory_core::MemoryId>, memory_core::MemoryId) {
    let request = ConsolidateRequest::new().min_similarity(0.6);
    let mut ids = b
        .retain(vec![item(SECRET), item(&format!("{SECRET} indeed"))])
        .await;
    b.engine.consolidate(&mira(), &request).await.unwrap();
    ids.extend(b.retain(vec![item(SECRET)]).await);
    let top = b.engine.consolidate(&mira(), &request).await.unwrap();
    b.retain(vec![item("Bread is dear")]).await;
    assert_eq!(b.all(ListScope::Archived).await.len(), 4);
    (ids, top.summaries[0].id)
}

#[tokio::test]
async fn forgetting_a_summary_forgets_all_below_it() {
    let b = fixture();
    let (_, top) = two_levels(&b).await;
    assert_eq!(b.engine.forget(&mira(), &top).await.unwrap().len(), 5);
    assert_eq!(b.recall("silver key").await, ["Bread is dear"]);
    assert!(b.all(ListScope::Archived).await.is_empty());
    let long = format!("{SECRET} indeed");
    assert_eq!(not_cached(&b, &[SECRET, &long]).await, 2);
}

#[tokio::test]
async fn forgetting_a_source_forgets_its_summaries_and_keeps_its_siblings() {
    let b = fixture();
    let (ids, _) = two_levels(&b).await;
    let gone = b.engine.forget(&mira(), &ids[0]).await.unwrap();
    assert_eq!(gone.len(), 3, "itself and two summaries");
    let mut live = b.recall("silver key").await;
    live.sort();
    assert_eq!(live, ["Bread is dear", SECRET, &format!("{SECRET} indeed")]);
    assert!(b.all(ListScope::Archived).await.is_empty());
}

#[tokio::test]
async fn deleting_a_summary_restores_its_sources() {
    let b = fixture();
    let (ids, top) = two_levels(&b).await;
    b.engine.delete_memory(&mira(), &top).await.unwrap();
    assert_eq!(b.all(ListScope::Live).await.len(), 3);
    let low = b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    assert!(low.archived_by.is_some(), "the lower summary is live");
}

#[tokio::test]
async fn deleting_names_all_that_was_removed() {
    let b = fixture();
    let (ids, top) = two_levels(&b).await;
    let low = b.engine.get_memory(&mira(), &ids[0]).await.unwrap();
    let gone = b.engine.delete_memory(&mira(), &ids[0]).await.unwrap();
    let sorted = |mut ids: Vec<_>| {
        ids.sort_unstable();
        ids
    };
    let expected = vec![ids[0], top, low.archived_by.unwrap()];
    assert_eq!(sorted(gone), sorted(expected));
    let gone = b.engine.delete_memory(&mira(), &ids[1]).await.unwrap();
    assert_eq!(gone, [ids[1]]);
}

#[tokio::test]
async fn altering_content_removes_the_old_vector() {
    let b = fixture();
    let ids = b.retain(vec![item(SECRET)]).await;
    let patch = MemoryPatch::new().content("nothing is hidden");
    b.engine
        .alter_memory(&mira(), &ids[0], &patch)
        .await
        .unwrap();
    assert_eq!(not_cached(&b, &["nothing is hidden"]).await, 0);
    assert_eq!(not_cached(&b, &[SECRET]).await, 1);
}
