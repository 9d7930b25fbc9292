//! What the verbs of a memory's life are asked, and what they answer.

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
    /// What is asked, and which memories may answer it.
    pub recall: RecallRequest,
    /// Most characters of a prompt that memories may take, 1 to
    /// [`MAX_CONTEXT_CHARS`](Self::MAX_CONTEXT_CHARS). Beside them a prompt
    /// holds the question, quoted, and under 2,000 characters of task.
    #[serde(default = "default_context_chars")]
    pub max_context_chars: usize,
}

impl ReflectRequest {
    /// What memories may take where nothing is said: some 3,000 tokens.
    pub const DEFAULT_CONTEXT_CHARS: usize = 12_000;
    /// The most that may be said.
    pub const MAX_CONTEXT_CHARS: usize = 1_000_000;

    /// Reflects on a question, from the memories that a recall of it finds.
    pub fn new(question: impl Into<RecallRequest>) -> Self {
        Self {
            recall: question.into(),
            max_context_chars: Self::DEFAULT_CONTEXT_CHARS,
        }
    }

    /// Lets memories take so many characters of a prompt.
    #[must_use]
    pub fn max_context_chars(mut self, most: usize) -> Self {
        self.max_context_chars = most;
        self
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the bound that is broken.
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

/// What came of a reflection.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflection {
    /// What the language model answered; `None` without one.
    pub answer: Option<String>,
    /// The memories as they stand in the prompt: one JSON object on each line.
    pub context: String,
    /// The memories that the context holds, best first.
    pub memories: Vec<RecallHit>,
}

impl Reflection {
    /// The answer, or the memories where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.answer.as_deref().unwrap_or(&self.context)
    }
}

/// What to consolidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsolidateRequest {
    /// Which memories may be summarized; experiences and observations only,
    /// whatever it says.
    pub filter: MemoryFilter,
    /// The least cosine, −1 to 1, of a memory to the first of its group.
    pub min_similarity: f32,
    /// The least memories that are worth a summary; 2 where it says fewer.
    pub min_sources: usize,
}

impl ConsolidateRequest {
    /// The cosine from which on two memories tell nearly the same.
    ///
    /// Measured with all-MiniLM-L6-v2: of 12 paraphrases 9 lie above 0.9 (0.92
    /// to 0.99, the others at 0.54, 0.77 and 0.87 to 0.89), of 10 pairs that
    /// share a frame and tell different things ("… leaves at dawn", "… leaves at
    /// dusk") none does, the highest at 0.895. Of 155,000 pairs of turns in two
    /// LoCoMo conversations 18 lie above it, all of which say the same twice;
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

    /// Consolidates only what `filter` admits.
    #[must_use]
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Groups memories from this cosine on, −1 to 1.
    #[must_use]
    pub fn min_similarity(mut self, min_similarity: f32) -> Self {
        self.min_similarity = min_similarity;
        self
    }

    /// Summarizes groups of so many memories and more.
    #[must_use]
    pub fn min_sources(mut self, min_sources: usize) -> Self {
        self.min_sources = min_sources;
        self
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::InvalidInput`] naming the bound that is broken.
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

/// What a consolidation did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConsolidationReport {
    /// One for each group that was found.
    pub summaries: Vec<ConsolidatedSummary>,
}

/// A memory that stands for others since a consolidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsolidatedSummary {
    /// The new memory.
    pub id: MemoryId,
    /// What it stands for, oldest first.
    pub sources: Vec<MemoryId>,
}

/// Which way a link points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkDirection {
    /// The memory asked about links to the other.
    Outgoing,
    /// The other links to the memory asked about.
    Incoming,
}

/// A memory that is linked to another, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedMemory {
    /// The memory at the other end.
    pub memory: Arc<Memory>,
    /// What was said of the link.
    pub relation: String,
    /// Which of the two says it.
    pub direction: LinkDirection,
}
