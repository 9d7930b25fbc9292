//! From similarity, importance and recency to one score.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use memory_core::{InvalidInput, Memory, MemoryError, MemoryResult};
use serde::{Deserialize, Serialize};

/// How a recall orders what it finds: the weights, and how they combine.
///
/// | | [`default`](Self::default) | [`seed`](Self::seed) |
/// |---|---|---|
/// | `similarity` | 1 | 0.6 |
/// | `importance` | 0.05 | 0.3 |
/// | `recency` | 0.05 | 0.1 |
/// | `recency_half_life_days` | 30 | 30 |
/// | `blend` | boost | sum |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ranking {
    /// Weight of the cosine between query and memory.
    pub similarity: f32,
    /// Weight of the current importance (decayed, see
    /// [`memory_core::current_importance`]), capped at 1.
    pub importance: f32,
    /// Weight of the recency, `2^(−age_days / recency_half_life_days)`, 1 for
    /// memories of the future.
    pub recency: f32,
    /// Age in days at which the recency is one half.
    pub recency_half_life_days: f32,
    /// How the three combine.
    pub blend: Blend,
}

/// How similarity, importance and recency become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blend {
    /// `s + |s| · (importance weight · importance + recency weight · recency)`
    /// with `s = similarity weight · cosine`: importance and recency settle
    /// ties and never bury a match.
    Boost,
    /// The weighted sum of the three.
    Sum,
}

impl Default for Ranking {
    /// By similarity; importance and recency lift a score by at most 5 % each.
    fn default() -> Self {
        Self {
            similarity: 1.0,
            importance: 0.05,
            recency: 0.05,
            recency_half_life_days: 30.0,
            blend: Blend::Boost,
        }
    }
}

impl Ranking {
    /// The seed system's formula: 60 % similarity, 30 % importance, 10 %
    /// recency, summed.
    #[must_use]
    pub fn seed() -> Self {
        Self {
            similarity: 0.6,
            importance: 0.3,
            recency: 0.1,
            blend: Blend::Sum,
            ..Self::default()
        }
    }

    /// The score of a memory whose cosine to the query is `similarity`.
    #[must_use]
    pub fn score(&self, similarity: f32, memory: &Memory, now: DateTime<Utc>) -> f32 {
        let importance = self.importance * memory.current_importance(now).min(1.0);
        let recency = self.recency * self.recency_of(memory, now);
        let similarity = self.similarity * similarity;
        match self.blend {
            Blend::Boost => similarity + similarity.abs() * (importance + recency),
            Blend::Sum => similarity + importance + recency,
        }
    }

    /// Checks that every weight is a number from 0 on and the half-life is
    /// positive.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`].
    pub fn validate(&self) -> MemoryResult<()> {
        let weights = [
            ("similarity", self.similarity),
            ("importance", self.importance),
            ("recency", self.recency),
        ];
        for (weight, value) in weights {
            if !(0.0..=MAX_WEIGHT).contains(&value) {
                return Err(InvalidInput::Weight {
                    weight,
                    value,
                    max: MAX_WEIGHT,
                }
                .into());
            }
        }
        let half_life = self.recency_half_life_days;
        if !(half_life.is_finite() && half_life > 0.0) {
            return Err(MemoryError::from(InvalidInput::HalfLife {
                days: half_life,
            }));
        }
        Ok(())
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

/// The largest weight, so that no score overflows.
const MAX_WEIGHT: f32 = 1_000.0;

/// One memory with its score, still by reference.
pub(crate) struct Scored<T> {
    pub(crate) of: T,
    pub(crate) similarity: f32,
    pub(crate) score: f32,
    /// What settles equal scores: newer first, then the later id.
    tie: (DateTime<Utc>, memory_core::MemoryId),
}

/// What is to be ranked, and by what.
pub(crate) struct Contest<'a> {
    pub(crate) ranking: &'a Ranking,
    pub(crate) now: DateTime<Utc>,
    pub(crate) min_similarity: Option<f32>,
    pub(crate) limit: usize,
}

impl Contest<'_> {
    /// The best `limit`, best first. O(n + limit · log limit).
    pub(crate) fn best<'m, T>(
        &self,
        entries: impl Iterator<Item = (T, &'m Memory, f32)>,
    ) -> Vec<Scored<T>> {
        let mut scored: Vec<Scored<T>> = entries
            .filter(|(.., similarity)| self.min_similarity.is_none_or(|min| *similarity >= min))
            .map(|(of, memory, similarity)| Scored {
                of,
                similarity,
                score: self.ranking.score(similarity, memory, self.now),
                tie: (memory.timestamp, memory.id),
            })
            .collect();
        if scored.len() > self.limit {
            scored.select_nth_unstable_by(self.limit, by_rank);
            scored.truncate(self.limit);
        }
        scored.sort_unstable_by(by_rank);
        scored
    }
}

fn by_rank<T>(a: &Scored<T>, b: &Scored<T>) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| b.tie.cmp(&a.tie))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use memory_core::{MemoryBatchItem, MemoryKind};

    use super::*;

    fn memory(importance: f32, age: TimeDelta, now: DateTime<Utc>) -> Memory {
        MemoryBatchItem::new("mira", MemoryKind::World, "x")
            .with_importance(importance)
            .with_timestamp(now - age)
            .into_memory(now)
            .unwrap()
    }

    #[test]
    fn the_seed_formula_is_60_30_10() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let fresh = memory(0.5, TimeDelta::zero(), now);
        let score = Ranking::seed().score(0.4, &fresh, now);
        assert!(
            (score - (0.6 * 0.4 + 0.3 * 0.5 + 0.1)).abs() < 1e-6,
            "{score}"
        );
        let month_old = memory(0.0, TimeDelta::days(30), now);
        let score = Ranking::seed().score(0.4, &month_old, now);
        assert!((score - (0.6 * 0.4 + 0.1 * 0.5)).abs() < 1e-6, "{score}");
    }

    #[test]
    fn boosts_settle_ties_and_never_bury_a_match() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let ranking = Ranking::default();
        let (loud, quiet) = (
            memory(1.0, TimeDelta::zero(), now),
            memory(0.0, TimeDelta::days(3_650), now),
        );
        assert!(ranking.score(0.5, &loud, now) > ranking.score(0.5, &quiet, now));
        assert!(ranking.score(0.5, &loud, now) < ranking.score(0.56, &quiet, now));
    }

    #[test]
    fn the_best_come_first_and_no_more_than_asked_for() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let memories: Vec<Memory> = (0..50)
            .map(|n| memory(0.5, TimeDelta::minutes(n), now))
            .collect();
        let entries = memories.iter().enumerate().map(|(n, memory)| {
            let n = u8::try_from(n).unwrap();
            (n, memory, f32::from(n % 10) / 10.0)
        });
        let contest = Contest {
            ranking: &Ranking::default(),
            now,
            min_similarity: Some(0.75),
            limit: 7,
        };
        let best: Vec<u8> = contest
            .best(entries)
            .into_iter()
            .map(|scored| scored.of)
            .collect();
        assert_eq!(best, [9, 19, 29, 39, 49, 8, 18]);
    }

    #[test]
    fn a_weight_that_is_no_number_is_refused() {
        let bad = Ranking {
            importance: f32::NAN,
            ..Ranking::default()
        };
        assert!(bad.validate().is_err());
        let bad = Ranking {
            recency_half_life_days: 0.0,
            ..Ranking::default()
        };
        assert!(bad.validate().is_err());
        assert!(Ranking::seed().validate().is_ok());
    }
}
