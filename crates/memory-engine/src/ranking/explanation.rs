//! Why a memory stands where it does.

use chrono::{DateTime, Utc};
use memory_core::{Generation, ScoreStats};
use serde::{Deserialize, Serialize};

/// Everything that a score was made of: [`super::Ranking::replay`] computes
/// it again, to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Cosine of the best chunk; `None` without a vector of this model.
    pub similarity: Option<f32>,
    /// BM25; 0 when no word of the query is in the memory.
    pub lexical: f32,
    /// What the dense retriever's values are like.
    pub dense_stats: ScoreStats,
    /// What the lexical retriever's values are like.
    pub lexical_stats: ScoreStats,
    /// What neighbors and related memories lent, weights applied.
    pub neighbors: f32,
    /// Whether the query names one of the memory's labels.
    pub mentioned: bool,
    /// What share of the memories it names: 0 and 1 as a retriever's values.
    pub mention_stats: ScoreStats,
    /// Current importance, 0 to 1.
    pub importance: f32,
    /// Recency, 0 to 1.
    pub recency: f32,
    /// Where the values come from.
    pub path: RecallPath,
    /// The entity's generation that they show.
    pub generation: Generation,
    /// The clock that importance and recency were read by.
    pub now: DateTime<Utc>,
}

/// Where a recall found its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecallPath {
    /// In the snapshot held in this process.
    Snapshot,
    /// In the store.
    Store,
}
