//! Requests and results of consolidation.

use memory_core::{InvalidInput, MemoryFilter, MemoryId, MemoryResult};
use serde::{Deserialize, Serialize};

/// What to consolidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsolidateRequest {
    /// Which memories may be summarized, of the experiences and observations:
    /// other kinds never are.
    pub filter: MemoryFilter,
    /// Lowest cosine, −1 to 1, between a memory and the first of its group.
    /// Without a language model it has no effect: then only memories that state
    /// the same are grouped.
    pub min_similarity: f32,
    /// Minimum number of memories that are summarized; lower values count as 2.
    pub min_sources: usize,
}

impl ConsolidateRequest {
    /// The cosine from which on two memories count as near-duplicates.
    ///
    /// Measured with all-MiniLM-L6-v2: of 12 paraphrases 9 lie above 0.9 (0.92
    /// to 0.99, the others at 0.54, 0.77 and 0.87 to 0.89), of 10 pairs that
    /// share a frame and state different things ("… leaves at dawn", "… leaves at
    /// dusk") none does, the highest at 0.895. Of 155,000 pairs of turns in two
    /// LoCoMo conversations 18 lie above it, all of which say the same thing twice;
    /// above 0.85 there are 79, not all of which do.
    pub const DEFAULT_SIMILARITY: f32 = 0.9;

    /// Groups of two or more near-duplicates among all memories.
    #[must_use]
    pub fn new() -> Self {
        Self {
            filter: MemoryFilter::new(),
            min_similarity: Self::DEFAULT_SIMILARITY,
            min_sources: 2,
        }
    }

    /// Consolidates only memories that `filter` matches.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Groups memories of at least this cosine, −1 to 1.
    #[must_use]
    pub fn min_similarity(mut self, min_similarity: f32) -> Self {
        self.min_similarity = min_similarity;
        self
    }

    /// Summarizes groups of at least this many memories.
    #[must_use]
    pub fn min_sources(mut self, min_sources: usize) -> Self {
        self.min_sources = min_sources;
        self
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        self.filter.validate()?;
        let value = self.min_similarity;
        if !(-1.0..=1.0).contains(&value) {
            return Err(InvalidInput::Similarity { value }.into());
        }
        Ok(())
    }
}

impl Default for ConsolidateRequest {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of a consolidation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsolidationReport {
    /// One for each group that was summarized.
    pub summaries: Vec<ConsolidatedSummary>,
    /// Groups that were left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedGroup>,
}

/// A group that was not summarized; its memories stay live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedGroup {
    /// The memories of the group, oldest first.
    pub sources: Vec<MemoryId>,
    /// Why it was skipped.
    pub reason: SkipReason,
}

impl SkippedGroup {
    pub(crate) fn new(sources: Vec<MemoryId>, reason: SkipReason) -> Self {
        Self { sources, reason }
    }
}

/// Why a group was not summarized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The language model refused the prompt or failed otherwise.
    ModelFailed,
    /// The language model was unavailable for several groups in a row, and was
    /// not called for this one.
    ModelUnavailable,
    /// The language model answered nothing.
    EmptyCompletion,
    /// The language model's answer lacks a number, identifier, name or negation
    /// of the sources.
    FactsMissing,
    /// The sources do not fit into one prompt.
    PromptTooLong,
}

/// A memory that replaces others since a consolidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsolidatedSummary {
    /// The new memory.
    pub id: MemoryId,
    /// The memories that it replaces, oldest first.
    pub sources: Vec<MemoryId>,
}

impl From<&ConsolidateRequest> for ConsolidateRequest {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}
