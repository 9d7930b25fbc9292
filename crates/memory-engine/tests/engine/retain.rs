//! Retaining is all or nothing, idempotent by id, and embeds once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::fixture::{StoreGate, fixture, item, mira};
use async_trait::async_trait;
use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, ErrorKind, InvalidInput, ListRequest, MemoryBatchItem,
    MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::HashEmbedder;

fn problem(error: MemoryError) -> InvalidInput {
    match error {
        MemoryError::InvalidInput { problem, .. } => problem,
        other => panic!("expected InvalidInput, got {other}"),
    }
}

#[tokio::test]
async fn a_batch_is_embedded_once_and_written_once() {
    let b = fixture();
    let batch = vec![item("same"), item("same"), item("other"), item("same")];
    let ids = b.engine.retain_batch(batch).await.unwrap();
    assert_eq!(ids.len(), 4);
    assert_eq!(
        (b.embedder.calls(), b.embedder.texts()),
        (1, 2),
        "equal texts once"
    );
    assert_eq!(StoreGate::count(&b.store.inserts), 1);
    let stats = b.engine.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.generation.0, stats.memory_count), (1, 4));
    assert!(b.engine.retain_batch(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_same_id_again_is_a_no_op_without_inference() {
    let b = fixture();
    let id = MemoryId::new();
    b.engine
        .retain_batch(vec![item("once").with_id(id)])
        .await
        .unwrap();
    b.engine.clear_all_caches();
    let (embedded, inserts) = (b.embedder.texts(), StoreGate::count(&b.store.inserts));
    assert_eq!(
        b.engine
            .retain_batch(vec![item("once").with_id(id)])
            .await
            .unwrap(),
        [id]
    );
    assert_eq!(b.embedder.texts(), embedded);
    assert_eq!(StoreGate::count(&b.store.inserts), inserts);
    assert_eq!(
        b.engine.entity_stats(&mira()).await.unwrap().generation.0,
        1
    );

    let error = b
        .engine
        .retain_batch(vec![item("new"), item("twice").with_id(id)])
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        b.engine
            .count_memories(&mira(), &MemoryFilter::new())
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn bad_input_is_refused_before_any_work() {
    let b = fixture();
    let id = MemoryId::new();
    let many_tags = (0..65).fold(item("x"), |item, n| item.with_tag(n.to_string()));
    type Fault = (MemoryBatchItem, fn(&InvalidInput) -> bool);
    let bad: Vec<Fault> = vec![
        (item(""), |p| *p == InvalidInput::EmptyContent),
        (item(" \n"), |p| *p == InvalidInput::EmptyContent),
        (item(&"x".repeat(10_001)), |p| {
            matches!(p, InvalidInput::ContentTooLong { max: 10_000, .. })
        }),
        (item("a\0b"), |p| {
            *p == InvalidInput::NulCharacter { field: "content" }
        }),
        (item("x").with_importance(1.5), |p| {
            matches!(p, InvalidInput::Importance { .. })
        }),
        (item("x").with_importance(f32::NAN), |p| {
            matches!(p, InvalidInput::Importance { .. })
        }),
        (many_tags, |p| {
            matches!(p, InvalidInput::TooManyTags { count: 65, max: 64 })
        }),
        (item("x").with_tag(""), |p| *p == InvalidInput::EmptyTag),
        (item("x").with_tag("t".repeat(129)), |p| {
            matches!(p, InvalidInput::TagTooLong { max: 128, .. })
        }),
        (item("x").with_metadata("k", "v".repeat(65_536)), |p| {
            matches!(p, InvalidInput::MetadataTooLarge { .. })
        }),
        (
            item("x").with_timestamp(chrono::DateTime::<chrono::Utc>::MAX_UTC),
            |p| matches!(p, InvalidInput::Timestamp { .. }),
        ),
    ];
    for (index, (item_, expected)) in bad.into_iter().enumerate() {
        let error = b
            .engine
            .retain_batch(vec![item("fine"), item_])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("item 1"), "{error}");
        assert!(expected(&problem(error)), "case {index}");
    }
    let twice = vec![item("x").with_id(id), item("x").with_id(id)];
    let error = b.engine.retain_batch(twice).await.unwrap_err();
    assert_eq!(problem(error), InvalidInput::DuplicateId { id });

    assert_eq!(b.embedder.texts(), 0, "nothing was embedded");
    assert_eq!(
        b.engine.entity_stats(&mira()).await.unwrap().generation.0,
        0,
        "nothing was written"
    );

    let cjk = item(&"記".repeat(10_000));
    b.engine.retain_batch(vec![cjk]).await.unwrap();
}

#[tokio::test]
async fn bad_questions_are_refused_with_their_bound() {
    let b = fixture();
    for (limit, bad) in [(0, true), (1, false), (1_000, false), (1_001, true)] {
        let recall = b
            .engine
            .recall(&mira(), &RecallRequest::new("x").limit(limit))
            .await;
        let list = b
            .engine
            .list_memories(&mira(), &ListRequest::new(limit))
            .await;
        assert_eq!(recall.is_err(), bad);
        assert_eq!(list.is_err(), bad);
    }
    let blank = b
        .engine
        .recall(&mira(), &RecallRequest::new(" "))
        .await
        .unwrap_err();
    assert_eq!(problem(blank), InvalidInput::EmptyQuery);
    let request = RecallRequest::new("x").min_similarity(f32::NAN);
    assert!(b.engine.recall(&mira(), &request).await.is_err());
    let nobody = memory_core::EntityId::from(" ");
    assert!(
        b.engine
            .recall(&nobody, &RecallRequest::new("x"))
            .await
            .is_err()
    );
    let patch = MemoryPatch::new().importance(-1.0);
    let error = b
        .engine
        .alter_memory(&mira(), &MemoryId::new(), &patch)
        .await
        .unwrap_err();
    assert!(matches!(problem(error), InvalidInput::Importance { .. }));
}

#[tokio::test]
async fn a_long_memory_is_found_by_its_last_sentence() {
    let b = fixture();
    let filler = "The river ran slow under the willows that summer. ".repeat(190);
    let long = format!("{filler}Ondrej buried the silver key below the chapel stairs.");
    assert!(long.chars().count() <= 10_000);
    let others = (0..20).map(|n| item(&format!("Ondrej walked to market on day {n}.")));
    let batch = others.chain([item(&long)]).collect();
    b.engine.retain_batch(batch).await.unwrap();
    let question = RecallRequest::new("silver key below the chapel stairs").limit(1);
    let found = b.engine.recall(&mira(), &question).await.unwrap();
    assert_eq!(found[0].memory.content, long);
}

#[tokio::test]
async fn generate_embeddings_batch_gives_one_unit_vector_per_text_in_order() {
    let b = fixture();
    let texts: Vec<String> = ["one", "two", "one"].map(String::from).to_vec();
    let vectors = b.engine.generate_embeddings_batch(&texts).await.unwrap();
    assert_eq!(vectors.len(), 3);
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    assert!((memory_core::cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-5);
    assert_eq!(b.embedder.texts(), 2);
    b.engine.generate_embeddings_batch(&texts).await.unwrap();
    assert_eq!(b.embedder.texts(), 2, "the second time from the tier");
    assert!(
        b.engine
            .generate_embeddings_batch(&[" ".into()])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_retain_of_unknown_outcome_is_repeated_with_the_ids_of_the_error() {
    let b = fixture();
    b.store.lose_next_response.store(true, Ordering::SeqCst);
    let items = [item("once"), item("and once more")];
    let error = b.engine.retain_batch(items.to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(error.is_retryable());
    let ids = error.ids().to_vec();
    assert_eq!(ids.len(), items.len());
    let repeated = items.into_iter().zip(&ids);
    let repeated = repeated.map(|(item, id)| item.with_id(*id)).collect();
    assert_eq!(b.engine.retain_batch(repeated).await.unwrap(), ids);
    let all = MemoryFilter::new();
    let count = b.engine.count_memories(&mira(), &all).await.unwrap();
    assert_eq!(count, 2, "nothing was retained twice");
}

/// Leaves the second half of each text out.
#[derive(Debug)]
struct HalfChunks(HashEmbedder);

#[async_trait]
impl Embedder for HalfChunks {
    fn profile(&self) -> &EmbedderProfile {
        self.0.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.0.embed(texts, role).await
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let half = |text: &&str| std::iter::once(0..text.len() / 2).collect();
        Ok(texts.iter().map(half).collect())
    }
}

#[tokio::test]
async fn chunks_that_leave_text_out_are_refused_and_nothing_is_written() {
    let store = StoreGate::new();
    let embedder = HalfChunks(HashEmbedder::new());
    let model = embedder.profile().model.clone();
    let engine = Engine::builder(MokaBackend)
        .build(store.store(), Arc::new(embedder))
        .unwrap();
    let error = engine
        .retain_batch(vec![item("a secret at the end")])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(
        text.contains(&model) && text.contains("not covered"),
        "{text}"
    );
    assert!(!text.contains("secret"), "no content: {text}");
    let stats = engine.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 0);
}

/// Its vectors have another length than 1.
#[derive(Debug)]
struct Scaled(HashEmbedder, f32);

#[async_trait]
impl Embedder for Scaled {
    fn profile(&self) -> &EmbedderProfile {
        self.0.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let mut vectors = self.0.embed(texts, role).await?;
        let values = vectors.iter_mut().flatten();
        values.for_each(|value| *value *= self.1);
        Ok(vectors)
    }
}

#[tokio::test]
async fn vectors_of_an_embedder_that_does_not_normalize_reach_no_store() {
    for (scale, is_accepted) in [
        (1.0, true),
        (1.002, true),
        (0.998, true),
        (1.02, false),
        (30.0, false),
        (0.9, false),
        (0.0, false),
        (f32::NAN, false),
    ] {
        let store = StoreGate::new();
        let engine = Engine::builder(MokaBackend)
            .build(store.store(), Arc::new(Scaled(HashEmbedder::new(), scale)))
            .unwrap();
        let retained = engine.retain_batch(vec![item("a horse")]).await;
        assert_eq!(retained.is_ok(), is_accepted, "{scale}: {retained:?}");
        if is_accepted {
            let hits = engine.recall(&mira(), &RecallRequest::new("a horse")).await;
            let similarity = hits.unwrap()[0].similarity.unwrap();
            assert!((similarity - 1.0).abs() < 1e-3, "{scale}: {similarity}");
        }
        if let Err(error) = retained {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let text = error.to_string();
            assert!(text.contains("the embedder returned a vector"), "{text}");
            let recalled = engine.recall(&mira(), &RecallRequest::new("horse")).await;
            assert_eq!(recalled.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[tokio::test]
async fn a_memory_is_never_related_to_itself() {
    let b = fixture();
    let id = MemoryId::new();
    let own = item("a horse").with_id(id).with_related(id, "like");
    let error = b.engine.retain_batch(vec![own]).await.unwrap_err();
    assert_eq!(problem(error), InvalidInput::SelfRelation);
    let plain = item("a horse").with_id(id);
    b.engine.retain_batch(vec![plain]).await.unwrap();
    for patch in [
        MemoryPatch::new().relate(id, "like"),
        MemoryPatch::new().related([(id, "like".to_owned())].into()),
    ] {
        let error = b.engine.alter_memory(&mira(), &id, &patch).await;
        assert_eq!(problem(error.unwrap_err()), InvalidInput::SelfRelation);
    }
}
