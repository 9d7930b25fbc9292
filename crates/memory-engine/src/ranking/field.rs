//! Everything that takes part in one recall, and its order.

use std::cmp::Ordering;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{Generation, Memory, ScoreStats};

use super::{Explanation, Ranking, RecallPath};

/// The memories that a recall is about, each in its place, with what the retrievers
/// say of it. The places are a snapshot's slots, or the candidates of a store.
pub(crate) struct Field<'a> {
    /// `None` in a place that takes no part.
    pub(crate) memories: Vec<Option<&'a Arc<Memory>>>,
    /// Cosines; [`Field::NONE`] without a vector.
    pub(crate) similarities: Vec<f32>,
    /// BM25; 0 when no word matched.
    pub(crate) lexical: Vec<f32>,
    pub(crate) mentioned: Vec<bool>,
    /// The places of each context, in the order of time.
    pub(crate) episodes: Vec<Vec<usize>>,
    /// Places of memories that are related to each other.
    pub(crate) links: Vec<(usize, usize)>,
    pub(crate) dense: ScoreStats,
    pub(crate) words: ScoreStats,
    pub(crate) mentions: ScoreStats,
    pub(crate) path: RecallPath,
    pub(crate) generation: Generation,
}

/// What is wanted of the field.
pub(crate) struct Contest<'a> {
    pub(crate) ranking: &'a Ranking,
    pub(crate) now: DateTime<Utc>,
    pub(crate) min_similarity: Option<f32>,
    pub(crate) limit: usize,
}

/// One memory in its order.
pub(crate) struct Ranked {
    pub(crate) memory: Arc<Memory>,
    pub(crate) score: f32,
    pub(crate) explanation: Explanation,
}

struct Runner {
    place: usize,
    total: f32,
}

impl Field<'_> {
    /// No vector to compare.
    pub(crate) const NONE: f32 = f32::NEG_INFINITY;

    /// The best `limit`, best first; equal scores newest first, then by id.
    pub(crate) fn best(&self, contest: &Contest<'_>) -> Vec<Ranked> {
        let relevance = self.relevance(contest.ranking);
        let lent = self.lend(contest.ranking, &relevance);
        let mut runners: Vec<Runner> = (0..self.memories.len())
            .filter(|&place| self.takes_part(place, contest.min_similarity))
            .map(|place| Runner {
                place,
                total: self.total(place, contest.ranking, relevance[place], lent[place]),
            })
            .collect();
        keep_contenders(&mut runners, contest);
        let mut ranked: Vec<Ranked> = runners
            .into_iter()
            .filter_map(|runner| self.rank(&runner, lent[runner.place], contest))
            .collect();
        ranked.sort_unstable_by(by_rank);
        ranked.truncate(contest.limit);
        ranked
    }

    fn total(&self, place: usize, ranking: &Ranking, relevance: f32, lent: f32) -> f32 {
        let named = ranking.named(self.mentioned[place], self.mentions);
        ranking.total(relevance, lent, named)
    }

    fn takes_part(&self, place: usize, min_similarity: Option<f32>) -> bool {
        self.memories[place].is_some()
            && min_similarity.is_none_or(|min| self.similarities[place] >= min)
    }

    fn relevance(&self, ranking: &Ranking) -> Vec<f32> {
        (0..self.memories.len())
            .map(|place| match self.memories[place] {
                Some(_) => ranking.relevance(
                    ranking.scaled(self.similarity(place), self.dense),
                    ranking.scaled(Some(self.lexical[place]), self.words),
                ),
                None => 0.0,
            })
            .collect()
    }

    /// What each place is lent by its neighbors and by what it is linked to.
    fn lend(&self, ranking: &Ranking, relevance: &[f32]) -> Vec<f32> {
        let mut lent = vec![0.0; self.memories.len()];
        if ranking.neighbors == 0.0 {
            return lent;
        }
        let mut share = ranking.neighbors;
        for step in 1..=ranking.neighbor_reach {
            for episode in &self.episodes {
                for (&a, &b) in episode.iter().zip(episode.iter().skip(step)) {
                    let share = share * ranking.across(self.gap(a, b));
                    lent[a] += share * relevance[b];
                    lent[b] += share * relevance[a];
                }
            }
            share *= ranking.neighbor_decay;
        }
        for &(a, b) in &self.links {
            lent[a] += ranking.neighbors * relevance[b];
            lent[b] += ranking.neighbors * relevance[a];
        }
        lent
    }

    fn gap(&self, a: usize, b: usize) -> TimeDelta {
        let time = |place: usize| self.memories[place].map(|memory| memory.timestamp);
        time(a)
            .zip(time(b))
            .map_or_else(TimeDelta::zero, |(a, b)| b - a)
    }

    fn rank(&self, runner: &Runner, lent: f32, contest: &Contest<'_>) -> Option<Ranked> {
        let (place, ranking) = (runner.place, contest.ranking);
        let memory = self.memories[place]?;
        let importance = Ranking::importance_of(memory, contest.now);
        let recency = ranking.recency_of(memory, contest.now);
        Some(Ranked {
            memory: Arc::clone(memory),
            score: ranking.score(runner.total, importance, recency),
            explanation: Explanation {
                similarity: self.similarity(place),
                lexical: self.lexical[place],
                dense_stats: self.dense,
                lexical_stats: self.words,
                neighbors: lent,
                mentioned: self.mentioned[place],
                mention_stats: self.mentions,
                importance,
                recency,
                path: self.path,
                generation: self.generation,
                now: contest.now,
            },
        })
    }

    fn similarity(&self, place: usize) -> Option<f32> {
        let similarity = self.similarities[place];
        (similarity > Self::NONE).then_some(similarity)
    }
}

/// Drops those that cannot be among the best whatever their importance and
/// recency: both are 0 to 1, so a score lies between the total and the total
/// with full boosts. Saves computing the decay of every memory.
fn keep_contenders(runners: &mut Vec<Runner>, contest: &Contest<'_>) {
    if runners.len() <= contest.limit {
        return;
    }
    let by_total = |a: &Runner, b: &Runner| b.total.total_cmp(&a.total);
    let (_, last, _) = runners.select_nth_unstable_by(contest.limit - 1, by_total);
    let least = last.total;
    runners.retain(|runner| contest.ranking.score(runner.total, 1.0, 1.0) >= least);
}

fn by_rank(a: &Ranked, b: &Ranked) -> Ordering {
    let tie = |ranked: &Ranked| (ranked.memory.timestamp, ranked.memory.id);
    b.score
        .total_cmp(&a.score)
        .then_with(|| tie(b).cmp(&tie(a)))
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryBatchItem, MemoryKind};
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn memory(importance: f32, age_hours: i64) -> Arc<Memory> {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_importance(importance)
            .with_timestamp(now() - TimeDelta::hours(age_hours));
        Arc::new(item.into_memory(now()).unwrap())
    }

    fn field<'a>(memories: &'a [Arc<Memory>], similarities: &[f32], lexical: &[f32]) -> Field<'a> {
        Field {
            memories: memories.iter().map(Some).collect(),
            similarities: similarities.to_vec(),
            lexical: lexical.to_vec(),
            mentioned: vec![false; memories.len()],
            episodes: Vec::new(),
            links: Vec::new(),
            dense: ScoreStats::of(similarities.iter().copied()),
            words: ScoreStats::of(lexical.iter().copied()),
            mentions: ScoreStats::default(),
            path: RecallPath::Snapshot,
            generation: Generation(1),
        }
    }

    fn contest(ranking: &Ranking, limit: usize) -> Contest<'_> {
        Contest {
            ranking,
            now: now(),
            min_similarity: None,
            limit,
        }
    }

    #[test]
    fn neighbors_and_links_lend_and_a_mention_lifts() {
        let memories: Vec<_> = (0..5).map(|_| memory(0.5, 1)).collect();
        let mut field = field(&memories, &[0.9, 0.1, 0.1, 0.1, 0.1], &[0.0; 5]);
        field.episodes = vec![vec![0, 1, 2]];
        field.links = vec![(0, 3)];
        let ranking = Ranking::default();
        let best = field.best(&contest(&ranking, 5));
        let lent = |n: usize| {
            let of = |ranked: &&Ranked| ranked.memory.id == memories[n].id;
            best.iter().find(of).unwrap().explanation.neighbors
        };
        assert_eq!(best[0].memory.id, memories[0].id);
        assert!(lent(1) > lent(2), "the nearer is lent more");
        assert!(lent(3) > 0.0, "a linked memory is lent too");
        assert_eq!(lent(4), 0.0);
        field.mentioned[4] = true;
        field.mentions = ScoreStats {
            mean: 0.2,
            deviation: 0.4,
        };
        let lifted = field.best(&contest(&ranking, 2));
        assert!(
            lifted
                .iter()
                .any(|ranked| ranked.memory.id == memories[4].id)
        );
    }

    #[test]
    fn what_happened_long_after_lends_nothing() {
        let memories = [memory(0.5, 0), memory(0.5, 24), memory(0.5, 2_400)];
        let mut field = field(&memories, &[0.9, 0.1, 0.1], &[0.0; 3]);
        field.episodes = vec![vec![2, 1, 0]];
        let best = field.best(&contest(&Ranking::default(), 3));
        let lent: Vec<f32> = memories
            .iter()
            .filter_map(|m| best.iter().find(|ranked| ranked.memory.id == m.id))
            .map(|ranked| ranked.explanation.neighbors)
            .collect();
        assert!(lent[1] > 0.0);
        assert_eq!(lent[2], 0.0);
    }

    proptest! {
        #[test]
        fn dropping_hopeless_runners_changes_nothing_and_scores_replay(
            values in prop::collection::vec((-1.0f32..1.0, 0.0f32..9.0, 0.0f32..1.0, 0i64..9_000), 1..80),
            limit in 1usize..20,
            seed in any::<bool>(),
        ) {
            let memories: Vec<_> = values.iter().map(|v| memory(v.2, v.3)).collect();
            let similarities: Vec<f32> = values.iter().map(|v| v.0).collect();
            let lexical: Vec<f32> = values.iter().map(|v| v.1).collect();
            let mut field = field(&memories, &similarities, &lexical);
            field.episodes = vec![(0..values.len()).collect()];
            let ranking = if seed { Ranking::weighted_sum() } else { Ranking::default() };
            let all = field.best(&contest(&ranking, values.len()));
            let best = field.best(&contest(&ranking, limit));
            let ids = |ranked: &[Ranked]| ranked.iter().map(|r| r.memory.id).collect::<Vec<_>>();
            prop_assert_eq!(ids(&best), &ids(&all)[..limit.min(values.len())]);
            for ranked in &best {
                prop_assert_eq!(ranking.replay(&ranked.explanation).to_bits(), ranked.score.to_bits());
            }
        }
    }
}
