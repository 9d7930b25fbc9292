//! Recall is exact, filtered exactly, and the same from snapshot and store.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::fixture::{Fixture, StoreGate, fixture, fixture_with, item, mira};
use memory_core::{
    ByteSize, EmbedRole, Embedder, EmbedderProfile, MemoryConfig, MemoryFilter, MemoryKind,
    MemoryResult, MemoryTagMode,
};
use memory_engine::{Engine, Ranking, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::HashEmbedder;

/// 300 memories over a small vocabulary, so that similarities vary.
async fn populate(b: &Fixture) {
    let words = [
        "mill", "river", "horse", "market", "bridge", "winter", "bread", "song",
    ];
    let batch = (0..300usize)
        .map(|n| {
            let text = format!("{} {} {n}", words[n % 8], words[(n / 8) % 8]);
            let mut item = item(&text).with_importance((n % 10) as f32 / 10.0);
            if n % 3 > 0 {
                item = item.with_tag(format!("tag{}", n % 3));
            }
            if n % 2 == 0 {
                item.kind = MemoryKind::Observation;
            }
            item
        })
        .collect();
    b.engine.retain_batch(batch).await.unwrap();
}

#[tokio::test]
async fn snapshot_and_store_rank_alike() {
    let (warm, pushed) = (
        fixture(),
        fixture_with(MemoryConfig {
            entity_cache_max_bytes: ByteSize(0),
            ..MemoryConfig::default()
        }),
    );
    populate(&warm).await;
    populate(&pushed).await;
    // The first recall of an entity that is not small goes to the store.
    warm.engine
        .recall(&mira(), &RecallRequest::new("warm up"))
        .await
        .unwrap();
    for ranking in [Ranking::default(), Ranking::weighted_sum()] {
        let mut overlap = 0;
        for question in [
            "mill river",
            "horse market",
            "winter",
            "bread song 17",
            "bridge mill",
        ] {
            let request = RecallRequest::new(question).ranking(ranking);
            let contents = |b: &Fixture| {
                let engine = b.engine.clone();
                let request = request.clone();
                async move {
                    let found = engine.recall(&mira(), &request).await.unwrap();
                    assert_eq!(found.len(), 10);
                    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                    found
                        .into_iter()
                        .map(|r| r.memory.content.clone())
                        .collect::<Vec<_>>()
                }
            };
            let (a, b) = (contents(&warm).await, contents(&pushed).await);
            overlap += a.iter().filter(|content| b.contains(content)).count();
        }
        assert!(overlap >= 45, "{overlap} of 50 alike");
    }
    assert_eq!(StoreGate::count(&warm.store.searches), 1);
    assert_eq!(StoreGate::count(&pushed.store.searches), 10);
    assert_eq!(pushed.engine.cache_stats().entity.entries, 0);
}

#[tokio::test]
async fn filters_are_exact_and_limit_k_gives_k() {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    for b in [fixture(), fixture_with(config)] {
        populate(&b).await;
        for mode in MemoryTagMode::ALL {
            let filter = MemoryFilter::new()
                .kind(MemoryKind::Observation)
                .tags(["tag1"], mode);
            let matching = b.engine.count_memories(&mira(), &filter).await.unwrap();
            let request = RecallRequest::new("winter song")
                .filter(filter.clone())
                .limit(200);
            let found = b.engine.recall(&mira(), &request).await.unwrap();
            assert_eq!(found.len() as u64, matching.min(200));
            assert!(
                found
                    .iter()
                    .all(|recalled| filter.matches(&recalled.memory))
            );
        }
        let request = RecallRequest::new("winter song")
            .min_similarity(0.4)
            .limit(1_000);
        let found = b.engine.recall(&mira(), &request).await.unwrap();
        assert!(
            !found.is_empty()
                && found
                    .iter()
                    .all(|recalled| recalled.similarity >= Some(0.4))
        );
    }
}

#[tokio::test]
async fn an_entity_that_outgrows_its_snapshot_is_still_recalled() {
    let b = fixture_with(MemoryConfig {
        entity_cache_max_bytes: ByteSize(16 * 1_024),
        ..MemoryConfig::default()
    });
    for n in 0..40 {
        b.engine
            .retain_batch(vec![item(&format!("event {n}"))])
            .await
            .unwrap();
        let found = b
            .engine
            .recall(&mira(), &RecallRequest::new(format!("event {n}")))
            .await
            .unwrap();
        assert_eq!(found[0].memory.content, format!("event {n}"));
        if n == 3 {
            assert_eq!(b.engine.cache_stats().entity.entries, 1);
        }
    }
    assert!(StoreGate::count(&b.store.searches) >= 6);
    assert_eq!(b.engine.cache_stats().entity.entries, 0);
}

/// An entity whose snapshot is as large as it may be forgets and retains: it is not
/// loaded for every recall, and is loaded again when it is clearly smaller.
#[tokio::test]
async fn an_entity_at_the_maximum_size_is_not_loaded_again_and_again() {
    let b = fixture_with(MemoryConfig {
        entity_cache_max_bytes: ByteSize(64 * 1_024),
        ..MemoryConfig::default()
    });
    let retain = async || b.engine.retain_batch(vec![item("event")]).await.unwrap();
    let forget = async |id| b.engine.delete_memory(&mira(), &id).await.unwrap();
    let entries_after_recall = async || {
        let request = RecallRequest::new("event");
        b.engine.recall(&mira(), &request).await.unwrap();
        b.engine.cache_stats().entity.entries
    };
    let mut ids = retain().await;
    while entries_after_recall().await > 0 {
        ids.extend(retain().await);
        assert!(ids.len() < 150, "it is a small entity");
    }
    let loads = StoreGate::count(&b.store.full_loads);
    for _ in 0..3 {
        forget(ids.pop().unwrap()).await;
        assert_eq!(entries_after_recall().await, 0);
        ids.extend(retain().await);
        assert_eq!(entries_after_recall().await, 0);
    }
    assert_eq!(StoreGate::count(&b.store.full_loads), loads);
    for id in ids.drain(..ids.len() / 3) {
        forget(id).await;
    }
    assert_eq!(entries_after_recall().await, 1);
    assert_eq!(StoreGate::count(&b.store.full_loads), loads + 1);
}

#[tokio::test]
async fn an_exact_identifier_is_found_although_embeddings_shrug() {
    let b = fixture();
    let mut batch: Vec<_> = (0..200)
        .map(|n| item(&format!("Ticket INC-{} was about the mill.", 10_000 + n)))
        .collect();
    batch.push(item("Somebody called about INC-90312, a broken bridge."));
    b.engine.retain_batch(batch).await.unwrap();
    for (question, expected) in [
        ("INC-90312", "INC-90312"),
        ("what of ticket inc 10117?", "INC-10117"),
    ] {
        let found = b
            .engine
            .recall(&mira(), &RecallRequest::new(question))
            .await
            .unwrap();
        assert!(
            found[0].memory.content.contains(expected),
            "{}",
            found[0].memory.content
        );
        assert!(found[0].explanation.lexical > found[1].explanation.lexical);
    }
}

#[tokio::test]
async fn what_stands_beside_a_match_comes_up_and_what_is_named_too() {
    let b = fixture();
    populate(&b).await;
    let scene = [
        "the stranger knocked at dusk",
        "she wore a green cloak",
        "we let her in",
    ];
    let scene = scene.map(|text| item(text).with_context("the stranger's visit"));
    let named = item("something quite unrelated").with_tag("Black Fen");
    b.engine
        .retain_batch(scene.into_iter().chain([named]).collect())
        .await
        .unwrap();
    let found = b
        .engine
        .recall(
            &mira(),
            &RecallRequest::new("who knocked at dusk?").limit(3),
        )
        .await;
    let found: Vec<String> = found
        .unwrap()
        .iter()
        .map(|recalled| recalled.memory.content.clone())
        .collect();
    assert_eq!(found[0], "the stranger knocked at dusk");
    assert!(
        found.contains(&"she wore a green cloak".to_owned()),
        "{found:?}"
    );
    let place = |mention| {
        let ranking = Ranking {
            mention,
            ..Ranking::default()
        };
        let request = RecallRequest::new("Black Fen?")
            .limit(1_000)
            .ranking(ranking);
        let engine = b.engine.clone();
        async move {
            let found = engine.recall(&mira(), &request).await.unwrap();
            found
                .iter()
                .position(|recalled| recalled.explanation.mentioned)
                .unwrap()
        }
    };
    assert!(place(Ranking::default().mention).await < place(0.0).await);
    assert_eq!(place(10.0).await, 0);
}

#[tokio::test]
async fn as_of_recalls_what_was_known_then() {
    let b = fixture();
    let day = |n: i64| chrono::DateTime::from_timestamp(1_700_000_000 + n * 86_400, 0).unwrap();
    let batch = (0..5)
        .map(|n| item(&format!("news of day {n}")).with_timestamp(day(n)))
        .collect();
    b.engine.retain_batch(batch).await.unwrap();
    let request = RecallRequest::new("news").as_of(day(2));
    let found = b.engine.recall(&mira(), &request).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(
        found
            .iter()
            .all(|r| r.memory.timestamp <= day(2) && r.explanation.now == day(2))
    );
    let all = b
        .engine
        .recall(&mira(), &RecallRequest::new("news"))
        .await
        .unwrap();
    assert_eq!(all.len(), 5);
}

#[tokio::test]
async fn a_score_can_be_replayed_from_its_explanation() {
    let config = MemoryConfig {
        entity_cache_max_bytes: ByteSize(0),
        ..MemoryConfig::default()
    };
    for b in [fixture(), fixture_with(config)] {
        populate(&b).await;
        let found = b
            .engine
            .recall(&mira(), &RecallRequest::new("mill river 17"))
            .await
            .unwrap();
        for recalled in found {
            let replayed = Ranking::default().replay(&recalled.explanation);
            assert_eq!(replayed.to_bits(), recalled.score.to_bits());
        }
    }
}

#[tokio::test]
async fn a_report_counts_the_memories_without_a_vector_of_the_model() {
    for entity_cache_max_bytes in [ByteSize::mebibytes(256), ByteSize(0)] {
        let b = fixture();
        let items = (0..30).map(|n| item(&format!("horse {n}")).with_tag("old"));
        b.engine.retain_batch(items.collect()).await.unwrap();
        let config = MemoryConfig {
            entity_cache_max_bytes,
            ..MemoryConfig::default()
        };
        let other_model = HashEmbedder::new().with_dimensions(48);
        let other = Engine::builder(MokaBackend)
            .config(config)
            .build(b.store.store(), Arc::new(other_model))
            .unwrap();
        let items = (0..20).map(|n| item(&format!("mill {n}")).with_tag("new"));
        other.retain_batch(items.collect()).await.unwrap();
        let report = async |request: RecallRequest| {
            let report = other.recall_report(&mira(), &request).await.unwrap();
            report.without_vectors
        };
        let everything = RecallRequest::new("the horse");
        assert_eq!(report(everything.clone()).await, 30);
        let tagged = |tag: &str| {
            let filter = MemoryFilter::new().tags([tag], MemoryTagMode::AnyStrict);
            everything.clone().filter(filter)
        };
        assert_eq!(report(tagged("old")).await, 30);
        assert_eq!(report(tagged("new")).await, 0);
    }
}

/// Knows half of the tokens of every text, and counts how often it was asked.
#[derive(Debug, Clone)]
struct KnowsHalf(HashEmbedder, Arc<AtomicU64>);

#[async_trait]
impl Embedder for KnowsHalf {
    fn profile(&self) -> &EmbedderProfile {
        self.0.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.0.embed(texts, role).await
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        self.0.chunk(texts).await
    }

    fn unknown_token_share(&self, _: &str) -> f32 {
        self.1.fetch_add(1, Ordering::SeqCst);
        0.5
    }
}

#[tokio::test]
async fn unknown_tokens_are_counted_once_per_question_and_move_weight_to_words() {
    let store = StoreGate::new();
    let embedder = KnowsHalf(HashEmbedder::new(), Arc::default());
    let asked = Arc::clone(&embedder.1);
    let engine = Engine::builder(MokaBackend)
        .build(store.store(), Arc::new(embedder))
        .unwrap();
    let items = ["the mill by the river", "a horse", "the river"].map(item);
    engine.retain_batch(items.to_vec()).await.unwrap();
    let request = RecallRequest::new("the mill");
    for _ in 0..2 {
        let hits = engine.recall(&mira(), &request).await.unwrap();
        let explanation = &hits[0].explanation;
        assert_eq!(explanation.unknown, 0.5);
        let replayed = Ranking::default().replay(explanation);
        assert_eq!(replayed.to_bits(), hits[0].score.to_bits());
        let all_known = Ranking {
            unknown: 0.0,
            ..Ranking::default()
        };
        assert_ne!(all_known.replay(explanation), replayed);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "cached with the vector");
}

/// Divides by the number of tokens, of which there are none.
#[derive(Debug)]
struct KnowsNaN(HashEmbedder);

#[async_trait]
impl Embedder for KnowsNaN {
    fn profile(&self) -> &EmbedderProfile {
        self.0.profile()
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.0.embed(texts, role).await
    }

    fn unknown_token_share(&self, _: &str) -> f32 {
        f32::NAN
    }
}

#[tokio::test]
async fn a_share_of_unknown_tokens_that_is_no_number_counts_as_none() {
    let embedder = KnowsNaN(HashEmbedder::new());
    let vector = embedder.0.vector("a horse");
    let engine = Engine::builder(MokaBackend)
        .build(StoreGate::new().store(), Arc::new(embedder))
        .unwrap();
    let items = ["the mill by the river", "a horse", "the river"].map(item);
    engine.retain_batch(items.to_vec()).await.unwrap();
    let request = RecallRequest::new("🐎 horse");
    for request in [request.clone(), request.vector(vector)] {
        let hits = engine.recall(&mira(), &request).await.unwrap();
        assert_eq!(hits.len(), 3);
        for hit in hits {
            assert!(hit.score.is_finite(), "{hit:?}");
            assert_eq!(hit.explanation.unknown, 0.0);
        }
    }
}
