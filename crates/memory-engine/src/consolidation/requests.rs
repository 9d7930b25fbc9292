//! Requests and results of reflection, consolidation and relations.

use std::sync::Arc;

use memory_core::{InvalidInput, Memory, MemoryFilter, MemoryId, MemoryResult};
use serde::{Deserialize, Serialize};

use crate::recall::{RecallHit, RecallRequest};

/// A question to reflect on.
///
/// ```
/// use memory_engine::{RecallRequest, ReflectRequest};
/// let request = ReflectRequest::from("Can Tam be trusted?");
/// let wider = ReflectRequest::from(RecallRequest::new("Can Tam be trusted?").limit(50));
/// # let _ = (request, wider);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReflectRequest {
    /// The question, and which memories may answer it.
    pub recall: RecallRequest,
    /// Maximum number of characters of memories in the prompt, 1 to
    /// [`MAX_CONTEXT_CHARS`](Self::MAX_CONTEXT_CHARS). The rest of the prompt
    /// is the quoted question and under 2,000 characters of instructions.
    #[serde(default = "default_context_chars")]
    pub max_context_chars: usize,
}

impl ReflectRequest {
    /// The default of `max_context_chars`: some 3,000 tokens.
    pub const DEFAULT_CONTEXT_CHARS: usize = 12_000;
    /// The largest `max_context_chars`.
    pub const MAX_CONTEXT_CHARS: usize = 1_000_000;

    /// Reflects on a question, from the memories that a recall of it returns.
    pub fn new(question: impl Into<RecallRequest>) -> Self {
        Self {
            recall: question.into(),
            max_context_chars: Self::DEFAULT_CONTEXT_CHARS,
        }
    }

    /// Limits the memories in the prompt to this many characters.
    #[must_use]
    pub fn max_context_chars(mut self, max_chars: usize) -> Self {
        self.max_context_chars = max_chars;
        self
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the limit that is exceeded.
    pub fn validate(&self) -> MemoryResult<()> {
        let (value, max) = (self.max_context_chars, Self::MAX_CONTEXT_CHARS);
        if !(1..=max).contains(&value) {
            return Err(InvalidInput::Limit { value, max }.into());
        }
        self.recall.validate()
    }
}

impl From<RecallRequest> for ReflectRequest {
    fn from(recall: RecallRequest) -> Self {
        Self::new(recall)
    }
}

impl From<&str> for ReflectRequest {
    fn from(question: &str) -> Self {
        Self::new(question)
    }
}

impl From<String> for ReflectRequest {
    fn from(question: String) -> Self {
        Self::new(question)
    }
}

fn default_context_chars() -> usize {
    ReflectRequest::DEFAULT_CONTEXT_CHARS
}

/// The result of a reflection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reflection {
    /// The language model's answer; `None` without a language model.
    pub answer: Option<String>,
    /// The memories as formatted for the prompt: one JSON object per line.
    pub context: String,
    /// The memories in the context, best first.
    pub memories: Vec<RecallHit>,
    /// How many more memories the recall found, which do not fit into the context.
    pub omitted: usize,
    /// How many of the memories that match the filter could be found by their
    /// words only; as in [`RecallReport`](crate::RecallReport).
    pub without_vectors: u64,
    /// Whether the vectors are those of the previous embedder; as in
    /// [`RecallReport`](crate::RecallReport).
    pub by_previous_model: bool,
}

impl Reflection {
    /// The answer, or the context where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.answer.as_deref().unwrap_or(&self.context)
    }
}

/// What to consolidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
pub struct ConsolidatedSummary {
    /// The new memory.
    pub id: MemoryId,
    /// The memories that it replaces, oldest first.
    pub sources: Vec<MemoryId>,
}

/// Direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkDirection {
    /// From the memory in question to the other.
    Outgoing,
    /// From the other to the memory in question.
    Incoming,
}

/// A memory that is linked to the memory in question.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedMemory {
    /// The memory at the other end.
    pub memory: Arc<Memory>,
    /// The kind of the relation.
    pub relation: String,
    /// Which of the two holds the link.
    pub direction: LinkDirection,
}

impl From<&ConsolidateRequest> for ConsolidateRequest {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}

impl From<&ReflectRequest> for ReflectRequest {
    fn from(value: &Self) -> Self {
        value.clone()
    }
}
