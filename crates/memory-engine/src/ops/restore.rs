//! Restoring memories as they were exported.

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Memory, MemoryError, MemoryId, MemoryResult, SummaryGroup, limits,
};

use super::retain::validated;
use crate::consolidation::jittered_backoff;
use crate::engine::{Engine, EngineInner};

/// How often a summary is written again where its sources changed meanwhile.
const MAX_TRIES: u32 = 5;

impl Engine {
    /// Retains memories whole: with their access counts, decay rates and
    /// times. All are live then; what was archived is archived again by
    /// [`restore_summary`](Self::restore_summary).
    pub async fn restore_memories(&self, memories: Vec<Memory>) -> MemoryResult<Vec<MemoryId>> {
        let own_ids = vec![true; memories.len()];
        let checked = memories.into_iter().map(normalized);
        let memories = validated(checked)?;
        self.inner.retain_memories(memories, &own_ids).await
    }

    /// Restores a summary and archives its sources, which must exist, under it.
    /// Returns whether anything was written.
    pub async fn restore_summary(
        &self,
        summary: Memory,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        let summary = normalized(summary)?;
        let inner = &self.inner;
        let entity = summary.entity_id.clone();
        if inner.is_restored(&summary, &sources).await? {
            return Ok(false);
        }
        let embeddings = inner.embedder.embed_contents(&[&summary.content]).await?;
        let summary = embeddings
            .into_iter()
            .next()
            .map(|embedding| EmbeddedMemory {
                memory: summary,
                embedding,
            });
        let group: Arc<[SummaryGroup]> = summary
            .into_iter()
            .map(|summary| SummaryGroup {
                summary,
                sources: sources.clone(),
            })
            .collect();
        let mut tries = 0;
        loop {
            let read_at = inner.store.entity_stats(&entity).await?.generation;
            match inner.archive(&entity, Arc::clone(&group), read_at).await {
                Err(MemoryError::Changed { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                outcome => return outcome.map(|()| true),
            }
        }
    }
}

impl EngineInner {
    /// Whether the same sources are archived under the same summary already.
    async fn is_restored(&self, summary: &Memory, sources: &[MemoryId]) -> MemoryResult<bool> {
        let mut ids = vec![summary.id];
        ids.extend(sources);
        let found = self.store.get(&summary.entity_id, &ids).await?.memories;
        let (first, rest) = match found.split_first() {
            Some((Some(first), rest)) => (first, rest),
            _ => return Ok(false),
        };
        let archived = |source: &Option<Memory>| {
            let by = source.as_ref().and_then(|source| source.archived_by);
            by == Some(summary.id)
        };
        Ok(first.content == summary.content && rest.iter().all(archived))
    }
}

/// A memory within every limit, live, with its times in microseconds.
fn normalized(mut memory: Memory) -> MemoryResult<Memory> {
    memory.validate()?;
    memory.timestamp = limits::to_micros(memory.timestamp);
    memory.last_accessed = memory.last_accessed.map(limits::to_micros);
    memory.archived_by = None;
    Ok(memory)
}
