//! A generated corpus, with a few questions that are filtered.
//!
//! At 10,000 memories, which takes some minutes without optimization:
//! `cargo test --release -p memory --test parity -- --ignored --nocapture`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use memory::store::Store;
use memory::{
    ByteSize, MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind, MemorySystem, RecallHit,
    RecallPath, RecallRequest,
};
use memory_testkit::SeededRng;

#[cfg(feature = "postgres")]
use crate::postgres;
#[cfg(feature = "sqlite")]
use crate::sqlite;
use crate::system;

/// How much more the relevance differs where the store keeps 16 bits of each component of a
/// vector, and the snapshot has them as they were inserted.
#[cfg(feature = "postgres")]
const HALF_PRECISION: f32 = 5e-4;

/// Questions that are asked of both paths.
const QUESTIONS: usize = 40;

/// Memories in the form of the benches' corpus: 20 words of 5,000 by Zipf's law,
/// 20 memories to an episode, a tag and metadata, a participant for every other
/// one.
struct Corpus {
    rng: SeededRng,
    /// For each word, the cumulative weight.
    sums: Vec<f32>,
}

impl Corpus {
    fn new() -> Self {
        let weights = (1..=5_000u16).map(|rank| 1.0 / f32::from(rank));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            rng: SeededRng::new(0x5eed),
            sums: sums.collect(),
        }
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words)
            .map(|_| {
                let point = self.rng.unit() * self.sums[self.sums.len() - 1];
                word(self.sums.partition_point(|sum| *sum <= point))
            })
            .collect();
        words.join(" ")
    }

    fn memories(&mut self, entity: &str, count: usize) -> Vec<MemoryBatchItem> {
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(19_723);
        let item = |number: usize| {
            let minutes = i64::try_from(number).unwrap();
            let item = MemoryBatchItem::new(entity, MemoryKind::Experience, self.text(20))
                .with_timestamp(start + TimeDelta::minutes(minutes))
                .with_context(format!("episode-{}", number / 20))
                .with_metadata("id", format!("memory-{number}"))
                .with_tag(["tag-even", "tag-odd"][number % 2])
                .with_importance(self.rng.unit());
            match number % 2 {
                0 => item.with_entity(format!("participant-{}", number / 2 % 200), "speaker"),
                _ => item,
            }
        };
        (0..count).map(item).collect()
    }
}

/// A pronounceable word for each number.
fn word(mut number: usize) -> String {
    let mut word = String::new();
    for _ in 0..3 {
        word.push(['b', 'f', 'k', 'l', 'm', 'n', 'p', 'r', 't', 'v', 'z'][number % 11]);
        word.push(['a', 'e', 'i', 'o', 'u'][number / 11 % 5]);
        number /= 55;
    }
    word
}

/// The share of the ten best that both paths have in common, whose relevance may differ by
/// so much.
async fn overlap(store: Arc<dyn Store>, memories: usize, tolerance: f32) -> f64 {
    let entity = format!("mira-{}", MemoryId::new());
    let (scanned, pushed) = (
        system(&store, ByteSize::mebibytes(256)).await,
        system(&store, ByteSize(0)).await,
    );
    let mut corpus = Corpus::new();
    for batch in corpus.memories(&entity, memories).chunks(1_000) {
        scanned.retain_batch(batch.to_vec()).await.unwrap();
    }
    crate::load_snapshot(&scanned, &entity).await;
    let (mut alike, mut asked) = (0, 0);
    for number in 0..QUESTIONS {
        let mut request = RecallRequest::from(corpus.text(6));
        if number % 8 == 7 {
            let tags = MemoryFilter::new().tags(["tag-odd"], memory::MemoryTagMode::AnyStrict);
            request = request.filter(tags);
        }
        let snapshot = recall(&scanned, &entity, &request, RecallPath::Snapshot).await;
        let found = recall(&pushed, &entity, &request, RecallPath::Store).await;
        for hit in &snapshot {
            if let Some(other) = found.iter().find(|other| other.memory.id == hit.memory.id) {
                alike += 1;
                let difference = (hit.relevance - other.relevance).abs();
                assert!(difference < tolerance, "{hit:#?} {other:#?}");
            }
        }
        asked += snapshot.len();
    }
    assert_eq!(asked, QUESTIONS * 10);
    let share = f64::from(u32::try_from(alike).unwrap()) / f64::from(u32::try_from(asked).unwrap());
    println!("{memories} memories: overlap@10 {share:.3}");
    share
}

async fn recall(
    system: &MemorySystem,
    entity: &str,
    request: &RecallRequest,
    path: RecallPath,
) -> Vec<RecallHit> {
    let found = system.recall(entity, request.clone()).await.unwrap();
    for hit in &found {
        assert_eq!(hit.explanation.path, path);
        let replayed = request.ranking.replay(&hit.explanation);
        assert_eq!(
            replayed.to_bits(),
            hit.score.to_bits(),
            "{:?}",
            hit.explanation
        );
        let relevance = hit.explanation.relevance().unwrap();
        assert_eq!(relevance.to_bits(), hit.relevance.to_bits());
    }
    assert_eq!(found.len(), 10);
    found
}

/// A version is an identifier: the one that was asked for leads its family.
async fn finds_a_version_first(store: Arc<dyn Store>) {
    let entity = format!("mira-{}", MemoryId::new());
    let pushed = system(&store, ByteSize(0)).await;
    let mut items = Corpus::new().memories(&entity, 300);
    for version in ["1.3.2", "2.1.3", "3.2.1", "1.2.3", "2.3.1", "3.1.2"] {
        let content = format!("the release of v{version} went out to everybody");
        items.push(MemoryBatchItem::new(&*entity, MemoryKind::World, content));
    }
    pushed.retain_batch(items).await.unwrap();
    let request = RecallRequest::from("what about v1.2.3?");
    let found = pushed.recall(&*entity, request).await.unwrap();
    assert_eq!(found[0].explanation.path, RecallPath::Store);
    assert!(found[0].memory.content.contains("v1.2.3"), "{found:#?}");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn on_sqlite() {
    let share = overlap(sqlite().await, 1_000, 1e-4).await;
    assert!(share >= 0.95, "{share}");
    finds_a_version_first(sqlite().await).await;
}

/// So many that neither the candidates of each retriever nor the sample have all that
/// contain a rare pair of words: without candidates by pairs it is about 0.96.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn on_sqlite_with_8_000_memories() {
    let share = overlap(sqlite().await, 8_000, 1e-4).await;
    assert!(share >= 0.98, "{share}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres() {
    let share = overlap(postgres().await, 1_000, HALF_PRECISION).await;
    assert!(share >= 0.95, "{share}");
    finds_a_version_first(postgres().await).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
#[ignore = "takes minutes without optimization"]
async fn on_sqlite_with_10_000_memories() {
    let share = overlap(sqlite().await, 10_000, 1e-4).await;
    assert!(share >= 0.95, "{share}");
}

/// As on SQLite.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres_with_8_000_memories() {
    let share = overlap(postgres().await, 8_000, HALF_PRECISION).await;
    assert!(share >= 0.98, "{share}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
#[ignore = "takes minutes without optimization"]
async fn on_postgres_with_10_000_memories() {
    let share = overlap(postgres().await, 10_000, HALF_PRECISION).await;
    assert!(share >= 0.95, "{share}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
#[ignore = "takes minutes without optimization"]
async fn on_postgres_with_100_000_memories() {
    let share = overlap(postgres().await, 100_000, HALF_PRECISION).await;
    assert!(share >= 0.95, "{share}");
}
