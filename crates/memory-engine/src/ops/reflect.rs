//! Reflecting: memories recalled, quoted, and answered from.

use std::sync::Arc;

use memory_core::{EntityId, ErrorKind, InvalidInput, Memory, MemoryError, MemoryResult};

use crate::consolidation::{
    ReflectRequest, Reflection, format_context, min_context_chars, question_prompt,
};
use crate::engine::Engine;

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
