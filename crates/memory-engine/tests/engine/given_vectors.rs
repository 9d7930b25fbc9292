//! Vectors that a caller computed: of contents and of questions.

use memory_core::{
    ByteSize, EmbedRole, Embedder as _, InvalidInput, MemoryBatchItem, MemoryConfig, MemoryError,
    MemoryId, MemoryPatch, MemoryResult, Store as _,
};
use memory_engine::{Engine, RecallRequest, ReembedRequest, ReflectRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore};

use crate::fixture::{Fixture, fixture, fixture_with, item, mira};

/// The embedder's vector of a text, ten times as long.
async fn vector(text: &str) -> Vec<f32> {
    let embedder = HashEmbedder::new();
    let vectors = embedder.embed(&[text], EmbedRole::Query).await.unwrap();
    vectors[0].iter().map(|x| x * 10.0).collect()
}

fn found(hits: &[memory_engine::RecallHit]) -> Vec<(MemoryId, f32, Option<f32>)> {
    let of =
        |hit: &memory_engine::RecallHit| (hit.memory.id, hit.score, hit.explanation.similarity);
    hits.iter().map(of).collect()
}

fn problem<T: std::fmt::Debug>(outcome: MemoryResult<T>) -> (InvalidInput, Option<usize>) {
    match outcome {
        Err(MemoryError::InvalidInput { problem, item, .. }) => (problem, item),
        other => panic!("expected InvalidInput, got {other:?}"),
    }
}

async fn recall(b: &Fixture, request: RecallRequest) -> Vec<(MemoryId, f32, Option<f32>)> {
    found(&b.engine.recall(&mira(), &request).await.unwrap())
}

#[tokio::test]
async fn given_vectors_of_the_model_give_the_recall_of_the_embedder() {
    let texts = [
        "the mill by the river",
        "Tam sold a horse",
        "bread is expensive",
    ];
    let ids: Vec<MemoryId> = texts.iter().map(|_| MemoryId::new()).collect();
    let time = chrono::Utc::now();
    let named = |index: usize| item(texts[index]).with_id(ids[index]).with_timestamp(time);
    // Also where no memory is in a snapshot.
    for entity_cache_max_bytes in [ByteSize::mebibytes(256), ByteSize(0)] {
        let config = || MemoryConfig {
            entity_cache_max_bytes,
            ..MemoryConfig::default()
        };
        let (computed, given) = (fixture_with(config()), fixture_with(config()));
        let items = (0..texts.len()).map(named).collect();
        computed.engine.retain_batch(items).await.unwrap();
        // One of the three without a vector.
        let items = vec![
            named(0).with_embedding(vector(texts[0]).await),
            named(1),
            named(2).with_embedding(vector(texts[2]).await),
        ];
        given.engine.retain_batch(items).await.unwrap();
        assert_eq!(given.embedder.texts(), 1);

        let question = "who owns the mill?";
        let expected = recall(&computed, RecallRequest::new(question)).await;
        let request = RecallRequest::new(question).vector(vector(question).await);
        assert_eq!(recall(&given, request).await, expected);
        assert_eq!(given.embedder.texts(), 1, "the question was not embedded");
    }
}

#[tokio::test]
async fn given_vectors_and_cached_ones_of_the_same_text_are_kept_apart() {
    let b = fixture();
    let contents = ["the mill by the river", "bread is expensive"];
    b.engine
        .retain_batch(contents.map(item).to_vec())
        .await
        .unwrap();
    let question = RecallRequest::new("the mill");
    let plain = recall(&b, question.clone()).await;
    let other = question.clone().vector(vector("bread").await);
    let with_other = recall(&b, other.clone()).await;
    assert_ne!(plain, with_other);
    // Both orders, and the cached vector is still used.
    let embedded = b.embedder.texts();
    assert_eq!(recall(&b, question).await, plain);
    assert_eq!(recall(&b, other).await, with_other);
    assert_eq!(b.embedder.texts(), embedded);

    // A content's given vector is not that of the same content without one.
    let odd = item("the mill by the river").with_embedding(vector("bread").await);
    b.engine.retain_batch(vec![odd]).await.unwrap();
    b.engine
        .retain_batch(vec![item("the mill by the river")])
        .await
        .unwrap();
    let report = b
        .engine
        .recall(&mira(), &RecallRequest::new("the mill by the river"))
        .await
        .unwrap();
    let exact = report.iter().filter_map(|hit| hit.explanation.similarity);
    assert_eq!(exact.filter(|similarity| *similarity > 0.999).count(), 2);
}

#[tokio::test]
async fn a_given_vector_stands_for_all_chunks_until_the_content_changes() {
    let store = InMemoryStore::new();
    let embedder = HashEmbedder::new().with_window(4);
    let fingerprint = embedder.profile().fingerprint.clone();
    let engine = Engine::builder(MokaBackend)
        .build(
            std::sync::Arc::new(store.clone()),
            std::sync::Arc::new(embedder.clone()),
        )
        .unwrap();
    let long = "one two three four five six seven eight nine ten";
    let unit = vec![1.0; HashEmbedder::DIMENSIONS];
    let items = vec![item(long).with_embedding(unit), item(long)];
    let ids = engine.retain_batch(items).await.unwrap();
    let counts = async || {
        store
            .vector_counts(&mira(), &ids, &fingerprint)
            .await
            .unwrap()
    };
    let [given, chunks] = counts().await[..] else {
        panic!("two memories")
    };
    assert_eq!(given, 1);
    assert!(chunks > 1);

    let patch = MemoryPatch::new().content(long.replace("ten", "eleven"));
    engine.alter_memory(&mira(), &ids[0], &patch).await.unwrap();
    assert_eq!(counts().await, [chunks, chunks]);

    // As documented: to `reembed` it has fewer vectors than chunks.
    let again = item(long).with_embedding(vec![1.0; HashEmbedder::DIMENSIONS]);
    engine.retain_batch(vec![again]).await.unwrap();
    let report = engine.reembed(&mira(), &ReembedRequest::default()).await;
    assert_eq!(report.unwrap().lacking, 1);
}

#[tokio::test]
async fn vectors_outside_the_limits_are_refused_before_any_work() {
    let b = fixture();
    let dimensions = HashEmbedder::DIMENSIONS;
    let mut with_nan = vec![1.0; dimensions];
    with_nan[3] = f32::NAN;
    for (vector, expected) in [
        (
            vec![1.0; dimensions - 1],
            InvalidInput::VectorDimensions {
                expected: dimensions,
                found: dimensions - 1,
            },
        ),
        (with_nan, InvalidInput::VectorNotFinite { index: 3 }),
        (vec![0.0; dimensions], InvalidInput::VectorZero),
    ] {
        let batch = vec![item("fine"), item("odd").with_embedding(vector.clone())];
        let (found, at) = problem(b.engine.retain_batch(batch).await);
        assert_eq!((&found, at), (&expected, Some(1)));
        let request = RecallRequest::new("odd").vector(vector.clone());
        let (found, _) = problem(b.engine.recall(&mira(), &request).await);
        assert_eq!(found, expected);
        let request = ReflectRequest::new(request);
        let (found, _) = problem(b.engine.reflect(&mira(), &request).await);
        assert_eq!(found, expected);
    }
    let request = RecallRequest::new("odd").vector(Vec::new());
    let (found, _) = problem(b.engine.recall(&mira(), &request).await);
    let expected = InvalidInput::VectorDimensions {
        expected: dimensions,
        found: 0,
    };
    assert_eq!(found, expected);
    assert_eq!(b.embedder.texts(), 0);
    assert_eq!(b.store.reads(), 0);

    // Huge numbers have a direction, too.
    let huge = item("huge").with_embedding(vec![f32::MAX; dimensions]);
    b.engine.retain_batch(vec![huge]).await.unwrap();
    let request = RecallRequest::new("other").vector(vec![1.0; dimensions]);
    let hits = recall(&b, request).await;
    assert!(
        hits[0].2.is_some_and(|similarity| similarity > 0.999),
        "{hits:?}"
    );
}

#[test]
fn a_serialized_item_without_a_vector_has_no_field_for_it() {
    let json = serde_json::to_string(&item("x")).unwrap();
    assert!(!json.contains("embedding"), "{json}");
    let with = item("x").with_embedding([0.6, 0.8]);
    let json = serde_json::to_string(&with).unwrap();
    assert_eq!(
        serde_json::from_str::<MemoryBatchItem>(&json).unwrap(),
        with
    );
}
