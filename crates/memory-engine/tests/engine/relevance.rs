//! Relevance: comparable, replayable, and an exact minimum.

use std::sync::Arc;

use chrono::Utc;
use memory_core::{
    ByteSize, EntityId, InvalidInput, MemoryConfig, MemoryError, MemoryPatch, Reranker,
};
use memory_engine::{Engine, Explanation, Ranking, RecallHit, RecallPath, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore, OverlapReranker};

use crate::fixture::{Fixture, fixture, fixture_with, item, mira};

const QUESTION: &str = "When did Tam sell the lame horse?";

async fn populate(b: &Fixture) {
    let contents = [
        "Tam sold the lame horse in May",
        "the horse was lame",
        "Edda sold a cart yesterday",
        "rain fell on the mill",
    ];
    let fill = (0..40).map(|n| format!("stone number {n}"));
    let contents = contents.into_iter().map(str::to_owned).chain(fill);
    let items = contents.enumerate().map(|(number, content)| {
        let speaker = ["tam", "edda"][number % 2];
        item(&content).with_tag(speaker).with_context("market")
    });
    let ids = b.engine.retain_batch(items.collect()).await.unwrap();
    // Terms of several passages, and terms that were removed.
    let long = format!(
        "Tam {} a lame horse {}",
        "and so on ".repeat(80),
        "on ".repeat(200)
    );
    let patch = MemoryPatch::new().content(long);
    b.engine
        .alter_memory(&mira(), &ids[7], &patch)
        .await
        .unwrap();
    for id in &ids[10..30] {
        b.engine.delete_memory(&mira(), id).await.unwrap();
    }
    let again = item("the lame Tam").with_tag("tam");
    b.engine.retain_batch(vec![again]).await.unwrap();
}

async fn recall(engine: &Engine, request: &RecallRequest) -> Vec<RecallHit> {
    let hits = engine.recall(&mira(), request).await.unwrap();
    for hit in &hits {
        let replayed = hit.explanation.relevance().unwrap();
        assert_eq!(replayed.to_bits(), hit.relevance.to_bits());
        assert!((0.0..=1.0).contains(&hit.relevance));
    }
    hits
}

/// Checks that the same memories have the same relevance: a snapshot rounds vectors to
/// 16 bits.
fn assert_alike(some: &[RecallHit], others: &[RecallHit]) {
    let by_content = |hits: &[RecallHit]| {
        let hits = hits.iter();
        let values = hits.map(|hit| (hit.memory.content.clone(), hit.relevance));
        let mut values: Vec<(String, f32)> = values.collect();
        values.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        values
    };
    assert_eq!(some.len(), others.len());
    for (one, other) in by_content(some).iter().zip(by_content(others)) {
        assert_eq!(one.0, other.0);
        assert!((one.1 - other.1).abs() < 1e-5, "{one:?} {other:?}");
    }
}

#[tokio::test]
async fn snapshot_store_an_earlier_moment_and_other_weights_give_the_same_relevance() {
    let (warm, pushed) = (
        fixture(),
        fixture_with(MemoryConfig {
            entity_cache_max_bytes: ByteSize(0),
            ..MemoryConfig::default()
        }),
    );
    // Changes are applied to a snapshot that is loaded.
    recall(&warm.engine, &RecallRequest::new("hello")).await;
    populate(&warm).await;
    populate(&pushed).await;
    let request = RecallRequest::new(QUESTION).limit(100);
    let hits = recall(&warm.engine, &request).await;
    let from_store = recall(&pushed.engine, &request).await;
    assert_eq!(hits[0].explanation.path, RecallPath::Snapshot);
    assert_eq!(from_store[0].explanation.path, RecallPath::Store);
    assert_alike(&hits, &from_store);
    let weighted_sum = request.clone().ranking(Ranking::weighted_sum());
    let weighted_sum = recall(&warm.engine, &weighted_sum).await;
    assert_alike(&hits, &weighted_sum);
    let as_of = request.as_of(Utc::now());
    assert_alike(&hits, &recall(&warm.engine, &as_of).await);
}

#[tokio::test]
async fn relevance_does_not_depend_on_what_else_the_entity_remembers() {
    let (one, many) = (fixture(), fixture());
    let content = "Tam sold the lame horse in May";
    one.engine.retain_batch(vec![item(content)]).await.unwrap();
    let fill = (0..60).map(|n| item(&format!("Tam sold horse number {n}")));
    many.engine.retain_batch(fill.collect()).await.unwrap();
    many.engine.retain_batch(vec![item(content)]).await.unwrap();
    let of = async |b: &Fixture| {
        let hits = recall(&b.engine, &RecallRequest::new(QUESTION).limit(100)).await;
        let hit = hits.into_iter().find(|hit| hit.memory.content == content);
        hit.unwrap()
    };
    let (alone, among) = (of(&one).await, of(&many).await);
    assert_eq!(alone.relevance.to_bits(), among.relevance.to_bits());
    assert_ne!(alone.score, among.score);
}

#[tokio::test]
async fn a_minimum_leaves_out_what_is_below_and_nothing_else() {
    let b = fixture();
    populate(&b).await;
    let request = RecallRequest::new(QUESTION).limit(20);
    let all = recall(&b.engine, &request).await;
    for min in all.iter().map(|hit| hit.relevance).chain([0.0, 0.5, 1.0]) {
        let request = request.clone().min_relevance(min);
        let report = b.engine.recall_report(&mira(), &request).await.unwrap();
        let expected: Vec<_> = all.iter().filter(|hit| hit.relevance >= min).collect();
        let ids = |hits: &[&RecallHit]| hits.iter().map(|hit| hit.memory.id).collect::<Vec<_>>();
        assert_eq!(ids(&report.iter().collect::<Vec<_>>()), ids(&expected));
        let below: Vec<f32> = all
            .iter()
            .map(|hit| hit.relevance)
            .filter(|it| *it < min)
            .collect();
        assert_eq!(report.below_min_relevance.count, below.len());
        let highest = below.iter().copied().reduce(f32::max);
        assert_eq!(report.below_min_relevance.max_relevance, highest);
    }
    let nothing = RecallRequest::new("quantum chromodynamics").min_relevance(0.9);
    let report = b.engine.recall_report(&mira(), &nothing).await.unwrap();
    assert!(report.is_empty() && report.below_min_relevance.count == 10);
}

#[tokio::test]
async fn with_a_reranker_the_minimum_comes_last() {
    let engine = Engine::builder(MokaBackend)
        .reranker(Arc::new(OverlapReranker) as Arc<dyn Reranker>)
        .build(
            Arc::new(InMemoryStore::new()),
            Arc::new(HashEmbedder::new()),
        )
        .unwrap();
    let contents = [
        "the horse was lame",
        "Tam sold the lame horse in May",
        "Edda sold a cart",
        "rain fell on the mill",
    ];
    engine
        .retain_batch(contents.map(item).to_vec())
        .await
        .unwrap();
    let request = RecallRequest::new(QUESTION).limit(3);
    let all = recall(&engine, &request).await;
    let min = all[1].relevance;
    let kept = recall(&engine, &request.min_relevance(min)).await;
    let values = |hit: &RecallHit| (hit.memory.id, hit.score, hit.relevance);
    let expected = all.iter().filter(|hit| hit.relevance >= min).map(values);
    assert_eq!(
        kept.iter().map(values).collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert!(kept.len() < all.len());
    let is_reranked = |hit: &RecallHit| hit.explanation.reranker_score.is_some();
    assert!(kept.iter().all(is_reranked));
}

#[tokio::test]
async fn a_minimum_that_is_no_probability_is_refused() {
    let b = fixture();
    for value in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
        let request = RecallRequest::new("x").min_relevance(value);
        let error = b.engine.recall(&EntityId::from("mira"), &request).await;
        let error = error.unwrap_err();
        let message = format!("minimum relevance is {value}; it must be a number from 0 to 1");
        assert!(error.to_string().contains(&message), "{error}");
        assert!(matches!(
            error,
            MemoryError::InvalidInput {
                problem: InvalidInput::Relevance { .. },
                ..
            }
        ));
    }
}

/// Requests and explanations as they were stored before there was a relevance.
#[test]
fn stored_requests_and_explanations_without_relevance_are_read() {
    let request = r#"{"text":"horse","filter":{},"limit":5,"min_similarity":0.25,
        "ranking":{"similarity":0.65,"fusion":"boost"},"as_of":null,"rerank":false}"#;
    let request: RecallRequest = serde_json::from_str(request).unwrap();
    assert_eq!(request.min_relevance, None);
    assert_eq!((request.limit, request.min_similarity), (5, Some(0.25)));
    let explanation = r#"{"similarity":0.5,"chunks":2,"lexical":3.5,"pairs":1.25,
        "dense_stats":{"mean":0.25,"deviation":0.125},
        "lexical_stats":{"mean":0.5,"deviation":1.5},
        "pair_stats":{"mean":0.0,"deviation":1.0},"unknown":0.0,"neighbors":0.5,
        "mentioned":true,"mention_stats":{"mean":0.5,"deviation":0.5},"date":0.0,"when":0.0,
        "importance":0.5,"recency":0.25,"newer":0.0,"reranker_score":null,"path":"snapshot",
        "generation":7,"now":"2026-03-01T09:00:00Z"}"#;
    let explanation: Explanation = serde_json::from_str(explanation).unwrap();
    assert_eq!(explanation.relevance(), None);
    assert!(Ranking::default().replay(&explanation) > 0.0);
    let again = serde_json::to_string(&explanation).unwrap();
    assert_eq!(
        serde_json::from_str::<Explanation>(&again).unwrap(),
        explanation
    );
}
