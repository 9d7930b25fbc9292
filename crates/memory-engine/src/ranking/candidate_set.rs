//! The candidates of one recall and their order.

use std::cmp::Ordering;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{Generation, Memory, MemoryId, ScoreStats};
use memory_text::dates::{NamedDate, date_closeness};

use super::formula::{Lifts, RetrieverStats, RetrieverValues};
use super::newer_first::{WINDOW, newer_first};
use super::{Explanation, Ranking, RecallPath, TermShares};

/// The candidates of a recall, each at its index, with the retrievers' values.
pub(crate) struct CandidateSet<'a> {
    /// In microseconds.
    pub(crate) times: Vec<i64>,
    /// Cosines; [`CandidateSet::NO_SIMILARITY`] without a vector.
    pub(crate) similarities: Vec<f32>,
    /// The number of vectors; 0 without one.
    pub(crate) chunks: Vec<u32>,
    /// BM25 of the best passage; 0 when no term matched.
    pub(crate) lexical: Vec<f32>,
    /// BM25 over pairs of words; 0 when no pair matched.
    pub(crate) pairs: Vec<f32>,
    pub(crate) mentioned: Vec<bool>,
    /// Number of words.
    pub(crate) words: Vec<u32>,
    /// Whether the text names a time.
    pub(crate) has_time: Vec<bool>,
    /// Contexts, or parts of them.
    pub(crate) episodes: Vec<Episode>,
    /// Indices of memories that are related to each other.
    pub(crate) links: Vec<(usize, usize)>,
    /// Of the similarities with the discount for their chunks:
    /// [`Ranking::dense_value`].
    pub(crate) dense_stats: ScoreStats,
    pub(crate) lexical_stats: ScoreStats,
    pub(crate) pair_stats: ScoreStats,
    pub(crate) mention_stats: ScoreStats,
    /// The share of memories that name a time, 0 to 1.
    pub(crate) time_share: f32,
    /// Share of the query's tokens that the model does not know.
    pub(crate) unknown: f32,
    /// Whether the query asks for a time.
    pub(crate) asks_when: bool,
    /// How many memories the filter matches, and how many of them have a vector;
    /// of the candidates only, where the others were not counted.
    pub(crate) matching: u64,
    pub(crate) compared: u64,
    pub(crate) memories: Box<dyn CandidateMemories + 'a>,
    pub(crate) path: RecallPath,
    pub(crate) generation: Generation,
}

/// Adjacent memories of one context.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Episode {
    /// Their indices, in the order of time.
    pub(crate) members: Vec<usize>,
    /// How many memories the context has, at least those.
    pub(crate) length: usize,
}

impl From<Vec<usize>> for Episode {
    /// All memories of a context.
    fn from(members: Vec<usize>) -> Self {
        let length = members.len();
        Self { members, length }
    }
}

/// The parameters of a ranking.
pub(crate) struct RankingContext<'a> {
    pub(crate) ranking: &'a Ranking,
    /// The digests of the query's words.
    pub(crate) words: &'a [u64],
    /// The dates that the query names.
    pub(crate) dates: &'a [NamedDate],
    pub(crate) now: DateTime<Utc>,
    /// Whether `now` is an earlier moment, after which accesses do not count.
    pub(crate) is_historical: bool,
    pub(crate) min_similarity: Option<f32>,
    pub(crate) limit: usize,
}

impl RankingContext<'_> {
    /// How many of the best are put in order: whatever the limit, the newer leads
    /// among the same best results.
    pub(crate) fn considered(&self) -> usize {
        self.limit.max(WINDOW)
    }
}

/// What a ranking reads of few candidates, by their index.
pub(crate) trait CandidateMemories {
    fn attributes(&self, index: usize) -> Attributes;
    fn content(&self, index: usize) -> &str;
    fn memory(&self, index: usize) -> Arc<Memory>;
    /// Which shares of the query's terms each of several has: to look up a term once for
    /// all of them.
    fn term_shares(&self, indices: &[usize]) -> Vec<TermShares>;
}

/// What the boosts and the order of ties depend on.
pub(crate) struct Attributes {
    pub(crate) id: MemoryId,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) importance: f32,
    pub(crate) decay_rate: f32,
    pub(crate) access_count: u64,
    pub(crate) last_accessed: Option<DateTime<Utc>>,
}

impl From<&Memory> for Attributes {
    fn from(memory: &Memory) -> Self {
        Self {
            id: memory.id,
            timestamp: memory.timestamp,
            importance: memory.importance,
            decay_rate: memory.decay_rate,
            access_count: memory.access_count,
            last_accessed: memory.last_accessed,
        }
    }
}

/// A candidate with its score.
pub(super) struct RankedCandidate {
    /// Its index among the candidates.
    pub(super) index: usize,
    pub(super) id: MemoryId,
    pub(super) timestamp: DateTime<Utc>,
    pub(super) score: f32,
    pub(super) explanation: Explanation,
}

/// A memory with its score.
pub(crate) struct RankedMemory {
    pub(crate) memory: Arc<Memory>,
    pub(crate) score: f32,
    pub(crate) explanation: Explanation,
}

/// A score without the boosts of importance and recency.
struct PartialScore {
    index: usize,
    total: f32,
}

impl CandidateSet<'_> {
    /// The similarity of a memory without a vector.
    pub(crate) const NO_SIMILARITY: f32 = f32::NEG_INFINITY;

    /// The best `limit`, best first; equal scores newest first, then by id.
    pub(crate) fn top_k(&self, context: &RankingContext<'_>) -> Vec<RankedMemory> {
        let blend = self.blend(context.ranking);
        let received = self.lend(context.ranking, &blend);
        let mut partial: Vec<PartialScore> = (0..self.times.len())
            .filter(|&index| self.is_eligible(index, context.min_similarity))
            .map(|index| PartialScore {
                index,
                total: self.total(index, context, blend[index], received[index]),
            })
            .collect();
        prune_by_upper_bound(&mut partial, context, context.considered());
        let mut ranked: Vec<RankedCandidate> = partial
            .into_iter()
            .map(|score| self.finish(&score, received[score.index], context))
            .collect();
        ranked.sort_unstable_by(by_rank);
        if context.ranking.newer > 0.0 {
            let content = |index| self.memories.content(index);
            newer_first(&mut ranked, context.ranking.newer, context.words, content);
        }
        ranked.truncate(context.limit);
        let indices: Vec<usize> = ranked.iter().map(|ranked| ranked.index).collect();
        let shares = self.memories.term_shares(&indices);
        let results = ranked.into_iter().zip(shares);
        results
            .map(|(ranked, shares)| self.result(ranked, shares))
            .collect()
    }

    fn result(&self, ranked: RankedCandidate, shares: TermShares) -> RankedMemory {
        RankedMemory {
            memory: self.memories.memory(ranked.index),
            score: ranked.score,
            explanation: Explanation {
                relevance_inputs: Some(self.relevance_inputs(ranked.index, shares)),
                ..ranked.explanation
            },
        }
    }

    /// The indices of the `count` memories that lend the most and of as many that
    /// lead without what they receive, each once.
    pub(crate) fn best_without_lending(
        &self,
        context: &RankingContext<'_>,
        count: usize,
    ) -> Vec<usize> {
        let blend = self.blend(context.ranking);
        let lenders = blend.iter().copied().enumerate();
        let leaders = lenders
            .clone()
            .map(|(index, blend)| (index, self.total(index, context, blend, 0.0)));
        let mut best = highest(lenders.collect(), count);
        best.extend(highest(leaders.collect(), count));
        best.sort_unstable();
        best.dedup();
        best
    }

    fn total(&self, index: usize, context: &RankingContext<'_>, blend: f32, received: f32) -> f32 {
        let lifts = Lifts {
            mentioned: self.mentioned[index],
            mention_stats: self.mention_stats,
            date: self.date(index, context.dates),
            when: self.when(index),
        };
        context.ranking.total(blend, received, &lifts)
    }

    fn date(&self, index: usize, dates: &[NamedDate]) -> f32 {
        if dates.is_empty() {
            return 0.0;
        }
        let time = DateTime::from_timestamp_micros(self.times[index]);
        date_closeness(dates, time.unwrap_or_default())
    }

    /// Whether a memory names a time, minus the mean; 0 where the query does not
    /// ask for one.
    fn when(&self, index: usize) -> f32 {
        if self.asks_when {
            f32::from(u8::from(self.has_time[index])) - self.time_share
        } else {
            0.0
        }
    }

    fn is_eligible(&self, index: usize, min_similarity: Option<f32>) -> bool {
        min_similarity.is_none_or(|min| self.similarities[index] >= min)
    }

    fn blend(&self, ranking: &Ranking) -> Vec<f32> {
        let stats = RetrieverStats {
            dense: self.dense_stats,
            lexical: self.lexical_stats,
            pairs: self.pair_stats,
            unknown: self.unknown,
        };
        (0..self.times.len())
            .map(|index| ranking.blend(&self.values(index), &stats))
            .collect()
    }

    fn values(&self, index: usize) -> RetrieverValues {
        RetrieverValues {
            similarity: self.similarity(index),
            chunks: self.chunks[index],
            lexical: self.lexical[index],
            pairs: self.pairs[index],
        }
    }

    fn finish(
        &self,
        score: &PartialScore,
        received: f32,
        context: &RankingContext<'_>,
    ) -> RankedCandidate {
        let (index, ranking) = (score.index, context.ranking);
        let attributes = self.memories.attributes(index);
        let importance = Ranking::importance_of(&attributes, context);
        let recency = ranking.recency_of(attributes.timestamp, context.now);
        RankedCandidate {
            index,
            id: attributes.id,
            timestamp: attributes.timestamp,
            score: ranking.score(score.total, importance, recency),
            explanation: Explanation {
                similarity: self.similarity(index),
                chunks: self.chunks[index],
                lexical: self.lexical[index],
                pairs: self.pairs[index],
                dense_stats: self.dense_stats,
                lexical_stats: self.lexical_stats,
                pair_stats: self.pair_stats,
                unknown: self.unknown,
                neighbors: received,
                mentioned: self.mentioned[index],
                mention_stats: self.mention_stats,
                date: self.date(index, context.dates),
                when: self.when(index),
                importance,
                recency,
                newer: 0.0,
                reranker_score: None,
                relevance_inputs: None,
                path: self.path,
                generation: self.generation,
                now: context.now,
            },
        }
    }

    fn similarity(&self, index: usize) -> Option<f32> {
        let similarity = self.similarities[index];
        (similarity > Self::NO_SIMILARITY).then_some(similarity)
    }
}

/// The indices of the `count` highest values.
fn highest(mut values: Vec<(usize, f32)>, count: usize) -> Vec<usize> {
    if values.len() > count {
        values.select_nth_unstable_by(count, |a, b| b.1.total_cmp(&a.1));
        values.truncate(count);
    }
    values.into_iter().map(|(index, _)| index).collect()
}

/// Drops candidates that cannot be among the best whatever their importance and
/// recency: both are 0 to 1, so a score is between the total and the total with
/// full boosts. Saves computing the decay of every memory.
fn prune_by_upper_bound(
    partial: &mut Vec<PartialScore>,
    context: &RankingContext<'_>,
    limit: usize,
) {
    if partial.len() <= limit {
        return;
    }
    let by_total = |a: &PartialScore, b: &PartialScore| b.total.total_cmp(&a.total);
    let (_, last, _) = partial.select_nth_unstable_by(limit - 1, by_total);
    let lower_bound = last.total;
    partial.retain(|score| context.ranking.score(score.total, 1.0, 1.0) >= lower_bound);
}

pub(super) fn by_rank(a: &RankedCandidate, b: &RankedCandidate) -> Ordering {
    let tie = |ranked: &RankedCandidate| (ranked.timestamp, ranked.id);
    b.score
        .total_cmp(&a.score)
        .then_with(|| tie(b).cmp(&tie(a)))
}

#[cfg(test)]
mod tests;
