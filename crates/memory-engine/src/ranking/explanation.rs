//! The inputs of a score.

use chrono::{DateTime, Utc};
use memory_core::{Generation, ScoreStats};
use serde::{Deserialize, Serialize};

use super::RelevanceInputs;

/// Every input of a score and of a relevance: [`Ranking::replay`](super::Ranking::replay)
/// and [`Explanation::relevance`] recompute them exactly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Cosine of the best chunk; `None` without a vector of this model.
    pub similarity: Option<f32>,
    /// Number of the memory's chunks; 0 without a vector of this model.
    #[serde(default)]
    pub chunks: u32,
    /// BM25 of the best passage; 0 when the memory contains no term of the query.
    pub lexical: f32,
    /// BM25 over pairs of adjacent words; 0 when the memory contains no pair of
    /// the query.
    #[serde(default)]
    pub pairs: f32,
    /// Mean and deviation of the dense retriever's values, each with the discount
    /// for its chunks. A snapshot computes them from vectors in 8 bits.
    pub dense_stats: ScoreStats,
    /// Mean and deviation of the lexical retriever's values.
    pub lexical_stats: ScoreStats,
    /// Mean and deviation of `pairs`.
    #[serde(default)]
    pub pair_stats: ScoreStats,
    /// Share of the query's tokens that the model does not know, 0 to 1.
    #[serde(default)]
    pub unknown: f32,
    /// What a neighbor or a related memory lends of its blend, weights applied.
    pub neighbors: f32,
    /// Whether the query mentions a tag, metadata value or participant of the
    /// memory.
    pub mentioned: bool,
    /// Mean and deviation of `mentioned` as 0 and 1 over all memories.
    pub mention_stats: ScoreStats,
    /// How close the memory's time is to the dates that the query names, 0 to 1.5:
    /// `memory_text::dates::date_closeness`.
    #[serde(default)]
    pub date: f32,
    /// Whether the memory names a time, as 0 or 1, minus the mean over all
    /// memories; 0 where the query does not ask when something was.
    #[serde(default)]
    pub when: f32,
    /// Current importance, 0 to 1.
    pub importance: f32,
    /// Recency, 0 to 1.
    pub recency: f32,
    /// Added because the memory is newer than a near-equal one that would have
    /// led it: see [`Ranking::newer`](super::Ranking::newer).
    #[serde(default)]
    pub newer: f32,
    /// What the reranker gave the memory, on the reranker's own scale. Results that
    /// have it come first, ordered by it; it is no part of the score. `None`
    /// without a reranker, and beyond the results that it read.
    #[serde(default)]
    pub reranker_score: Option<f32>,
    /// What the relevance is computed from besides `similarity`, `unknown`, `chunks`
    /// and `date`; `None` in an explanation that was stored before there was a
    /// relevance.
    #[serde(default)]
    pub relevance_inputs: Option<RelevanceInputs>,
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
