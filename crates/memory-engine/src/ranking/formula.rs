//! The formula: from values to a score.

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{ScoreStats, current_importance};

use super::{Attributes, Explanation, Ranking, RankingContext, ScoreFusion};
use crate::history::are_accesses_known;

/// Largest z-score of a mention: without a cap, one tag in ten thousand memories
/// would outweigh every other match.
const MAX_MENTION: f32 = 3.0;

const SECONDS_PER_HOUR: f32 = 3_600.0;

/// The values of the three retrievers that make up a memory's blend.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetrieverValues {
    /// Cosine of the best chunk; `None` without a vector.
    pub(super) similarity: Option<f32>,
    pub(super) chunks: u32,
    pub(super) lexical: f32,
    pub(super) pairs: f32,
}

/// What is the same for all memories of a recall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetrieverStats {
    pub(crate) dense: ScoreStats,
    pub(crate) lexical: ScoreStats,
    pub(crate) pairs: ScoreStats,
    /// Share of the query's tokens that the model does not know.
    pub(crate) unknown: f32,
}

/// What lifts a memory besides its blend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifts {
    pub(super) mentioned: bool,
    pub(super) mention_stats: ScoreStats,
    /// Closeness to the dates that the query names.
    pub(super) date: f32,
    /// Whether the memory names a time, minus the mean.
    pub(super) when: f32,
}

impl Ranking {
    /// Recomputes a score from its explanation, bit for bit.
    #[must_use]
    pub fn replay(&self, explanation: &Explanation) -> f32 {
        let values = RetrieverValues {
            similarity: explanation.similarity,
            chunks: explanation.chunks,
            lexical: explanation.lexical,
            pairs: explanation.pairs,
        };
        let stats = RetrieverStats {
            dense: explanation.dense_stats,
            lexical: explanation.lexical_stats,
            pairs: explanation.pair_stats,
            unknown: explanation.unknown,
        };
        let blend = self.blend(&values, &stats);
        let lifts = Lifts {
            mentioned: explanation.mentioned,
            mention_stats: explanation.mention_stats,
            date: explanation.date,
            when: explanation.when,
        };
        let total = self.total(blend, explanation.neighbors, &lifts);
        let score = self.score(total, explanation.importance, explanation.recency);
        // Not added where it is 0, which would turn −0 into 0.
        if explanation.newer == 0.0 {
            score
        } else {
            score + explanation.newer
        }
    }

    /// A cosine with the discount for the number of chunks.
    #[expect(clippy::cast_precision_loss, reason = "some hundred chunks at most")]
    pub(crate) fn dense_value(&self, similarity: f32, chunks: u32) -> f32 {
        if chunks <= 1 || self.fusion == ScoreFusion::Sum {
            return similarity;
        }
        similarity - self.chunk_discount * (chunks as f32).ln()
    }

    /// Whether importance and recency weigh so little that few memories can be among the
    /// best.
    pub(crate) fn is_narrow(&self) -> bool {
        let boost = self.importance + self.recency;
        match self.fusion {
            ScoreFusion::Boost => boost <= 0.3,
            ScoreFusion::Sum => boost <= 0.1 * self.similarity,
        }
    }

    /// The blend: all retrievers combined.
    pub(super) fn blend(&self, values: &RetrieverValues, stats: &RetrieverStats) -> f32 {
        let similarity = values.similarity;
        let dense = similarity.map(|cosine| self.dense_value(cosine, values.chunks));
        let dense = self.normalized(dense, with_min_deviation(stats.dense));
        let lexical = self.normalized(Some(values.lexical), stats.lexical);
        if self.fusion == ScoreFusion::Sum {
            return self.similarity * dense + self.lexical * lexical;
        }
        let (dense_weight, lexical_weight) = self.retriever_weights(stats.unknown);
        let pairs = self.normalized(Some(values.pairs), stats.pairs);
        dense_weight * dense + lexical_weight * lexical + self.pairs * pairs
    }

    /// The weights of the dense and the lexical retriever for a query of which
    /// the model does not know this share of tokens: their sum stays the same.
    fn retriever_weights(&self, unknown: f32) -> (f32, f32) {
        let known = 1.0 - self.unknown * unknown;
        let sum = self.similarity * known + self.lexical;
        if self.lexical == 0.0 || sum == 0.0 || unknown == 0.0 {
            return (self.similarity, self.lexical);
        }
        let scale = (self.similarity + self.lexical) / sum;
        (scale * self.similarity * known, scale * self.lexical)
    }

    /// A retriever's raw value on the scale that the fusion adds.
    fn normalized(&self, raw: Option<f32>, stats: ScoreStats) -> f32 {
        match (raw, self.fusion) {
            (Some(raw), ScoreFusion::Boost) => stats.z_score(raw),
            (Some(raw), ScoreFusion::Sum) => raw,
            (None, _) => 0.0,
        }
    }

    /// The blend, what was lent, and the lifts.
    pub(super) fn total(&self, blend: f32, neighbors: f32, lifts: &Lifts) -> f32 {
        let mentioned = f32::from(u8::from(lifts.mentioned));
        let mention = self.normalized(Some(mentioned), lifts.mention_stats);
        let total = blend + neighbors + self.mention * mention.min(MAX_MENTION);
        match self.fusion {
            ScoreFusion::Boost => total + self.date * lifts.date + self.when * lifts.when,
            ScoreFusion::Sum => total,
        }
    }

    /// The score; never below `total`, as importance and recency are 0 to 1.
    pub(super) fn score(&self, total: f32, importance: f32, recency: f32) -> f32 {
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
    pub(super) fn gap_decay(&self, gap: TimeDelta) -> f32 {
        if gap.is_zero() {
            return 1.0;
        }
        let hours = gap.abs().as_seconds_f64() as f32 / SECONDS_PER_HOUR;
        (1.0 - hours / self.neighbor_span_hours).max(0.0)
    }

    pub(super) fn importance_of(of: &Attributes, context: &RankingContext<'_>) -> f32 {
        let now = context.now;
        let (mut accesses, mut last) = (of.access_count, of.last_accessed);
        if context.is_historical && !are_accesses_known(last, now) {
            (accesses, last) = (0, None);
        }
        let age = now - of.timestamp;
        let since_access = last.map(|at| now - at);
        let importance =
            current_importance(of.importance, of.decay_rate, age, accesses, since_access);
        importance.min(1.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "f64 to f32 rounds, by design"
    )]
    pub(super) fn recency_of(&self, timestamp: DateTime<Utc>, now: DateTime<Utc>) -> f32 {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        let age_days = ((now - timestamp).as_seconds_f64() / SECONDS_PER_DAY).max(0.0);
        (-age_days / f64::from(self.recency_half_life_days)).exp2() as f32
    }
}

/// Statistics of cosines by which differences of a few thousandths stay small.
///
/// Among few or uniform memories ("order 1024", "order 1042") all cosines may be as near, which
/// says nothing of which one is meant. A z-score would stretch them to one and more, and
/// outweigh the one memory that has the number asked for. Over 250 turns of a conversation
/// (LoCoMo, 12 questions) they deviate by .09 to .15 with the default model, and by .025 to .037
/// with multilingual-e5-small, so that nothing changes there.
fn with_min_deviation(mut stats: ScoreStats) -> ScoreStats {
    const MIN_DEVIATION: f32 = 0.02;
    // Where all are equal, z-scores are 0.
    if stats.z_score(stats.mean + MIN_DEVIATION) != 0.0 {
        stats.deviation = stats.deviation.max(MIN_DEVIATION);
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: RetrieverValues = RetrieverValues {
        similarity: Some(0.4),
        chunks: 3,
        lexical: 7.0,
        pairs: 2.0,
    };

    const LIFTS: Lifts = Lifts {
        mentioned: true,
        mention_stats: ScoreStats {
            mean: 0.5,
            deviation: 0.1,
        },
        date: 1.0,
        when: 0.5,
    };

    fn stats(unknown: f32) -> RetrieverStats {
        let of = |mean, deviation| ScoreStats { mean, deviation };
        RetrieverStats {
            dense: of(0.2, 0.1),
            lexical: of(1.0, 2.0),
            pairs: of(0.0, 1.0),
            unknown,
        }
    }

    #[test]
    fn boosts_settle_ties_and_never_bury_a_match() {
        let ranking = Ranking::default();
        assert!(ranking.score(2.0, 1.0, 1.0) > ranking.score(2.0, 0.0, 0.0));
        assert!(ranking.score(2.0, 1.0, 1.0) < ranking.score(2.3, 0.0, 0.0));
        assert!(ranking.score(-2.0, 1.0, 1.0) > ranking.score(-2.0, 0.0, 0.0));
    }

    #[test]
    fn cosines_that_are_nearly_equal_do_not_outweigh_a_word() {
        let ranking = Ranking::default();
        let of = |mean, deviation| ScoreStats { mean, deviation };
        for deviation in [0.0, 1e-7, 0.0002, 0.004] {
            let stats = RetrieverStats {
                dense: of(0.8, deviation),
                lexical: of(1.0, 1.0),
                ..stats(0.0)
            };
            let blend = |similarity, lexical| {
                let values = RetrieverValues {
                    similarity: Some(similarity),
                    chunks: 1,
                    lexical,
                    pairs: 0.0,
                };
                ranking.blend(&values, &stats)
            };
            let (with_word, without) = (0.8 - deviation, 0.8 + deviation);
            assert!(blend(with_word, 2.0) > blend(without, 0.0), "{deviation}");
        }
    }

    #[test]
    fn the_weighted_sum_is_60_30_10() {
        let sum = Ranking::weighted_sum();
        let blend = sum.blend(&VALUES, &stats(0.5));
        let score = sum.score(sum.total(blend, 0.0, &LIFTS), 0.5, 0.25);
        assert!(
            (score - (0.6 * 0.4 + 0.3 * 0.5 + 0.1 * 0.25)).abs() < 1e-6,
            "{score}"
        );
    }

    #[test]
    fn the_blend_is_the_documented_formula() {
        let dense = (0.4 - 0.08 * 3f32.ln() - 0.2) / 0.1;
        for unknown in [0.0, 0.25, 1.0] {
            let scale = 1.0 / (0.65 * (1.0 - unknown) + 0.35);
            let expected = scale * (0.65 * (1.0 - unknown) * dense + 0.35 * 3.0) + 0.15 * 2.0;
            let blend = Ranking::default().blend(&VALUES, &stats(unknown));
            assert!((blend - expected).abs() < 1e-5, "{unknown}: {blend}");
        }
        let no_words = Ranking {
            lexical: 0.0,
            pairs: 0.0,
            ..Ranking::default()
        };
        let blend = no_words.blend(&VALUES, &stats(1.0));
        assert!((blend - 0.65 * dense).abs() < 1e-5, "nothing to trust more");
    }

    #[test]
    fn lifts_are_bounded() {
        let total = Ranking::default().total(1.0, 0.5, &LIFTS);
        assert!((total - (1.5 + 3.0 + 2.0 + 0.3)).abs() < 1e-5, "{total}");
    }
}
