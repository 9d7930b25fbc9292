//! Putting memories back as they were exported.

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, Memory, MemoryError, MemoryId, MemoryResult, SummaryGroup, limits,
};

use super::retain::validated;
use crate::consolidation::jittered_backoff;
use crate::engine::EngineInner;

/// How often a summary is tried anew where its sources changed meanwhile.
const MAX_TRIES: u32 = 5;

impl EngineInner {
    /// Retains memories whole: with their access counts, decay rates and
    /// times. All are live then; what was archived is archived again by
    /// [`restore_summary`](Self::restore_summary).
    pub(crate) async fn restore_memories(
        self: &Arc<Self>,
        memories: Vec<Memory>,
    ) -> MemoryResult<Vec<MemoryId>> {
        let own_ids = vec![true; memories.len()];
        let made = memories.into_iter().map(whole);
        self.retain_memories(validated(made)?, &own_ids).await
    }

    /// Puts a summary back above its sources, which must be there. Answers
    /// whether anything was written.
    pub(crate) async fn restore_summary(
        self: &Arc<Self>,
        summary: Memory,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        let summary = whole(summary)?;
        let entity = summary.entity_id.clone();
        if self.stands(&summary, &sources).await? {
            return Ok(false);
        }
        let embeddings = self.embed_contents(&[&summary.content]).await?;
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
            match self.archive(&entity, Arc::clone(&group)).await {
                Err(MemoryError::Changed { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                outcome => return outcome.map(|()| true),
            }
        }
    }

    async fn archive(
        self: &Arc<Self>,
        entity: &EntityId,
        group: Arc<[SummaryGroup]>,
    ) -> MemoryResult<()> {
        let read_at = self.store.entity_stats(entity).await?.generation;
        let touched = group
            .iter()
            .flat_map(|group| group.sources.iter().chain([&group.summary.memory.id]))
            .copied()
            .collect();
        let (store, owner) = (Arc::clone(&self.store), entity.clone());
        self.commit(
            vec![(entity.clone(), touched)],
            async move { store.consolidate(&owner, &group, read_at).await },
            |tiers, (entity, ids), outcome| tiers.written(entity, outcome.generation, ids),
        )
        .await?;
        Ok(())
    }

    /// Whether the very same summary stands above the very same sources.
    async fn stands(&self, summary: &Memory, sources: &[MemoryId]) -> MemoryResult<bool> {
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

/// A memory that keeps every bound, live, with its times in microseconds.
fn whole(mut memory: Memory) -> MemoryResult<Memory> {
    memory.validate()?;
    memory.timestamp = limits::to_micros(memory.timestamp);
    memory.last_accessed = memory.last_accessed.map(limits::to_micros);
    memory.archived_by = None;
    Ok(memory)
}
