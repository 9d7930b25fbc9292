//! The order of candidates, and what raises them.

use memory_core::{MemoryBatchItem, MemoryKind};
use memory_text::dates::named_dates;
use proptest::prelude::*;

use super::*;
use chrono::TimeDelta;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn memory(importance: f32, age_hours: i64) -> Arc<Memory> {
    let item = MemoryBatchItem::new("mira", MemoryKind::World, "x")
        .with_importance(importance)
        .with_timestamp(now() - TimeDelta::hours(age_hours));
    Arc::new(item.into_memory(now()).unwrap())
}

fn candidates<'a>(
    memories: &'a [Arc<Memory>],
    similarities: &[f32],
    lexical: &[f32],
) -> CandidateSet<'a> {
    CandidateSet {
        times: memories
            .iter()
            .map(|memory| memory.timestamp.timestamp_micros())
            .collect(),
        similarities: similarities.to_vec(),
        chunks: vec![1; memories.len()],
        lexical: lexical.to_vec(),
        pairs: vec![0.0; memories.len()],
        mentioned: vec![false; memories.len()],
        words: vec![10; memories.len()],
        has_time: vec![false; memories.len()],
        episodes: Vec::new(),
        links: Vec::new(),
        dense_stats: ScoreStats::of(similarities.iter().copied()),
        lexical_stats: ScoreStats::of(lexical.iter().copied()),
        pair_stats: ScoreStats::default(),
        mention_stats: ScoreStats::default(),
        time_share: 0.0,
        unknown: 0.0,
        asks_when: false,
        matching: memories.len() as u64,
        compared: memories.len() as u64,
        memories: Box::new(memories.to_vec()),
        path: RecallPath::Snapshot,
        generation: Generation(1),
    }
}

impl CandidateMemories for Vec<Arc<Memory>> {
    fn attributes(&self, index: usize) -> Attributes {
        Attributes::from(&*self[index])
    }

    fn content(&self, index: usize) -> &str {
        &self[index].content
    }

    fn memory(&self, index: usize) -> Arc<Memory> {
        Arc::clone(&self[index])
    }

    fn term_shares(&self, indices: &[usize]) -> Vec<TermShares> {
        vec![TermShares::default(); indices.len()]
    }
}

fn context(ranking: &Ranking, limit: usize) -> RankingContext<'_> {
    RankingContext {
        ranking,
        words: &[],
        dates: &[],
        now: now(),
        is_historical: false,
        min_similarity: None,
        limit,
    }
}

#[test]
fn blends_are_lent_and_a_mention_lifts() {
    let memories: Vec<_> = (0..5).map(|_| memory(0.5, 1)).collect();
    let mut set = candidates(&memories, &[0.9, 0.1, 0.1, 0.1, 0.1], &[0.0; 5]);
    set.episodes = vec![vec![0, 1, 2].into()];
    set.links = vec![(0, 3)];
    let ranking = Ranking::default();
    let best = set.top_k(&context(&ranking, 5));
    let received = |n: usize| {
        let of = |ranked: &&RankedMemory| ranked.memory.id == memories[n].id;
        best.iter().find(of).unwrap().explanation.neighbors
    };
    assert_eq!(best[0].memory.id, memories[0].id);
    assert!(received(1) > received(2), "the nearer receives more");
    assert!(received(3) > 0.0, "a linked memory receives too");
    assert_eq!(received(4), 0.0);
    set.mentioned[4] = true;
    set.mention_stats = ScoreStats {
        mean: 0.2,
        deviation: 0.4,
    };
    let lifted = set.top_k(&context(&ranking, 2));
    assert!(
        lifted
            .iter()
            .any(|ranked| ranked.memory.id == memories[4].id)
    );
}

#[test]
fn blends_are_not_lent_over_long_gaps() {
    let memories = [memory(0.5, 0), memory(0.5, 24), memory(0.5, 2_400)];
    let mut set = candidates(&memories, &[0.9, 0.1, 0.1], &[0.0; 3]);
    set.episodes = vec![vec![2, 1, 0].into()];
    let best = set.top_k(&context(&Ranking::default(), 3));
    let received: Vec<f32> = memories
        .iter()
        .filter_map(|m| best.iter().find(|ranked| ranked.memory.id == m.id))
        .map(|ranked| ranked.explanation.neighbors)
        .collect();
    assert!(received[1] > 0.0);
    assert_eq!(received[2], 0.0);
}

fn told(content: &str, age_hours: i64) -> Arc<Memory> {
    let item = MemoryBatchItem::new("mira", MemoryKind::World, content)
        .with_timestamp(now() - TimeDelta::hours(age_hours));
    Arc::new(item.into_memory(now()).unwrap())
}

/// The contents, best first, of memories with a cosine and a BM25.
fn order(values: &[(&Arc<Memory>, f32, f32)], ranking: &Ranking) -> Vec<String> {
    order_for("", values, ranking)
}

fn order_for(
    question: &str,
    values: &[(&Arc<Memory>, f32, f32)],
    ranking: &Ranking,
) -> Vec<String> {
    let memories: Vec<_> = values.iter().map(|value| Arc::clone(value.0)).collect();
    let similarities: Vec<f32> = values.iter().map(|value| value.1).collect();
    let lexical: Vec<f32> = values.iter().map(|value| value.2).collect();
    let set = candidates(&memories, &similarities, &lexical);
    let words = memory_text::word_digests(question).words;
    let best = set.top_k(&RankingContext {
        words: &words,
        ..context(ranking, values.len())
    });
    assert!(best.is_sorted_by(|a, b| a.score >= b.score));
    for ranked in &best {
        let replayed = ranking.replay(&ranked.explanation);
        assert_eq!(replayed.to_bits(), ranked.score.to_bits());
    }
    let contents = best.iter().map(|ranked| ranked.memory.content.clone());
    contents.collect()
}

#[test]
fn the_newer_of_near_equal_answers_leads_and_a_better_match_is_not_buried() {
    let ranking = Ranking::default();
    let old = told("SSH is on port 22", 1_400);
    let new = told("SSH moved to port 49222", 0);
    let lead = |values: &[(&Arc<Memory>, f32, f32)]| order(values, &ranking)[0].clone();
    // Values of the default model.
    assert_eq!(
        lead(&[(&old, 0.767, 0.4), (&new, 0.634, 0.38)]),
        new.content
    );
    let off = Ranking {
        newer: 0.0,
        ..ranking
    };
    let values = [(&old, 0.767, 0.4), (&new, 0.634, 0.38)];
    assert_eq!(order(&values, &off)[0], old.content);
    // The older stays first where it matches better, by meaning or words,
    assert_eq!(lead(&[(&old, 0.767, 0.4), (&new, 0.4, 0.4)]), old.content);
    assert_eq!(lead(&[(&old, 0.767, 0.4), (&new, 0.7, 0.1)]), old.content);
    // and where the newer is of another subject.
    let other = told("The port authority opened a ferry", 0);
    assert_eq!(lead(&[(&old, 0.767, 0.4), (&other, 0.7, 0.4)]), old.content);
    // A word of the question that only the older has is another subject too.
    let (tam, ann) = (
        told("Tam rides a brown horse", 9),
        told("Ann rides a brown horse", 0),
    );
    let values = [(&tam, 0.7, 0.4), (&ann, 0.65, 0.39)];
    assert_eq!(order(&values, &ranking)[0], ann.content);
    assert_eq!(order_for("Tam's horse", &values, &ranking)[0], tam.content);
    // A negation is a change, whatever the question negates, in every language.
    for (old, new) in [
        ("Tam likes green tea", "Tam no longer likes green tea"),
        ("Tam likes green tea", "Tam doesn't like green tea"),
        ("Tam doesn't like green tea", "Tam likes green tea"),
        ("Tam is allergic to nuts", "Tam is not allergic to nuts"),
        ("Tam mag grünen Tee", "Tam mag keinen grünen Tee"),
        ("田中喜欢绿茶", "田中不喜欢绿茶"),
    ] {
        let (old, new) = (told(old, 900), told(new, 0));
        let values = [(&old, 0.767, 0.4), (&new, 0.7, 0.38)];
        for question in ["", "Tam's tea", "Which tea is not for Tam?"] {
            let order = order_for(question, &values, &ranking);
            assert_eq!(order[0], new.content, "{question}");
        }
    }
    // What only says more is no newer value.
    let (less, more) = (told("Tam likes tea", 900), told("Tam likes green tea", 0));
    let values = [(&less, 0.767, 0.4), (&more, 0.7, 0.38)];
    assert_eq!(order(&values, &ranking)[0], less.content);
    // A better match of another subject keeps its lead.
    let best = told("The harbour is closed in winter", 2_000);
    let all = [(&best, 0.9, 0.9), (&old, 0.767, 0.4), (&new, 0.634, 0.38)];
    assert_eq!(
        order(&all, &ranking),
        [&best.content, &new.content, &old.content].map(String::clone)
    );
}

proptest! {
    #[test]
    fn pruning_does_not_change_the_result_and_scores_replay(
        values in prop::collection::vec(
            (-1.0f32..1.0, 0.0f32..9.0, 0.0f32..1.0, 0i64..9_000, 0.0f32..5.0, 1u32..9),
            1..80,
        ),
        limit in 1usize..20,
        is_sum in any::<bool>(),
        asks_when in any::<bool>(),
        unknown in 0.0f32..=1.0,
    ) {
        let memories: Vec<_> = values.iter().map(|v| memory(v.2, v.3)).collect();
        let similarities: Vec<f32> = values.iter().map(|v| v.0).collect();
        let lexical: Vec<f32> = values.iter().map(|v| v.1).collect();
        let mut set = candidates(&memories, &similarities, &lexical);
        set.episodes = vec![(0..values.len()).collect::<Vec<_>>().into()];
        set.pairs = values.iter().map(|v| v.4).collect();
        set.pair_stats = ScoreStats::of(set.pairs.iter().copied());
        set.chunks = values.iter().map(|v| v.5).collect();
        set.words = values.iter().map(|v| v.5 * 60).collect();
        set.has_time = values.iter().map(|v| v.5 > 4).collect();
        (set.time_share, set.unknown, set.asks_when) = (0.5, unknown, asks_when);
        let dates = named_dates("what happened last week?", now());
        let context = |ranking, limit| RankingContext { dates: &dates, ..context(ranking, limit) };
        let ranking = if is_sum { Ranking::weighted_sum() } else { Ranking::default() };
        let all = set.top_k(&context(&ranking, values.len()));
        let best = set.top_k(&context(&ranking, limit));
        let ids = |ranked: &[RankedMemory]| ranked.iter().map(|r| r.memory.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&best), &ids(&all)[..limit.min(values.len())]);
        for ranked in &best {
            prop_assert_eq!(ranking.replay(&ranked.explanation).to_bits(), ranked.score.to_bits());
        }
    }
}
