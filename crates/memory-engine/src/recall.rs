//! What a recall asks and what it answers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{InvalidInput, Memory, MemoryFilter, MemoryResult, limits};
use serde::{Deserialize, Serialize};

use crate::ranking::{Explanation, Ranking};

/// What to recall.
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
pub struct RecallRequest {
    /// The question, 1 to 10,000 characters.
    pub text: String,
    /// Which memories may be recalled; exact.
    #[serde(default)]
    pub filter: MemoryFilter,
    /// How many at most, 1 to [`limits::MAX_LIMIT`].
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// The least cosine, −1 to 1, that a memory must have.
    #[serde(default)]
    pub min_similarity: Option<f32>,
    /// How what is found is ordered.
    #[serde(default)]
    pub ranking: Ranking,
    /// Recalls as at this moment: what happened later is not recalled, and
    /// importance and recency are as they were. The clock's now when `None`.
    #[serde(default)]
    pub as_of: Option<DateTime<Utc>>,
}

impl RecallRequest {
    /// How many memories are recalled where nothing is said.
    pub const DEFAULT_LIMIT: usize = 10;

    /// Recalls up to [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) memories for a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            filter: MemoryFilter::new(),
            limit: Self::DEFAULT_LIMIT,
            min_similarity: None,
            ranking: Ranking::default(),
            as_of: None,
        }
    }

    /// Recalls only what `filter` admits.
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

    /// Orders what is found by `ranking`.
    #[must_use]
    pub fn ranking(mut self, ranking: Ranking) -> Self {
        self.ranking = ranking;
        self
    }

    /// Recalls as at `moment`.
    #[must_use]
    pub fn as_of(mut self, moment: DateTime<Utc>) -> Self {
        self.as_of = Some(moment);
        self
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the bound that is broken.
    pub fn validate(&self) -> MemoryResult<()> {
        limits::check_query(&self.text)?;
        limits::check_limit(self.limit)?;
        self.filter.validate()?;
        self.ranking.validate()?;
        self.as_of.map_or(Ok(()), limits::check_timestamp)?;
        match self.min_similarity {
            Some(value) if !(-1.0..=1.0).contains(&value) => {
                Err(InvalidInput::Similarity { value }.into())
            }
            _ => Ok(()),
        }
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

/// A memory that was recalled, and why it stands where it does.
#[derive(Debug, Clone, PartialEq)]
pub struct RecallHit {
    /// The memory.
    pub memory: Arc<Memory>,
    /// What it was ordered by: see [`Ranking`]. Comparable within one recall.
    pub score: f32,
    /// Cosine between the query and the memory's best chunk, −1 to 1; `None`
    /// when it has no vector of this model and was found by its words.
    pub similarity: Option<f32>,
    /// Everything that the score was made of.
    pub explanation: Explanation,
}
