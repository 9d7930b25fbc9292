//! Ranking: score fusion of the retrievers' values into one order.
//!
//! For a question and each memory `i` that the filter matches, with `z` the
//! z-score over all of these memories:
//!
//! ```text
//! d = best chunk's cosine − chunk_discount · ln(number of chunks)
//! b = best passage's BM25 over stems
//! g = BM25 over pairs of adjacent words, stop words kept
//! k = 1 − unknown · share of the question's tokens that the model does not know
//! R = s · (similarity · k · z(d) + lexical · z(b)) + pairs · z(g)
//!     where s = (similarity + lexical) / (similarity · k + lexical)
//! L = the most that a neighbor in the same episode lends, or a related memory:
//!     share(i) · neighbors · neighbor_decay^(step − 1) · max(R of the neighbor, 0)
//! T = R + L + mention · min(z(mentioned), 3) + date · closeness to a named date
//!       + when · (names a time − its mean), where the question asks when
//! score = T + |T| · (importance weight · importance + recency weight · recency)
//! ```
//!
//! `R` is called the blend: a memory's own match, on a scale that depends on the
//! other memories. What is comparable across recalls is the relevance, which has a
//! formula of its own: [`Explanation::relevance`].
//!
//! What `share(i)` is, and why a maximum and no sum: [`lending`]. The formula and
//! its weights were found by trying each part on three data sets of different
//! kinds; docs/adr/0008-ranking-formula.md has what each part earns.

mod bounds;
mod candidate_set;
mod explanation;
mod formula;
mod lending;
mod newer_first;
mod relevance;
mod statistics;
mod store_candidates;

use memory_core::{InvalidInput, MemoryError, MemoryResult};
use serde::{Deserialize, Serialize};

pub(crate) use bounds::ScoreBounds;
pub(crate) use candidate_set::{
    Attributes, CandidateMemories, CandidateSet, Episode, RankedMemory, RankingContext,
};
pub use explanation::{Explanation, RecallPath};
pub(crate) use formula::RetrieverStats;
pub(crate) use relevance::TermShares;
pub use relevance::{RelevanceInputs, RelevanceModel};
pub(crate) use store_candidates::StoreCandidates;

/// The weights that order the results of a recall.
///
/// | | [`default`](Self::default) | [`weighted_sum`](Self::weighted_sum) |
/// |---|---|---|
/// | `similarity` | 0.65 | 0.6 |
/// | `chunk_discount` | 0.08 | 0 |
/// | `lexical` | 0.35 | 0 |
/// | `pairs` | 0.15 | 0 |
/// | `unknown` | 1 | 0 |
/// | `neighbors` | 0.7 | 0 |
/// | `neighbor_decay` | 0.7 | 0.7 |
/// | `neighbor_reach` | 3 | 3 |
/// | `neighbor_span_hours` | 48 | 48 |
/// | `neighbor_ramp` | 6 | 6 |
/// | `neighbor_words` | 200 | 200 |
/// | `mention` | 1 | 0 |
/// | `date` | 2 | 0 |
/// | `when` | 0.6 | 0 |
/// | `importance` | 0.05 | 0.3 |
/// | `recency` | 0.05 | 0.1 |
/// | `recency_half_life_days` | 30 | 30 |
/// | `newer` | 0.2 | 0 |
/// | `fusion` | boost | sum |
///
/// The defaults are the best on three data sets at once: chat turns (LoCoMo),
/// long technical messages (BEAM) and short Chinese messages (MemDaily), and hold
/// on conversations kept back. Quality changes little around them: `lexical` 0.3
/// to 0.45, `pairs` 0.1 to 0.2, `neighbors` 0.5 to 1, `neighbor_decay` 0.5 to
/// 0.85, `neighbor_reach` 3 to 8, `neighbor_words` 120 to 250, `mention` 0.7 to
/// 1.3, `date` from 1.5. A part with the weight 0 is switched off. docs/quality.md has the
/// figures, with one row per part switched off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ranking {
    /// Weight of the dense retriever: the cosine between question and memory.
    pub similarity: f32,
    /// What a memory's cosine loses for the number of its chunks `n`, 0 to 1:
    /// `chunk_discount · ln(n)`. The best of many chunks is higher by chance.
    pub chunk_discount: f32,
    /// Weight of the lexical retriever: BM25 over stems, of the best passage.
    pub lexical: f32,
    /// Weight of BM25 over pairs of adjacent words, stop words included: it
    /// tells "not allergic" from "allergic", and knows the order of words.
    pub pairs: f32,
    /// How much of the weight of `similarity` moves to `lexical` for the share of
    /// the question's tokens that the model does not know, 0 to 1: with 1, all of
    /// it for a question in a script that the model cannot read.
    pub unknown: f32,
    /// Share of a memory's blend (`R` in docs/adr/0008-ranking-formula.md) that an
    /// adjacent memory of the same context receives, and a related memory. A memory
    /// receives only the most that one other lends to it.
    pub neighbors: f32,
    /// Factor by which that share decays with each further step.
    pub neighbor_decay: f32,
    /// Steps over which a share is lent, 0 to 8.
    pub neighbor_reach: usize,
    /// Time gap at which the lent share reaches 0, linearly: memories of the same
    /// context that are weeks apart are separate episodes.
    pub neighbor_span_hours: f32,
    /// Other memories of an episode, at most a thousand, from which on its
    /// memories receive the full share; with fewer, proportionally less. 0 gives
    /// it always.
    pub neighbor_ramp: f32,
    /// Words of a memory at which it receives half of the share, at most a
    /// million: the longer a memory, the more it speaks for itself. 0 gives all
    /// memories the same share.
    pub neighbor_words: f32,
    /// Weight of a mention: whether the question contains one of the memory's
    /// tags, metadata values or participants. Normalized like a retriever, so
    /// that a rare label counts more, but at most three deviations.
    pub mention: f32,
    /// Weight of the closeness to a date that the question names, 0 to 1.5
    /// (`memory_text::dates`): it lifts memories of that time and excludes none.
    pub date: f32,
    /// Weight of naming a time, where the question asks when something was.
    pub when: f32,
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
    /// later is more likely to be true. It must have the words of the question that
    /// the older has, and differ from it in at most three words. 0 switches it
    /// off.
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
    /// `chunk_discount`, `pairs`, `unknown`, `date` and `when` have no effect.
    Sum,
}

/// The largest weight, so that no score overflows.
const MAX_WEIGHT: f32 = 1_000.0;

/// Maximum number of words of a memory at which it receives half of a share.
const MAX_WORDS: f32 = 1e6;

/// Maximum number of steps over which a share is lent.
const MAX_REACH: usize = 8;

impl Default for Ranking {
    fn default() -> Self {
        Self {
            similarity: 0.65,
            chunk_discount: 0.08,
            lexical: 0.35,
            pairs: 0.15,
            unknown: 1.0,
            neighbors: 0.7,
            neighbor_decay: 0.7,
            neighbor_reach: 3,
            neighbor_span_hours: 48.0,
            neighbor_ramp: 6.0,
            neighbor_words: 200.0,
            mention: 1.0,
            date: 2.0,
            when: 0.6,
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
    /// the default: docs/quality.md.
    #[must_use]
    pub fn weighted_sum() -> Self {
        Self {
            similarity: 0.6,
            chunk_discount: 0.0,
            lexical: 0.0,
            pairs: 0.0,
            unknown: 0.0,
            neighbors: 0.0,
            mention: 0.0,
            date: 0.0,
            when: 0.0,
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
            ("chunk_discount", self.chunk_discount, 1.0),
            ("lexical", self.lexical, MAX_WEIGHT),
            ("pairs", self.pairs, MAX_WEIGHT),
            ("unknown", self.unknown, 1.0),
            ("neighbors", self.neighbors, 1.0),
            ("neighbor_decay", self.neighbor_decay, 1.0),
            ("neighbor_ramp", self.neighbor_ramp, MAX_WEIGHT),
            ("neighbor_words", self.neighbor_words, MAX_WORDS),
            ("mention", self.mention, MAX_WEIGHT),
            ("date", self.date, MAX_WEIGHT),
            ("when", self.when, MAX_WEIGHT),
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
                neighbor_words: -1.0,
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
}
