//! Reflecting: memories recalled, quoted, and answered from.

use std::sync::Arc;

use memory_core::{EntityId, ErrorKind, InvalidInput, Memory, MemoryError, MemoryResult};
use serde::{Deserialize, Serialize};

use crate::consolidation::{format_context, min_context_chars, question_prompt};
use crate::engine::Engine;
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
#[serde(deny_unknown_fields)]
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

impl From<&ReflectRequest> for ReflectRequest {
    fn from(value: &Self) -> Self {
        value.clone()
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

impl Engine {
    /// Recalls, quotes what was recalled, and has the language model answer,
    /// where there is one. Nothing is held while it thinks.
    pub async fn reflect(
        &self,
        entity: &EntityId,
        request: &ReflectRequest,
    ) -> MemoryResult<Reflection> {
        entity.validate()?;
        request.validate()?;
        let ranked = self.inner.recall(entity, &request.recall).await?;
        let report = self.inner.report(entity, &request.recall, ranked).await?;
        let (without_vectors, by_previous_model) =
            (report.without_vectors, report.by_previous_model);
        let recalled = report.hits;
        let memories: Vec<Arc<Memory>> = recalled
            .iter()
            .map(|recalled| Arc::clone(&recalled.memory))
            .collect();
        let (context, held) = format_context(&memories, request.max_context_chars);
        // An answer from nothing would say that there is no such memory.
        if held.is_empty() && !memories.is_empty() {
            let problem = InvalidInput::ContextTooShort {
                found: memories.len(),
                max_chars: request.max_context_chars,
                required: min_context_chars(&memories),
            };
            return Err(problem.into());
        }
        let omitted = memories.len() - held.len();
        let memories: Vec<_> = held.iter().map(|&at| recalled[at].clone()).collect();
        if request.recall.as_of.is_none() {
            self.inner.access_recorder.record(entity, &memories);
        }
        let answer = match &self.inner.language_model {
            None => None,
            Some(model) => {
                let question = &request.recall.text;
                let prompt = question_prompt(entity.as_str(), question, &context);
                Some(spoken(&model.complete(&prompt).await?)?)
            }
        };
        Ok(Reflection {
            answer,
            context,
            memories,
            omitted,
            without_vectors,
            by_previous_model,
        })
    }
}

/// An answer without white space around it.
fn spoken(answer: &str) -> MemoryResult<String> {
    let answer = answer.trim();
    if answer.is_empty() {
        return Err(MemoryError::language_model(
            ErrorKind::Corrupt,
            "reflect",
            "the language model answered nothing",
        ));
    }
    Ok(answer.to_owned())
}
