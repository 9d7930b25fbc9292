//! Which scores a memory can reach, before all of its values are known.
//!
//! The blend is linear in the retrievers' values, and the lifts are added to it.
//! What a memory receives from its neighbors is at most `neighbors` times the
//! blend of the best of them, and importance and recency raise a score by a
//! bounded share. So a search need look closely only at memories that can still
//! be among the best.

use memory_core::ScoreStats;

use super::formula::{Lifts, RetrieverStats, RetrieverValues};
use super::{Ranking, ScoreFusion};

/// The rounding errors of a score in single precision, relative to the sum of its
/// terms' sizes: a hundred times the precision of a number.
const FLOAT_ERROR: f32 = 1e-5;

/// A ranking's score for one query, as linear functions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScoreBounds {
    /// The blend of a memory in which no retriever found anything.
    pub(crate) without_vector: f32,
    /// The same with a vector of cosine 0.
    pub(crate) with_vector: f32,
    /// The blend per cosine, per BM25 over stems and per BM25 over pairs.
    pub(crate) dense: f32,
    pub(crate) lexical: f32,
    pub(crate) pairs: f32,
    /// What is added for a memory that is not mentioned.
    pub(crate) unmentioned: f32,
    /// What more is added for one that is.
    pub(crate) mentioned: f32,
    /// What is added per closeness to a date, and for naming a time.
    pub(crate) date: f32,
    pub(crate) when: f32,
    /// The largest share of a blend that is lent.
    pub(crate) lending: f32,
    /// The largest share of a total by which importance and recency raise it, or
    /// what they add to it.
    boost: f32,
    fusion: ScoreFusion,
}

impl ScoreBounds {
    pub(crate) fn new(
        ranking: &Ranking,
        stats: &RetrieverStats,
        mention_stats: ScoreStats,
    ) -> Self {
        let blend = |similarity, lexical, pairs| {
            let values = RetrieverValues {
                similarity,
                chunks: 1,
                lexical,
                pairs,
            };
            ranking.blend(&values, stats)
        };
        let lift = |mentioned, date, when| {
            let lifts = Lifts {
                mentioned,
                mention_stats,
                date,
                when,
            };
            ranking.total(0.0, 0.0, &lifts)
        };
        let without_vector = blend(None, 0.0, 0.0);
        let with_vector = blend(Some(0.0), 0.0, 0.0);
        let unmentioned = lift(false, 0.0, 0.0);
        Self {
            without_vector,
            with_vector,
            dense: blend(Some(1.0), 0.0, 0.0) - with_vector,
            lexical: blend(None, 1.0, 0.0) - without_vector,
            pairs: blend(None, 0.0, 1.0) - without_vector,
            unmentioned,
            mentioned: lift(true, 0.0, 0.0) - unmentioned,
            date: lift(false, 1.0, 0.0) - unmentioned,
            when: lift(false, 0.0, 1.0) - unmentioned,
            lending: ranking.neighbors,
            boost: ranking.importance + ranking.recency,
            fusion: ranking.fusion,
        }
    }

    /// The largest error of a blend computed by these functions from a cosine
    /// that is off by `similarity_error`, where the other values are up to
    /// `lexical` and `pairs`.
    pub(crate) fn max_error(&self, similarity_error: f32, lexical: f32, pairs: f32) -> f32 {
        /// The size of the largest date and time lifts, and of a cosine.
        const LARGEST: f32 = 2.0;
        let terms = self.without_vector.abs()
            + self.with_vector.abs()
            + self.unmentioned.abs()
            + self.mentioned.abs()
            + LARGEST * (self.dense.abs() + self.date.abs() + self.when.abs())
            + self.lexical.abs() * lexical
            + self.pairs.abs() * pairs;
        self.dense.abs() * similarity_error + FLOAT_ERROR * terms
    }

    /// The lowest total with which importance and recency can still raise a score
    /// to `score`.
    pub(crate) fn lowest_total(&self, score: f32) -> f32 {
        match self.fusion {
            ScoreFusion::Sum => score - self.boost,
            // A total below 0 is raised by a share of its size, and with a share
            // above 1 to any score.
            ScoreFusion::Boost if self.boost >= 1.0 => f32::NEG_INFINITY,
            ScoreFusion::Boost if score > 0.0 => score / (1.0 + self.boost),
            ScoreFusion::Boost => score / (1.0 - self.boost),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn totals_and_scores_are_within_their_bounds(
            (cosine, lexical, pairs) in (-1.0f32..1.0, 0.0f32..20.0, 0.0f32..20.0),
            stats in [(-1.0f32..1.0, 0.0f32..0.3), (0.0f32..9.0, 0.0f32..9.0), (0.0f32..9.0, 0.0f32..2.0)],
            (mentioned, share, unknown) in (any::<bool>(), 0.0f32..1.0, 0.0f32..=1.0),
            (date, when) in (0.0f32..1.5, -1.0f32..1.0),
            (importance, recency) in (0.0f32..=1.0, 0.0f32..=1.0),
            weights in (0.0f32..2.0, 0.0f32..2.0),
            is_sum in any::<bool>(),
        ) {
            let base = if is_sum { Ranking::weighted_sum() } else { Ranking::default() };
            let ranking = Ranking { importance: weights.0, recency: weights.1, ..base };
            let [dense, words, pair] = stats.map(|(mean, deviation)| ScoreStats { mean, deviation });
            let mention_stats = ScoreStats { mean: share, deviation: (share * (1.0 - share)).sqrt() };
            let stats = RetrieverStats { dense, lexical: words, pairs: pair, unknown };
            let bounds = ScoreBounds::new(&ranking, &stats, mention_stats);
            let values = RetrieverValues { similarity: Some(cosine), chunks: 1, lexical, pairs };
            let lifts = Lifts { mentioned, mention_stats, date, when };
            let exact = ranking.total(ranking.blend(&values, &stats), 0.0, &lifts);
            let mention = if mentioned { bounds.mentioned } else { 0.0 };
            let linear = bounds.with_vector + bounds.dense * cosine + bounds.lexical * lexical
                + bounds.pairs * pairs + bounds.unmentioned + mention
                + bounds.date * date + bounds.when * when;
            let error = bounds.max_error(0.0, lexical, pairs);
            prop_assert!((exact - linear).abs() <= error, "{exact} {linear} {error}");
            let score = ranking.score(exact, importance, recency);
            let lowest = bounds.lowest_total(score);
            prop_assert!(exact >= lowest - FLOAT_ERROR * lowest.abs(), "{exact} {lowest}");
        }
    }
}
