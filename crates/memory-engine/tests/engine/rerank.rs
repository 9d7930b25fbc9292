//! The second stage of a recall: order, errors, what is held meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::{
    EntityId, ErrorKind, MemoryBatchItem, MemoryError, MemoryKind, MemoryResult, Reranker,
};
use memory_engine::{Engine, Ranking, RecallHit, RecallRequest, ReflectRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore};
use tokio::sync::{Notify, Semaphore};

const QUESTION: &str = "Which horse is lame?";

/// A reranker that a test controls: it prefers the latest numbers.
#[derive(Debug)]
struct TestReranker {
    /// What it does with the scores, before it returns them.
    outcome: fn(Vec<f32>) -> MemoryResult<Vec<f32>>,
    calls: AtomicUsize,
    texts: Mutex<Vec<String>>,
    reached: Notify,
    /// A call waits for a permit.
    gate: Semaphore,
}

impl TestReranker {
    fn new(outcome: fn(Vec<f32>) -> MemoryResult<Vec<f32>>) -> Arc<Self> {
        Arc::new(Self {
            outcome,
            calls: AtomicUsize::new(0),
            texts: Mutex::default(),
            reached: Notify::new(),
            gate: Semaphore::new(1_000),
        })
    }

    fn held() -> Arc<Self> {
        let reranker = Self::new(Ok);
        reranker.gate.forget_permits(1_000);
        reranker
    }
}

#[async_trait]
impl Reranker for TestReranker {
    fn model(&self) -> &str {
        "test"
    }

    async fn score(&self, question: &str, texts: &[&str]) -> MemoryResult<Vec<f32>> {
        assert_eq!(question, QUESTION);
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.reached.notify_one();
        let permit = self.gate.acquire().await;
        drop(permit);
        *self.texts.lock().unwrap() = texts.iter().map(|&text| text.to_owned()).collect();
        let number = |text: &&str| text.rsplit(' ').next().unwrap().parse::<f32>().unwrap();
        (self.outcome)(texts.iter().map(number).collect())
    }
}

fn engine(reranker: &Arc<TestReranker>, candidates: usize) -> Engine {
    Engine::builder(MokaBackend)
        .reranker(Arc::clone(reranker) as Arc<dyn Reranker>)
        .rerank_candidates(candidates)
        .build(
            Arc::new(InMemoryStore::new()),
            Arc::new(HashEmbedder::new()),
        )
        .unwrap()
}

fn mira() -> EntityId {
    EntityId::from("mira")
}

/// Twelve memories, which the ranking has in the order of how much they share
/// with the question: the highest numbers last.
async fn retain_horses(engine: &Engine) {
    let content = |number: usize| {
        let padding = "and more of other things ".repeat(number);
        format!("the lame horse {padding}is number {number}")
    };
    let item = |number| MemoryBatchItem::new("mira", MemoryKind::World, content(number));
    let items = (0..12).map(item).collect();
    engine.retain_batch(items).await.unwrap();
}

async fn recall(engine: &Engine, request: RecallRequest) -> MemoryResult<Vec<RecallHit>> {
    engine.recall(&mira(), &request).await
}

fn contents(hits: &[RecallHit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.memory.content.as_str()).collect()
}

#[tokio::test]
async fn the_first_hits_are_ordered_by_the_reranker_and_the_others_follow() {
    let reranker = TestReranker::new(Ok);
    let engine = engine(&reranker, 4);
    retain_horses(&engine).await;
    let request = RecallRequest::new(QUESTION).limit(12);
    let ranked = recall(&engine, request.clone().without_reranker())
        .await
        .unwrap();
    assert_eq!(ranked.len(), 12);
    assert_eq!(reranker.calls.load(Ordering::SeqCst), 0);
    let reranked = recall(&engine, request).await.unwrap();
    assert_eq!(reranker.texts.lock().unwrap().len(), 4);
    // The first four by their numbers, from the highest.
    let mut first = contents(&ranked[..4]);
    first.sort_by_key(|text| {
        let number = text.rsplit(' ').next().unwrap();
        std::cmp::Reverse(number.parse::<u32>().unwrap())
    });
    assert_ne!(first, contents(&ranked[..4]), "there is something to order");
    assert_eq!(contents(&reranked[..4]), first);
    assert_eq!(contents(&reranked[4..]), contents(&ranked[4..]));
}

#[tokio::test]
async fn scores_and_replays_are_those_of_the_ranking() {
    let reranker = TestReranker::new(Ok);
    let engine = engine(&reranker, 4);
    retain_horses(&engine).await;
    let request = RecallRequest::new(QUESTION).limit(6);
    let ranked = recall(&engine, request.clone().without_reranker())
        .await
        .unwrap();
    let reranked = recall(&engine, request).await.unwrap();
    for (place, hit) in reranked.iter().enumerate() {
        let same = ranked.iter().find(|other| other.memory.id == hit.memory.id);
        assert_eq!(same.unwrap().score, hit.score);
        assert_eq!(Ranking::default().replay(&hit.explanation), hit.score);
        let number = hit.memory.content.rsplit(' ').next().unwrap();
        let expected = (place < 4).then(|| number.parse::<f32>().unwrap());
        assert_eq!(hit.explanation.reranker_score, expected);
    }
    let none = |hit: &RecallHit| hit.explanation.reranker_score.is_none();
    assert!(ranked.iter().all(none));
}

#[tokio::test]
async fn a_hit_beyond_the_limit_can_become_the_first() {
    let reranker = TestReranker::new(Ok);
    let engine = engine(&reranker, 12);
    retain_horses(&engine).await;
    let one = RecallRequest::new(QUESTION).limit(1);
    let ranked = recall(&engine, one.clone().without_reranker())
        .await
        .unwrap();
    assert!(!ranked[0].memory.content.ends_with("number 11"));
    let reranked = recall(&engine, one).await.unwrap();
    assert_eq!(reranked.len(), 1);
    assert!(reranked[0].memory.content.ends_with("number 11"));
}

#[tokio::test]
async fn equal_scores_keep_the_order_of_the_ranking() {
    let reranker = TestReranker::new(|scores| Ok(vec![1.0; scores.len()]));
    let engine = engine(&reranker, 12);
    retain_horses(&engine).await;
    let request = RecallRequest::new(QUESTION);
    let ranked = recall(&engine, request.clone().without_reranker())
        .await
        .unwrap();
    let reranked = recall(&engine, request).await.unwrap();
    assert_eq!(contents(&reranked), contents(&ranked));
}

#[tokio::test]
async fn a_failing_reranker_is_an_error_and_the_ranking_stays_available() {
    let fail = |_| {
        let message = "the endpoint is busy";
        Err(MemoryError::reranker(
            ErrorKind::Unavailable,
            "score",
            message,
        ))
    };
    let reranker = TestReranker::new(fail);
    let engine = engine(&reranker, 12);
    retain_horses(&engine).await;
    let request = RecallRequest::new(QUESTION);
    let error = recall(&engine, request.clone()).await.unwrap_err();
    assert!(matches!(error, MemoryError::Reranker { .. }), "{error}");
    assert!(error.is_retryable());
    assert_eq!(error.operation(), Some("score"));
    let reflect = ReflectRequest::new(QUESTION);
    assert!(engine.reflect(&mira(), &reflect).await.is_err());
    let hits = recall(&engine, request.without_reranker()).await.unwrap();
    assert_eq!(hits.len(), RecallRequest::DEFAULT_LIMIT);
}

#[tokio::test]
async fn scores_that_break_the_contract_are_an_error() {
    for (outcome, text) in [
        (
            (|scores: Vec<f32>| Ok(scores[1..].to_vec())) as fn(Vec<f32>) -> _,
            "11 scores for 12 texts",
        ),
        (|scores| Ok(vec![f32::NAN; scores.len()]), "a score of NaN"),
        (
            |scores| Ok(vec![f32::INFINITY; scores.len()]),
            "a score of inf",
        ),
    ] {
        let engine = engine(&TestReranker::new(outcome), 12);
        retain_horses(&engine).await;
        let error = recall(&engine, RecallRequest::new(QUESTION)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_held_while_the_reranker_reads() {
    let reranker = TestReranker::held();
    let engine = engine(&reranker, 12);
    retain_horses(&engine).await;
    let waiting = {
        let engine = engine.clone();
        tokio::spawn(async move { recall(&engine, RecallRequest::new(QUESTION)).await })
    };
    reranker.reached.notified().await;
    // The same entity is written to and read meanwhile.
    let item = MemoryBatchItem::new("mira", MemoryKind::World, "one more lame horse 99");
    engine.retain_batch(vec![item]).await.unwrap();
    let request = RecallRequest::new(QUESTION).limit(20).without_reranker();
    let hits = recall(&engine, request).await.unwrap();
    assert_eq!(hits.len(), 13);
    assert!(!waiting.is_finished());
    reranker.gate.add_permits(1);
    let hits = waiting.await.unwrap().unwrap();
    assert!(hits[0].memory.content.ends_with("number 11"));
}

#[tokio::test]
async fn a_dropped_recall_abandons_the_reranker() {
    let reranker = TestReranker::held();
    let engine = engine(&reranker, 12);
    retain_horses(&engine).await;
    {
        let request = RecallRequest::new(QUESTION);
        let dropped = recall(&engine, request);
        tokio::pin!(dropped);
        tokio::select! {
            _ = &mut dropped => panic!("the reranker waits"),
            () = reranker.reached.notified() => {}
        }
    }
    reranker.gate.add_permits(1);
    let hits = recall(&engine, RecallRequest::new(QUESTION)).await.unwrap();
    assert!(hits[0].memory.content.ends_with("number 11"));
    assert_eq!(reranker.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_hits_nothing_is_read() {
    let reranker = TestReranker::new(Ok);
    let engine = engine(&reranker, 12);
    let hits = recall(&engine, RecallRequest::new(QUESTION)).await.unwrap();
    assert!(hits.is_empty());
    assert_eq!(reranker.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_number_of_candidates_has_limits() {
    for candidates in [0, 1_001] {
        let engine = Engine::builder(MokaBackend)
            .rerank_candidates(candidates)
            .build(
                Arc::new(InMemoryStore::new()),
                Arc::new(HashEmbedder::new()),
            );
        let error = engine.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("1 to 1000"), "{error}");
    }
}

#[test]
fn requests_from_before_the_reranker_use_it() {
    let request: RecallRequest = serde_json::from_str(r#"{"text":"who?"}"#).unwrap();
    assert!(request.rerank);
}
