//! Embedding memories again, with another model or where vectors are missing.

use std::sync::Arc;

use crate::fixture::{Fixture, fixture, item, mira};
use memory_core::{EmbeddedMemory, Embedder, Generation, Store};
use memory_engine::{ConsolidateRequest, Engine, RecallRequest, ReembedRequest};
use memory_moka::MokaBackend;
use memory_testkit::HashEmbedder;

/// 450 memories by the fixture's model, two of them archived, and an engine
/// with another model on the same store.
async fn other_model() -> (Fixture, Engine, HashEmbedder) {
    let b = fixture();
    let items = (0..448).map(|n| item(&format!("distinct memory {n}")));
    let mut items: Vec<_> = items.collect();
    items.extend((0..2).map(|_| item("the mill burned down")));
    b.engine.retain_batch(items).await.unwrap();
    let request = ConsolidateRequest::new();
    let report = b.engine.consolidate(&mira(), &request).await.unwrap();
    assert_eq!(report.summaries.len(), 1);
    let model = HashEmbedder::new().with_dimensions(48);
    let engine = Engine::builder(MokaBackend)
        .build(b.store.store(), Arc::new(model.clone()))
        .unwrap();
    (b, engine, model)
}

async fn without_vectors(engine: &Engine) -> u64 {
    let request = RecallRequest::new("the mill");
    let report = engine.recall_report(&mira(), &request).await.unwrap();
    report.without_vectors
}

#[tokio::test]
async fn every_memory_gets_vectors_of_the_new_model_once() {
    let (_b, engine, model) = other_model().await;
    assert_eq!(without_vectors(&engine).await, 449);
    let request = ReembedRequest::new();
    let report = engine.reembed(&mira(), &request).await.unwrap();
    assert_eq!(
        (report.checked, report.reembedded, report.changed),
        (451, 451, 0)
    );
    assert_eq!(without_vectors(&engine).await, 0, "and the tiers know");
    let texts = model.texts();
    let again = engine.reembed(&mira(), &request).await.unwrap();
    assert_eq!((again.checked, again.reembedded), (451, 0));
    assert_eq!(model.texts(), texts, "nothing was embedded again");
    let all = engine.reembed(&mira(), &request.all(true)).await.unwrap();
    assert_eq!(all.reembedded, 451);
}

#[tokio::test]
async fn a_memory_with_too_few_vectors_is_embedded_whole() {
    let b = fixture();
    let long = "the mill burned down in the winter. ".repeat(200);
    b.engine.retain_batch(vec![item(&long)]).await.unwrap();
    let (entity, fingerprint) = (mira(), &b.embedder.profile().fingerprint);
    let stored = || async {
        let store = &b.store.inner;
        let all = store.changes_since(&entity, Generation::ZERO, fingerprint);
        all.await.unwrap().written
    };
    let whole: Vec<EmbeddedMemory> = stored().await;
    let vectors = whole[0].embedding.vectors.len();
    assert!(vectors > 1);
    let mut cut = whole[0].embedding.clone();
    cut.vectors.truncate(1);
    let given = [(whole[0].memory.id, cut)];
    let replaced = b
        .store
        .inner
        .replace_vectors(&entity, &given, Generation(1));
    assert_eq!(replaced.await.unwrap().replaced.len(), 1);
    let report = b.engine.reembed(&mira(), &ReembedRequest::new()).await;
    assert_eq!(report.unwrap().reembedded, 1);
    assert_eq!(stored().await[0].embedding.vectors.len(), vectors);
}
