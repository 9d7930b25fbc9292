//! Recall requests and results.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{InvalidInput, Memory, MemoryFilter, MemoryResult, limits};
use serde::{Deserialize, Serialize};

use crate::ranking::{Explanation, RankedMemory, Ranking};

/// A request to recall memories.
///
/// ```
/// use memory_core::{MemoryFilter, MemoryKind};
/// use memory_engine::RecallRequest;
///
/// let request = RecallRequest::new("who sold me the horse?")
///     .filter(MemoryFilter::new().kind(MemoryKind::Experience))
///     .limit(5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallRequest {
    /// The question, 1 to 10,000 characters.
    pub text: String,
    /// Which memories may be recalled. Exact: see [`MemoryFilter`].
    #[serde(default)]
    pub filter: MemoryFilter,
    /// Maximum number of memories to return, 1 to [`limits::MAX_LIMIT`].
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Lowest cosine, −1 to 1, of a returned memory.
    #[serde(default)]
    pub min_similarity: Option<f32>,
    /// Lowest relevance, 0 to 1, of a returned memory. Hits below it are left out
    /// of the first `limit`, after the reranker where there is one, and not replaced
    /// by others: what is returned is a part of what a recall without it returns,
    /// in the same order, and may be nothing. [`RecallReport::below_min_relevance`]
    /// counts them.
    #[serde(default)]
    pub min_relevance: Option<f32>,
    /// How the results are ordered.
    #[serde(default)]
    pub ranking: Ranking,
    /// Recalls as of this moment, from the memories that were live then: sources
    /// that were archived later, and not the summaries that replaced them.
    /// Importance and recency are those of that moment. Accesses are dated by
    /// the latest one only: if that came later, none count. The clock's current
    /// time when `None`. Vectors of a previous embedder are not compared: memories that
    /// have no others are found by their words.
    #[serde(default)]
    pub as_of: Option<DateTime<Utc>>,
    /// Whether the reranker, where the system has one, orders the first results.
    #[serde(default = "default_rerank")]
    pub rerank: bool,
    /// The vector of the text, where it was computed elsewhere; see
    /// [`vector`](Self::vector).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}

impl RecallRequest {
    /// The default limit.
    pub const DEFAULT_LIMIT: usize = 10;

    /// Recalls up to [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) memories for a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            filter: MemoryFilter::new(),
            limit: Self::DEFAULT_LIMIT,
            min_similarity: None,
            min_relevance: None,
            ranking: Ranking::default(),
            as_of: None,
            rerank: true,
            vector: None,
        }
    }

    /// Recalls only memories that `filter` matches.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Recalls at most `limit` memories, 1 to [`limits::MAX_LIMIT`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Recalls only memories with at least this cosine, −1 to 1.
    #[must_use]
    pub fn min_similarity(mut self, min_similarity: f32) -> Self {
        self.min_similarity = Some(min_similarity);
        self
    }

    /// Returns only hits with at least this relevance, 0 to 1.
    #[must_use]
    pub fn min_relevance(mut self, min_relevance: f32) -> Self {
        self.min_relevance = Some(min_relevance);
        self
    }

    /// Orders the results by `ranking`.
    #[must_use]
    pub fn ranking(mut self, ranking: Ranking) -> Self {
        self.ranking = ranking;
        self
    }

    /// Recalls as of `moment`.
    #[must_use]
    pub fn as_of(mut self, moment: DateTime<Utc>) -> Self {
        self.as_of = Some(moment);
        self
    }

    /// Leaves the order to the ranking, even where the system has a reranker.
    #[must_use]
    pub fn without_reranker(mut self) -> Self {
        self.rerank = false;
        self
    }

    /// Sets the vector of the text, so that the embedder is not called: for
    /// vectors that the model of the system's embedder made elsewhere. It has the
    /// dimensions of that model, finite numbers that are not all zero, and any length
    /// (it is normalized). The text is still needed for its words. The vector is not
    /// cached: another recall of the same text without it uses the embedder's.
    #[must_use]
    pub fn vector(mut self, vector: impl Into<Vec<f32>>) -> Self {
        self.vector = Some(vector.into());
        self
    }

    /// Checks every limit. Whether a vector has the embedder's dimensions is checked
    /// by the recall.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_query(&self.text)?;
        limits::check_limit(self.limit)?;
        self.filter.validate()?;
        self.ranking.validate()?;
        self.as_of.map_or(Ok(()), limits::check_timestamp)?;
        // The dimensions are the embedder's, which are not known here: not even an empty
        // vector is refused, so that the recall can say how many are needed.
        if let Some(vector) = self.vector.as_ref().filter(|vector| !vector.is_empty()) {
            limits::check_vector(vector, vector.len())?;
        }
        if let Some(value) = self.min_similarity
            && !(-1.0..=1.0).contains(&value)
        {
            return Err(InvalidInput::Similarity { value }.into());
        }
        if let Some(value) = self.min_relevance
            && !(0.0..=1.0).contains(&value)
        {
            return Err(InvalidInput::Relevance { value }.into());
        }
        Ok(())
    }
}

impl From<&str> for RecallRequest {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for RecallRequest {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

fn default_limit() -> usize {
    RecallRequest::DEFAULT_LIMIT
}

const fn default_rerank() -> bool {
    true
}

/// A recalled memory, its score and the explanation of the score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecallHit {
    /// The memory.
    pub memory: Arc<Memory>,
    /// The value that results are ordered by: see [`Ranking`]. Comparable
    /// within one recall. With a reranker, the first results are ordered by
    /// [`Explanation::reranker_score`] instead.
    pub score: f32,
    /// The estimated probability that the memory answers the question, 0 to 1.
    /// Comparable between recalls and entities, and independent of the ranking's
    /// weights; results are not ordered by it. docs/quality.md has how well it
    /// is calibrated: most results of a recall have less than one half.
    pub relevance: f32,
    /// Cosine between the question and the memory's best chunk, −1 to 1; `None`
    /// when it has no vector of this model and was found by its terms.
    pub similarity: Option<f32>,
    /// Every input of the score and of the relevance.
    pub explanation: Explanation,
}

impl RecallHit {
    pub(crate) fn new(ranked: RankedMemory) -> Self {
        let explanation = ranked.explanation;
        Self {
            memory: ranked.memory,
            score: ranked.score,
            relevance: explanation.relevance().unwrap_or_default(),
            similarity: explanation.similarity,
            explanation,
        }
    }
}

/// Hits that a recall found and did not return.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct ExcludedHits {
    /// How many.
    pub count: usize,
    /// The highest relevance of them; `None` without any.
    pub max_relevance: Option<f32>,
}

impl ExcludedHits {
    /// Removes the hits below a relevance.
    pub(crate) fn remove_below(hits: &mut Vec<RecallHit>, min_relevance: f32) -> Self {
        let mut excluded = Self::default();
        hits.retain(|hit| {
            let is_kept = hit.relevance >= min_relevance;
            if !is_kept {
                excluded.count += 1;
                let max = excluded.max_relevance.unwrap_or(hit.relevance);
                excluded.max_relevance = Some(max.max(hit.relevance));
            }
            is_kept
        });
        excluded
    }
}

/// The hits of a recall, and how many memories could not be compared with the
/// query. Dereferences to the hits.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RecallReport {
    /// Best first.
    pub hits: Vec<RecallHit>,
    /// How many of the memories that match the filter have no vector of the
    /// embedder's model, because they were retained with another one: these
    /// are found by their words only. `reembed` computes the vectors.
    ///
    /// Where the store searches by an approximate index it is a lower bound.
    pub without_vectors: u64,
    /// Whether the vectors are those of the previous embedder, as more memories
    /// have them: the entity is not completely embedded by the embedder yet.
    /// `without_vectors` then counts memories without those.
    pub by_previous_model: bool,
    /// Hits that are left out because of [`RecallRequest::min_relevance`].
    pub below_min_relevance: ExcludedHits,
}

impl Deref for RecallReport {
    type Target = [RecallHit];

    fn deref(&self) -> &[RecallHit] {
        &self.hits
    }
}

impl IntoIterator for RecallReport {
    type Item = RecallHit;
    type IntoIter = std::vec::IntoIter<RecallHit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.into_iter()
    }
}

impl From<&RecallRequest> for RecallRequest {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}
