//! Ranking: score fusion of the retrievers' values into one order.
//!
//! Each retriever gives every memory a raw value (a cosine, a BM25). The values
//! are normalized per retriever and combined to a *relevance*; part of it is
//! propagated to neighbors in the same episode; a memory with a tag, metadata
//! value or participant that the query mentions is lifted; importance and
//! recency are boosts on top.

mod candidate_set;
mod newer_first;
mod store_candidates;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{
    Generation, InvalidInput, Memory, MemoryError, MemoryResult, ScoreStats, current_importance,
};
use serde::{Deserialize, Serialize};

use crate::history::are_accesses_known;

pub(crate) use candidate_set::{CandidateSet, RankingContext};
pub(crate) use store_candidates::StoreCandidates;

/// The weights that order the results of a recall.
///
/// | | [`default`](Self::default) | [`weighted_sum`](Self::weighted_sum) |
/// |---|---|---|
/// | `similarity` | 0.65 | 0.6 |
/// | `lexical` | 0.35 | 0 |
/// | `neighbors` | 0.4 | 0 |
/// | `neighbor_decay` | 0.5 | 0.5 |
/// | `neighbor_reach` | 3 | 3 |
/// | `neighbor_span_hours` | 48 | 48 |
/// | `mention` | 0.8 | 0 |
/// | `importance` | 0.05 | 0.3 |
/// | `recency` | 0.05 | 0.1 |
/// | `recency_half_life_days` | 30 | 30 |
/// | `newer` | 0.2 | 0 |
/// | `fusion` | boost | sum |
///
/// The defaults come from cross-validation over real conversations;
/// docs/performance.md has the figures, with one row per weight set to 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ranking {
    /// Weight of the dense retriever: the cosine between query and memory.
    pub similarity: f32,
    /// Weight of the lexical retriever: BM25 over stems.
    pub lexical: f32,
    /// Share of a memory's relevance that is propagated to each adjacent memory
    /// of the same context, and to each related memory.
    pub neighbors: f32,
    /// Factor by which that share decays with each further step.
    pub neighbor_decay: f32,
    /// Steps over which relevance is propagated, 0 to 8.
    pub neighbor_reach: usize,
    /// Time gap at which the propagated share reaches 0, linearly: memories of
    /// the same context that are weeks apart are separate episodes.
    pub neighbor_span_hours: f32,
    /// Weight of a mention: whether the query contains one of the memory's
    /// tags, metadata values or participants. Normalized like a retriever, so
    /// that a rare label counts more, but at most three deviations.
    pub mention: f32,
    /// Weight of the current importance (decayed, see
    /// [`memory_core::current_importance`]), capped at 1.
    pub importance: f32,
    /// Weight of the recency, `2^(−age_days / recency_half_life_days)`, 1 for
    /// memories of the future.
    pub recency: f32,
    /// Age in days at which the recency is one half.
    pub recency_half_life_days: f32,
    /// Largest difference in cosine, 0 to 2, by which a newer memory may match
    /// worse and still lead an older one of the same subject, among the ten best
    /// and for memories of at most 200 bytes: of two contradicting answers the
    /// later is more likely to be true. It must match the words of the query
    /// nearly as well, and share words with the older. 0 switches it off.
    pub newer: f32,
    /// How the retrievers' values are normalized and combined.
    #[serde(alias = "blend")]
    pub fusion: ScoreFusion,
}

/// How the parts are combined to one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreFusion {
    /// Each retriever's values as z-scores, so that they can be added; then
    /// `s + |s| · (importance weight · importance + recency weight · recency)`:
    /// importance and recency settle ties and never bury a match.
    Boost,
    /// The weighted sum of the retrievers' raw values, importance and recency.
    Sum,
}

/// The largest weight, so that no score overflows.
const MAX_WEIGHT: f32 = 1_000.0;

/// Largest z-score of a mention: without a cap, one tag in ten thousand memories
/// would outweigh every other match.
const MAX_MENTION: f32 = 3.0;

const SECONDS_PER_HOUR: f32 = 3_600.0;

/// Most steps over which relevance is propagated.
const MAX_REACH: usize = 8;

impl Default for Ranking {
    fn default() -> Self {
        Self {
            similarity: 0.65,
            lexical: 0.35,
            neighbors: 0.4,
            neighbor_decay: 0.5,
            neighbor_reach: 3,
            neighbor_span_hours: 48.0,
            mention: 0.8,
            importance: 0.05,
            recency: 0.05,
            recency_half_life_days: 30.0,
            newer: 0.2,
            fusion: ScoreFusion::Boost,
        }
    }
}

impl Ranking {
    /// A weighted sum: 60 % similarity, 30 % importance, 10 % recency.
    ///
    /// The formula of the original memory system, kept for its users and as a
    /// baseline. Park et al., "Generative Agents: Interactive Simulacra of Human
    /// Behavior" (2023), rank by a sum of the same three parts. It uses neither
    /// terms nor neighbors nor mentions, and finds less on conversations than
    /// the default: docs/performance.md.
    #[must_use]
    pub fn weighted_sum() -> Self {
        Self {
            similarity: 0.6,
            lexical: 0.0,
            neighbors: 0.0,
            mention: 0.0,
            importance: 0.3,
            recency: 0.1,
            newer: 0.0,
            fusion: ScoreFusion::Sum,
            ..Self::default()
        }
    }

    /// Checks that every weight is a number within its limits, and every time
    /// span positive.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the weight and its limit.
    pub fn validate(&self) -> MemoryResult<()> {
        let weights = [
            ("similarity", self.similarity, MAX_WEIGHT),
            ("lexical", self.lexical, MAX_WEIGHT),
            ("neighbors", self.neighbors, 1.0),
            ("neighbor_decay", self.neighbor_decay, 1.0),
            ("mention", self.mention, MAX_WEIGHT),
            ("importance", self.importance, MAX_WEIGHT),
            ("recency", self.recency, MAX_WEIGHT),
            ("newer", self.newer, 2.0),
        ];
        for (weight, value, max) in weights {
            if !(0.0..=max).contains(&value) {
                return Err(InvalidInput::Weight { weight, value, max }.into());
            }
        }
        if self.neighbor_reach > MAX_REACH {
            let (found, max) = (self.neighbor_reach, MAX_REACH);
            return Err(InvalidInput::NeighborReach { found, max }.into());
        }
        let spans = [
            ("recency_half_life_days", self.recency_half_life_days),
            ("neighbor_span_hours", self.neighbor_span_hours),
        ];
        for (span, value) in spans {
            if !(value.is_finite() && value > 0.0) {
                return Err(MemoryError::from(InvalidInput::Span { span, value }));
            }
        }
        Ok(())
    }

    /// Recomputes a score from its explanation, bit for bit.
    #[must_use]
    pub fn replay(&self, explanation: &Explanation) -> f32 {
        let relevance = self.relevance(
            self.normalized(explanation.similarity, explanation.dense_stats),
            self.normalized(Some(explanation.lexical), explanation.lexical_stats),
        );
        let mention = self.mention_value(explanation.mentioned, explanation.mention_stats);
        let total = self.total(relevance, explanation.neighbors, mention);
        let score = self.score(total, explanation.importance, explanation.recency);
        // Not added where it is 0, which would turn −0 into 0.
        if explanation.newer == 0.0 {
            score
        } else {
            score + explanation.newer
        }
    }

    /// A retriever's raw value on the scale that the fusion adds.
    fn normalized(&self, raw: Option<f32>, stats: ScoreStats) -> f32 {
        match (raw, self.fusion) {
            (Some(raw), ScoreFusion::Boost) => stats.z_score(raw),
            (Some(raw), ScoreFusion::Sum) => raw,
            (None, _) => 0.0,
        }
    }

    /// Both retrievers combined, from normalized values.
    fn relevance(&self, similarity: f32, lexical: f32) -> f32 {
        self.similarity * similarity + self.lexical * lexical
    }

    /// The normalized value of a mention.
    fn mention_value(&self, mentioned: bool, stats: ScoreStats) -> f32 {
        self.normalized(Some(f32::from(u8::from(mentioned))), stats)
            .min(MAX_MENTION)
    }

    fn total(&self, relevance: f32, neighbors: f32, mention: f32) -> f32 {
        relevance + neighbors + self.mention * mention
    }

    /// The score; never below `total`, as importance and recency are 0 to 1.
    fn score(&self, total: f32, importance: f32, recency: f32) -> f32 {
        let boost = self.importance * importance + self.recency * recency;
        match self.fusion {
            ScoreFusion::Boost => total + total.abs() * boost,
            ScoreFusion::Sum => total + boost,
        }
    }

    /// Factor of a neighbor's share after a time gap, 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f64 to f32 rounds, by design"
    )]
    fn gap_decay(&self, gap: TimeDelta) -> f32 {
        if gap.is_zero() {
            return 1.0;
        }
        let hours = gap.abs().as_seconds_f64() as f32 / SECONDS_PER_HOUR;
        (1.0 - hours / self.neighbor_span_hours).max(0.0)
    }

    fn importance_of(memory: &Memory, context: &RankingContext<'_>) -> f32 {
        let now = context.now;
        let importance = if context.is_historical && !are_accesses_known(memory, now) {
            let age = now - memory.timestamp;
            current_importance(memory.importance, memory.decay_rate, age, 0, None)
        } else {
            memory.current_importance(now)
        };
        importance.min(1.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "f64 to f32 rounds, by design"
    )]
    fn recency_of(&self, memory: &Memory, now: DateTime<Utc>) -> f32 {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        let age_days = ((now - memory.timestamp).as_seconds_f64() / SECONDS_PER_DAY).max(0.0);
        (-age_days / f64::from(self.recency_half_life_days)).exp2() as f32
    }
}

/// Every input of a score: [`Ranking::replay`] recomputes it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Cosine of the best chunk; `None` without a vector of this model.
    pub similarity: Option<f32>,
    /// BM25; 0 when the memory contains no term of the query.
    pub lexical: f32,
    /// Mean and deviation of the dense retriever's values.
    pub dense_stats: ScoreStats,
    /// Mean and deviation of the lexical retriever's values.
    pub lexical_stats: ScoreStats,
    /// Relevance propagated from neighbors and related memories, weights applied.
    pub neighbors: f32,
    /// Whether the query mentions a tag, metadata value or participant of the
    /// memory.
    pub mentioned: bool,
    /// Mean and deviation of `mentioned` as 0 and 1 over all memories.
    pub mention_stats: ScoreStats,
    /// Current importance, 0 to 1.
    pub importance: f32,
    /// Recency, 0 to 1.
    pub recency: f32,
    /// Added because the memory is newer than a near-equal one that would have
    /// led it: see [`Ranking::newer`].
    #[serde(default)]
    pub newer: f32,
    /// What the reranker gave the memory, on the reranker's own scale. Results that
    /// have it come first, ordered by it; it is no part of the score. `None`
    /// without a reranker, and beyond the results that it read.
    #[serde(default)]
    pub reranker_score: Option<f32>,
    /// Where the values were computed.
    pub path: RecallPath,
    /// The entity's generation that the values reflect.
    pub generation: Generation,
    /// The moment that importance and recency refer to.
    pub now: DateTime<Utc>,
}

/// Where the values of a recall were computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecallPath {
    /// In the snapshot cached by this process.
    Snapshot,
    /// In the store.
    Store,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_numbers_or_out_of_range_are_refused() {
        let bad = [
            Ranking {
                importance: f32::NAN,
                ..Ranking::default()
            },
            Ranking {
                neighbors: 1.1,
                ..Ranking::default()
            },
            Ranking {
                neighbor_reach: 9,
                ..Ranking::default()
            },
            Ranking {
                recency_half_life_days: 0.0,
                ..Ranking::default()
            },
        ];
        for ranking in bad {
            assert!(ranking.validate().is_err(), "{ranking:?}");
        }
        assert!(Ranking::default().validate().is_ok());
        assert!(Ranking::weighted_sum().validate().is_ok());
    }

    #[test]
    fn boosts_settle_ties_and_never_bury_a_match() {
        let ranking = Ranking::default();
        assert!(ranking.score(2.0, 1.0, 1.0) > ranking.score(2.0, 0.0, 0.0));
        assert!(ranking.score(2.0, 1.0, 1.0) < ranking.score(2.3, 0.0, 0.0));
        assert!(ranking.score(-2.0, 1.0, 1.0) > ranking.score(-2.0, 0.0, 0.0));
    }

    #[test]
    fn the_weighted_sum_is_60_30_10() {
        let sum = Ranking::weighted_sum();
        let relevance = sum.relevance(0.4, 7.0);
        let score = sum.score(sum.total(relevance, 0.0, 1.0), 0.5, 0.25);
        assert!(
            (score - (0.6 * 0.4 + 0.3 * 0.5 + 0.1 * 0.25)).abs() < 1e-6,
            "{score}"
        );
    }
}
