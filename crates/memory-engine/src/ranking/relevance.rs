//! Relevance: the probability, 0 to 1, that a memory answers the question.
//!
//! A score orders the results of one recall; its z-scores depend on what else the
//! entity remembers. The relevance depends on the question and the memory alone,
//! with one exception ([`RelevanceInputs::names_others`]), and on no weight of the
//! ranking, so that it is comparable across recalls and entities of any size, and
//! means something for an entity of one memory. It is a logistic regression:
//!
//! ```text
//! x = intercept
//!   + similarity · (1 − unknown) · (cosine of the best chunk − 0.5)
//!   + stems · share of the question's stems that the memory has
//!   + pairs · share of the question's pairs of adjacent words that it has
//!   + others · (the question names the label of other memories and none of this)
//!   + date · closeness to a date that the question names
//!   + time · (the question asks when, and the memory names a time)
//!   + chunks · ln(number of chunks)
//! relevance = 1 / (1 + e^(−x))
//! ```
//!
//! A cosine says less the fewer tokens of the question the model knows, so it then
//! counts as what the first ten results of a question have on average, one half.
//!
//! The coefficients are fitted by `cargo xtask quality --calibrate` on the first ten
//! results of every question of three data sets, each counting alike, with an
//! intercept of its own while the slopes are fitted: results answer three times as
//! many questions where an entity has seven memories, which no feature may explain.
//! docs/quality.md has the coefficients without each data set, and how far the
//! predictions for it are from what was observed.

use serde::{Deserialize, Serialize};

use super::{CandidateSet, Explanation};

/// What a relevance is computed from, in addition to values that a score has too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RelevanceInputs {
    /// Share of the question's distinct stems that the memory has, 0 to 1.
    pub stems: f32,
    /// Share of the question's distinct pairs of adjacent words, stop words
    /// included, that the memory has, 0 to 1.
    pub pairs: f32,
    /// Whether the question names a tag, metadata value or participant of other
    /// memories that the filter matches, and none of this one: it is then about
    /// somebody or something else.
    pub names_others: bool,
    /// Whether the question asks when something was, and the memory names a time.
    pub names_time: bool,
}

/// The coefficients of the relevance, for calibrating it on other data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RelevanceModel {
    /// The value of a memory without any feature.
    pub intercept: f64,
    /// One for each of [`RelevanceModel::FEATURES`].
    pub weights: [f64; 7],
}

/// What the cosine counts as where the model knows no token of the question.
const TYPICAL_SIMILARITY: f32 = 0.5;

/// The largest closeness to a date: `memory_text::dates::date_closeness`.
const MAX_DATE: f32 = 1.5;

impl RelevanceModel {
    /// The names of the features.
    pub const FEATURES: [&str; 7] = [
        "similarity",
        "stems",
        "pairs",
        "others",
        "date",
        "time",
        "chunks",
    ];

    /// The coefficients that recalls use.
    pub const FITTED: Self = Self {
        intercept: -2.43,
        weights: [2.20, 1.62, 2.57, -1.78, 0.64, 0.90, -0.80],
    };

    /// The features of a memory, each finite whatever the explanation has; `None`
    /// without [`RelevanceInputs`].
    #[must_use]
    pub fn features(explanation: &Explanation) -> Option<[f64; 7]> {
        let inputs = explanation.relevance_inputs?;
        let known = 1.0 - bounded(explanation.unknown, 0.0, 1.0);
        let similarity = explanation.similarity.map_or(0.0, |cosine| {
            known * (bounded(cosine, -1.0, 1.0) - TYPICAL_SIMILARITY)
        });
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        Some([
            similarity.into(),
            bounded(inputs.stems, 0.0, 1.0).into(),
            bounded(inputs.pairs, 0.0, 1.0).into(),
            flag(inputs.names_others),
            bounded(explanation.date, 0.0, MAX_DATE).into(),
            flag(inputs.names_time),
            f64::from(explanation.chunks.max(1)).ln(),
        ])
    }

    /// The probability for a memory with these features.
    #[must_use]
    pub fn probability(&self, features: &[f64; 7]) -> f64 {
        let weighted = self.weights.iter().zip(features);
        let sum: f64 = weighted.map(|(weight, value)| weight * value).sum();
        1.0 / (1.0 + (-(self.intercept + sum)).exp())
    }
}

impl Explanation {
    /// The relevance, bit for bit as in the hit; `None` for an explanation that was
    /// stored before there was one.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f64 to f32 rounds, by design"
    )]
    pub fn relevance(&self) -> Option<f32> {
        let features = RelevanceModel::features(self)?;
        Some(RelevanceModel::FITTED.probability(&features) as f32)
    }
}

/// The shares of a query's distinct stems and pairs of words that a memory has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct TermShares {
    pub(crate) stems: f32,
    pub(crate) pairs: f32,
}

impl CandidateSet<'_> {
    pub(super) fn relevance_inputs(&self, index: usize, shares: TermShares) -> RelevanceInputs {
        RelevanceInputs {
            stems: shares.stems,
            pairs: shares.pairs,
            names_others: self.mention_stats.mean > 0.0 && !self.mentioned[index],
            names_time: self.asks_when && self.has_time[index],
        }
    }
}

/// Within the limits of a feature, also where a stored value is not.
fn bounded(value: f32, min: f32, max: f32) -> f32 {
    if value.is_nan() {
        min
    } else {
        value.clamp(min, max)
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Generation, ScoreStats};
    use proptest::prelude::*;

    use super::*;
    use crate::ranking::RecallPath;

    fn explanation(similarity: Option<f32>, inputs: RelevanceInputs) -> Explanation {
        Explanation {
            similarity,
            chunks: 1,
            lexical: 0.0,
            pairs: 0.0,
            dense_stats: ScoreStats::default(),
            lexical_stats: ScoreStats::default(),
            pair_stats: ScoreStats::default(),
            unknown: 0.0,
            neighbors: 0.0,
            mentioned: false,
            mention_stats: ScoreStats::default(),
            date: 0.0,
            when: 0.0,
            importance: 0.5,
            recency: 0.5,
            newer: 0.0,
            reranker_score: None,
            relevance_inputs: Some(inputs),
            path: RecallPath::Snapshot,
            generation: Generation(1),
            now: chrono::DateTime::UNIX_EPOCH,
        }
    }

    fn relevance(similarity: f32, stems: f32, pairs: f32) -> f32 {
        let inputs = RelevanceInputs {
            stems,
            pairs,
            ..RelevanceInputs::default()
        };
        explanation(Some(similarity), inputs).relevance().unwrap()
    }

    #[test]
    fn relevance_is_the_documented_formula() {
        let inputs = RelevanceInputs {
            stems: 0.5,
            pairs: 0.25,
            names_others: true,
            names_time: true,
        };
        let explanation = Explanation {
            unknown: 0.5,
            chunks: 3,
            date: 1.5,
            ..explanation(Some(0.9), inputs)
        };
        let RelevanceModel { intercept, weights } = RelevanceModel::FITTED;
        let [similarity, stems, pairs, others, date, time, chunks] = weights;
        let expected = intercept
            + similarity * 0.5 * 0.4
            + stems * 0.5
            + pairs * 0.25
            + others
            + date * 1.5
            + time
            + chunks * 3f64.ln();
        let found = f64::from(explanation.relevance().unwrap());
        assert!(
            (found - 1.0 / (1.0 + (-expected).exp())).abs() < 1e-6,
            "{found}"
        );
        let without_inputs = Explanation {
            relevance_inputs: None,
            ..explanation
        };
        assert_eq!(without_inputs.relevance(), None);
    }

    #[test]
    fn what_is_asked_word_by_word_is_likely_and_what_shares_nothing_is_not() {
        assert!(relevance(1.0, 1.0, 1.0) > 0.9);
        assert!(relevance(0.1, 0.0, 0.0) < 0.05);
        let others = RelevanceInputs {
            stems: 1.0,
            pairs: 1.0,
            names_others: true,
            ..RelevanceInputs::default()
        };
        let of_others = explanation(Some(1.0), others).relevance().unwrap();
        assert!(of_others < relevance(1.0, 1.0, 1.0));
    }

    proptest! {
        #[test]
        fn it_is_a_probability_whatever_the_explanation_has(
            similarity in prop::option::of(any::<f32>()),
            (unknown, date, stems, pairs) in any::<(f32, f32, f32, f32)>(),
            chunks in any::<u32>(),
            (names_others, names_time) in any::<(bool, bool)>(),
        ) {
            let inputs = RelevanceInputs { stems, pairs, names_others, names_time };
            let explanation = Explanation { unknown, date, chunks, ..explanation(similarity, inputs) };
            let relevance = explanation.relevance().unwrap();
            prop_assert!((0.0..=1.0).contains(&relevance), "{}", relevance);
        }

        #[test]
        fn it_rises_with_the_cosine_and_with_the_shares(
            (a, b) in (-1.0f32..=1.0, -1.0f32..=1.0),
            (stems, more_stems) in (0.0f32..=1.0, 0.0f32..=1.0),
            unknown in 0.0f32..=1.0,
            chunks in 1u32..100,
        ) {
            let of = |similarity, stems| {
                let inputs = RelevanceInputs { stems, ..RelevanceInputs::default() };
                let explanation = explanation(Some(similarity), inputs);
                Explanation { unknown, chunks, ..explanation }.relevance().unwrap()
            };
            prop_assert!(of(a.max(b), stems) >= of(a.min(b), stems));
            prop_assert!(of(a, stems.max(more_stems)) >= of(a, stems.min(more_stems)));
        }

        /// JSON writes the shortest decimal that reads as the same value.
        #[test]
        fn a_stored_explanation_replays_bit_for_bit(
            similarity in -1.0f32..=1.0, stems in 0.0f32..=1.0, pairs in 0.0f32..=1.0,
        ) {
            let inputs = RelevanceInputs { stems, pairs, ..RelevanceInputs::default() };
            let explanation = explanation(Some(similarity), inputs);
            let json = serde_json::to_string(&explanation).unwrap();
            let read: Explanation = serde_json::from_str(&json).unwrap();
            let bits = |it: &Explanation| it.relevance().map(f32::to_bits);
            prop_assert_eq!(bits(&read), bits(&explanation));
        }
    }
}
