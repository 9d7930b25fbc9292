//! From what the retrievers found to one order.
//!
//! Each retriever gives every memory a raw value (a cosine, a BM25). The values are
//! normalized per retriever and blended to a *relevance*; neighbors of the same
//! episode lend each other part of theirs; a memory that bears a label which
//! the query names is lifted; importance and recency are boosts on top.

mod explanation;
mod field;

use chrono::{DateTime, TimeDelta, Utc};
use memory_core::{InvalidInput, Memory, MemoryError, MemoryResult, ScoreStats};
use serde::{Deserialize, Serialize};

pub use explanation::{Explanation, RecallPath};
pub(crate) use field::{Contest, Field};

/// How a recall orders what it finds: every weight there is.
///
/// | | [`default`](Self::default) | [`seed`](Self::seed) |
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
/// | `blend` | boost | sum |
///
/// The defaults come from cross-validation over real conversations; the
/// figures, with one row per weight switched off, stand in
/// docs/performance.md.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ranking {
    /// Weight of the dense retriever: the cosine between query and memory.
    pub similarity: f32,
    /// Weight of the lexical retriever: BM25 over stems.
    pub lexical: f32,
    /// What share of its relevance a memory lends to each of those next to it
    /// in the same context, and to those it is related to.
    pub neighbors: f32,
    /// By what factor that share falls with each further step.
    pub neighbor_decay: f32,
    /// How many steps it reaches, 0 to 8.
    pub neighbor_reach: usize,
    /// The gap in time over which that share falls to nothing, in a straight
    /// line: what happened weeks later in the same place is another episode.
    pub neighbor_span_hours: f32,
    /// Weight of being named: whether the query names one of the memory's
    /// tags, metadata values or involved entities. Scaled like a retriever, so that
    /// a label which few memories bear lifts them more, but by no more than
    /// three deviations.
    pub mention: f32,
    /// Weight of the current importance (decayed, see
    /// [`memory_core::current_importance`]), capped at 1.
    pub importance: f32,
    /// Weight of the recency, `2^(−age_days / recency_half_life_days)`, 1 for
    /// memories of the future.
    pub recency: f32,
    /// Age in days at which the recency is one half.
    pub recency_half_life_days: f32,
    /// How retrievers are scaled, and how importance and recency come in.
    pub blend: ScoreFusion,
}

/// How the parts become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreFusion {
    /// Each retriever's values in standard deviations from their mean, so that the
    /// retrievers can be added; then `s + |s| · (importance weight · importance +
    /// recency weight · recency)`: importance and recency settle ties and
    /// never bury a match.
    Boost,
    /// The retrievers' raw values, importance and recency, each by its weight, summed.
    Sum,
}

/// The largest weight, so that no score overflows.
const MAX_WEIGHT: f32 = 1_000.0;

/// The most that being named counts for, in deviations: else one tag in ten
/// thousand memories would drown every match.
const MAX_MENTION: f32 = 3.0;

const SECONDS_PER_HOUR: f32 = 3_600.0;

/// The furthest that neighbors reach.
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
            blend: ScoreFusion::Boost,
        }
    }
}

impl Ranking {
    /// The seed system's formula: 60 % similarity, 30 % importance, 10 %
    /// recency, summed.
    #[must_use]
    pub fn weighted_sum() -> Self {
        Self {
            similarity: 0.6,
            lexical: 0.0,
            neighbors: 0.0,
            mention: 0.0,
            importance: 0.3,
            recency: 0.1,
            blend: ScoreFusion::Sum,
            ..Self::default()
        }
    }

    /// Checks that every weight is a number from 0 on, the reach bounded, and
    /// the half-life positive.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the weight and its bound.
    pub fn validate(&self) -> MemoryResult<()> {
        let weights = [
            ("similarity", self.similarity, MAX_WEIGHT),
            ("lexical", self.lexical, MAX_WEIGHT),
            ("neighbors", self.neighbors, 1.0),
            ("neighbor_decay", self.neighbor_decay, 1.0),
            ("mention", self.mention, MAX_WEIGHT),
            ("importance", self.importance, MAX_WEIGHT),
            ("recency", self.recency, MAX_WEIGHT),
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

    /// Computes a score anew from its explanation: equal to the last digit.
    #[must_use]
    pub fn replay(&self, explanation: &Explanation) -> f32 {
        let relevance = self.relevance(
            self.scaled(explanation.similarity, explanation.dense_stats),
            self.scaled(Some(explanation.lexical), explanation.lexical_stats),
        );
        let named = self.named(explanation.mentioned, explanation.mention_stats);
        let total = self.total(relevance, explanation.neighbors, named);
        self.score(total, explanation.importance, explanation.recency)
    }

    /// A retriever's raw value on the scale that the blend adds up.
    fn scaled(&self, raw: Option<f32>, summary: ScoreStats) -> f32 {
        match (raw, self.blend) {
            (Some(raw), ScoreFusion::Boost) => summary.z_score(raw),
            (Some(raw), ScoreFusion::Sum) => raw,
            (None, _) => 0.0,
        }
    }

    /// The retrievers together, both on the blend's scale.
    fn relevance(&self, similarity: f32, lexical: f32) -> f32 {
        self.similarity * similarity + self.lexical * lexical
    }

    /// Being named, on the blend's scale.
    fn named(&self, mentioned: bool, summary: ScoreStats) -> f32 {
        self.scaled(Some(f32::from(u8::from(mentioned))), summary)
            .min(MAX_MENTION)
    }

    fn total(&self, relevance: f32, neighbors: f32, named: f32) -> f32 {
        relevance + neighbors + self.mention * named
    }

    /// The score; never below `total`, as importance and recency are 0 to 1.
    fn score(&self, total: f32, importance: f32, recency: f32) -> f32 {
        let boost = self.importance * importance + self.recency * recency;
        match self.blend {
            ScoreFusion::Boost => total + total.abs() * boost,
            ScoreFusion::Sum => total + boost,
        }
    }

    /// What is left of a neighbor's share across a gap in time, 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f64 to f32 rounds, by design"
    )]
    fn across(&self, gap: TimeDelta) -> f32 {
        if gap.is_zero() {
            return 1.0;
        }
        let hours = gap.abs().as_seconds_f64() as f32 / SECONDS_PER_HOUR;
        (1.0 - hours / self.neighbor_span_hours).max(0.0)
    }

    fn importance_of(memory: &Memory, now: DateTime<Utc>) -> f32 {
        memory.current_importance(now).min(1.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_is_no_number_or_out_of_bounds_is_refused() {
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
    fn the_seed_formula_is_60_30_10() {
        let seed = Ranking::weighted_sum();
        let relevance = seed.relevance(0.4, 7.0);
        let score = seed.score(seed.total(relevance, 0.0, 1.0), 0.5, 0.25);
        assert!(
            (score - (0.6 * 0.4 + 0.3 * 0.5 + 0.1 * 0.25)).abs() < 1e-6,
            "{score}"
        );
    }
}
