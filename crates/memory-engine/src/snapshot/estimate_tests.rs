//! Searches with estimated similarities against exhaustive ones.

use chrono::TimeDelta;
use memory_core::{MemoryBatchItem, MemoryFilter, MemoryKind, MemoryTagMode, ScoreStats};
use memory_testkit::SeededRng;

use super::selection::Selection;
use super::tests::{context, embedded, loaded, now, query_with, results};
use super::*;
use crate::ranking::{Ranking, RankingContext};

/// Memories about topics: each has words of its topic, others by chance, and a vector near
/// that of its topic.
fn about_topics(random: &mut SeededRng, count: u32) -> (Vec<EmbeddedMemory>, Vec<Vec<f32>>) {
    /// Few memories each, so that others are among the best by what they receive.
    const TOPICS: usize = 1_500;
    let topics: Vec<Vec<f32>> = (0..TOPICS).map(|_| noise(random, 1.0)).collect();
    let memory = |n: u32| {
        let topic = random.below(TOPICS);
        let mut words = vec![
            format!("topic{topic}"),
            format!("part{}", random.below(300)),
        ];
        words.extend((0..6).map(|_| format!("word{}", random.below(400))));
        let item = MemoryBatchItem::new("mira", MemoryKind::World, words.join(" "))
            .with_timestamp(now() - TimeDelta::minutes(n.into()))
            .with_context(format!("episode {}", n / 8))
            .with_tag(format!("n{}", n % 3));
        let vector = near(&topics[topic], random);
        embedded(item.into_memory(now()).unwrap(), vec![vector])
    };
    let memories = (0..count).map(memory).collect();
    (memories, topics)
}

fn noise(random: &mut SeededRng, size: f32) -> Vec<f32> {
    let number = |_| (random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0) * size;
    (0..128).map(number).collect()
}

/// A normalized vector in some distance of another.
fn near(center: &[f32], random: &mut SeededRng) -> Vec<f32> {
    let noise = noise(random, 1.2);
    let mut vector: Vec<f32> = center.iter().zip(noise).map(|(a, b)| a + b).collect();
    memory_core::normalize(&mut vector).unwrap();
    vector
}

/// Where similarities are estimated first, the results are nearly always those of exact
/// values of all memories with the same statistics, and mostly with exact statistics.
#[test]
fn estimates_leave_out_nothing_of_the_best() {
    let mut random = SeededRng::new(11);
    let (memories, topics) = about_topics(&mut random, 9_000);
    let mut snapshot = loaded(memories, 128);
    snapshot.vectors.always_estimate();
    let all_memories = MemoryFilter::new();
    let one_tag = MemoryFilter::new().tags(["n1"], MemoryTagMode::Any);
    let no_lending = Ranking {
        neighbors: 0.0,
        ..Ranking::default()
    };
    let by_vectors = Ranking {
        importance: 0.0,
        recency: 0.0,
        ..Ranking::weighted_sum()
    };
    let rankings = [Ranking::default(), no_lending, by_vectors];
    let (mut same, mut others, mut estimated) = (0, 0, 0);
    let (mut missing, mut received) = (0, 0);
    for question in 0..40 {
        let topic = question % topics.len();
        let text = format!("topic{topic} part{} word{}", question * 7, question * 9);
        let query = query_with(&text, near(&topics[topic], &mut random));
        let filter = [&all_memories, &one_tag][question % 2];
        let ranking = &rankings[question % 3];
        let min_similarity = [None, Some(0.3)][question / 2 % 2];
        let context = RankingContext {
            min_similarity,
            ..context(&query, ranking, 10)
        };
        let mut retrieved = snapshot.retrieve(&query, filter, ranking);
        let admitted = |slot: &u32| retrieved.is_admitted(*slot);
        let all: Vec<u32> = (0..snapshot.next_slot()).filter(admitted).collect();
        estimated += usize::from(all.iter().any(|slot| retrieved.is_estimate(*slot)));
        let exact = ScoreStats::of(all.iter().map(|slot| {
            let rows = snapshot.slot(*slot).unwrap().rows();
            snapshot.vectors.similarity(&query.vector, rows).unwrap()
        }));
        let stats = retrieved.dense_stats;
        assert!(
            (stats.mean - exact.mean).abs() < 0.1 * exact.deviation,
            "{stats:?} {exact:?}"
        );
        assert!(
            (stats.deviation / exact.deviation - 1.0).abs() < 0.05,
            "{stats:?} {exact:?}"
        );
        let selection = Selection {
            best: all.clone(),
            exact: all,
        };
        let mut exhaustive = |stats| {
            retrieved.dense_stats = stats;
            let set = snapshot.candidates_of(&selection, &retrieved, &query, ranking);
            set.top_k(&context)
        };
        let expected = exhaustive(stats).into_iter();
        let expected: Vec<String> = expected
            .map(|ranked| format!("{} {:?}", ranked.memory.id, ranked.explanation))
            .collect();
        let found = results(&snapshot, &query, filter, &context);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            *(if found == expected {
                &mut same
            } else {
                &mut others
            }) += 1;
        }
        for ranked in exhaustive(exact) {
            received += usize::from(ranked.explanation.neighbors > 0.5);
            let id = ranked.memory.id.to_string();
            missing += usize::from(!found.iter().any(|found| found.starts_with(&id)));
        }
    }
    assert!(received > 20, "{received}");
    assert!(missing * 100 <= same, "{missing} of {same}");
    assert!(estimated > 15, "{estimated}");
    assert!(others * 200 <= same, "{others} of {same}");
}
