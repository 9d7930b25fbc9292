//! The vector store index.

use memory::{RecallHit, RecallRequest, limits};
use rig_core::vector_store::request::Filter;
use rig_core::vector_store::{
    VectorSearchIdResult, VectorSearchRequest, VectorSearchResult, VectorStoreError,
    VectorStoreIndex,
};
use rig_core::wasm_compat::WasmCompatSend;
use serde::de::DeserializeOwned;

use crate::entity_memory::EntityMemory;
use crate::filter::{matches_nothing, to_memory_filter};
use crate::recalled::RecalledMemory;

/// An index over the memories of one entity, for `AgentBuilder::dynamic_context` and for
/// searches of your own.
///
/// # Behavior
/// - A search is a recall: the best memories by the system's ranking, which also looks at
///   words, time and importance. It counts as an access of what it returns.
/// - `score` is the relevance, the estimated probability that the memory answers the query,
///   0 to 1; `threshold` is the least of it. Results are ordered by the ranking, not by it.
/// - The document is a [`RecalledMemory`] as JSON; take it as that, or as a type with some of
///   its fields.
/// - A query without text, or zero samples, finds nothing. Of a longer query than a recall
///   takes, the last [`limits::MAX_QUERY_CHARS`] characters are used: a prompt ends with what
///   is asked. A NUL character, which a recall refuses, is a space.
/// - More samples than [`limits::MAX_LIMIT`] are
///   [`VectorStoreError::SamplesOutOfRange`].
/// - Filters are those of docs/frameworks.md; any other is
///   [`VectorStoreError::FilterError`], before anything is searched.
/// - An error of the memory system is [`VectorStoreError::DatastoreError`] and downcasts to
///   [`memory::MemoryError`].
#[derive(Debug, Clone)]
pub struct MemoryIndex {
    memory: EntityMemory,
    min_relevance: Option<f32>,
}

impl MemoryIndex {
    pub(crate) fn new(memory: EntityMemory) -> Self {
        Self {
            memory,
            min_relevance: None,
        }
    }

    /// Leaves out memories with less relevance, 0 to 1, in searches that have no threshold:
    /// `dynamic_context` gives none. Another value is refused by each search.
    #[must_use]
    pub fn min_relevance(mut self, min_relevance: f32) -> Self {
        self.min_relevance = Some(min_relevance);
        self
    }

    async fn search(
        &self,
        request: &VectorSearchRequest<Filter<serde_json::Value>>,
    ) -> Result<Vec<RecallHit>, VectorStoreError> {
        let filter = request.filter().map(to_memory_filter).transpose()?;
        let limit = usize::try_from(request.samples()).ok();
        let Some(limit) = limit.filter(|limit| *limit <= limits::MAX_LIMIT) else {
            return Err(VectorStoreError::SamplesOutOfRange {
                requested: request.samples(),
                max: limits::MAX_LIMIT as u64,
            });
        };
        let text = last_chars(request.query(), limits::MAX_QUERY_CHARS).replace('\0', " ");
        let filter = filter.unwrap_or_default();
        if limit == 0 || text.trim().is_empty() || matches_nothing(&filter) {
            return Ok(Vec::new());
        }
        let mut recall = RecallRequest::new(text).limit(limit);
        recall.filter = filter;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a probability; the recall refuses what is none"
        )]
        let threshold = request.threshold().map(|threshold| threshold as f32);
        recall.min_relevance = threshold.or(self.min_relevance);
        let EntityMemory { system, entity } = &self.memory;
        let hits = system.recall(entity.clone(), recall).await;
        hits.map_err(VectorStoreError::datastore)
    }
}

impl VectorStoreIndex for MemoryIndex {
    type Filter = Filter<serde_json::Value>;

    async fn top_n<T: DeserializeOwned + WasmCompatSend>(
        &self,
        request: VectorSearchRequest<Self::Filter>,
    ) -> Result<Vec<VectorSearchResult<T>>, VectorStoreError> {
        let hits = self.search(&request).await?;
        let mut results = Vec::with_capacity(hits.len());
        for hit in &hits {
            let document = serde_json::to_value(RecalledMemory::from(hit))?;
            results.push(VectorSearchResult {
                score: f64::from(hit.relevance),
                id: hit.memory.id.to_string(),
                document: serde_json::from_value(document)?,
            });
        }
        Ok(results)
    }

    async fn top_n_ids(
        &self,
        request: VectorSearchRequest<Self::Filter>,
    ) -> Result<Vec<VectorSearchIdResult>, VectorStoreError> {
        let hits = self.search(&request).await?;
        let results = hits.iter().map(|hit| VectorSearchIdResult {
            score: f64::from(hit.relevance),
            id: hit.memory.id.to_string(),
        });
        Ok(results.collect())
    }
}

/// The end of a text, at most `count` characters.
fn last_chars(text: &str, count: usize) -> &str {
    match text.char_indices().rev().nth(count.saturating_sub(1)) {
        Some((start, _)) => &text[start..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_cut_at_characters() {
        for (text, count, end) in [
            ("", 3, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "bcd"),
            ("äöü€", 2, "ü€"),
            ("ab", 5, "ab"),
        ] {
            assert_eq!(last_chars(text, count), end, "{text}");
        }
    }
}
