//! Restoring memories as they were exported.

use std::sync::Arc;

use memory_core::{ErrorKind, Memory, MemoryError, MemoryId, MemoryResult, SummaryGroup, limits};

use super::retain::{NewMemory, validated};
use crate::backoff::jittered_backoff;
use crate::engine::{Engine, EngineInner};

/// How often a summary is written again where its sources changed meanwhile.
const MAX_TRIES: u32 = 5;

/// A memory to restore, as from an export.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreItem {
    /// The memory, with its id, times and counts.
    pub memory: Memory,
    /// The vector of its content, where it was computed elsewhere, as in
    /// [`MemoryBatchItem::with_embedding`](memory_core::MemoryBatchItem::with_embedding).
    pub embedding: Option<Vec<f32>>,
}

impl From<Memory> for RestoreItem {
    /// A memory that the embedder embeds.
    fn from(memory: Memory) -> Self {
        Self {
            memory,
            embedding: None,
        }
    }
}

impl Engine {
    /// Retains memories whole: with their access counts, decay rates and
    /// times. All are live then; what was archived is archived again by
    /// [`restore_summary`](Self::restore_summary).
    pub async fn restore_memories(&self, items: Vec<RestoreItem>) -> MemoryResult<Vec<MemoryId>> {
        let checked = items.into_iter().map(|item| self.inner.checked(item));
        let memories = validated(checked)?;
        self.inner.retain_memories(memories).await
    }

    /// Restores a summary and archives its sources, which must exist, under it.
    /// Returns whether anything was written.
    pub async fn restore_summary(
        &self,
        summary: RestoreItem,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<bool> {
        let inner = &self.inner;
        let summary = inner.checked(summary)?;
        let entity = summary.memory.entity_id.clone();
        SummaryGroup::validate_sources(&summary.memory.id, &sources)?;
        if inner.is_restored(&summary.memory, &sources).await? {
            return Ok(false);
        }
        let summary = inner.embedded(vec![summary]).await?;
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
                Err(error) => {
                    inner.drop_unwritten(&group).await;
                    return Err(error);
                }
                Ok(()) => return Ok(true),
            }
        }
    }
}

impl EngineInner {
    /// A memory and its vector, within every limit.
    fn checked(&self, item: RestoreItem) -> MemoryResult<NewMemory> {
        Ok(NewMemory {
            memory: normalized(item.memory)?,
            embedding: self.given_content(item.embedding)?,
            is_own_id: true,
        })
    }

    /// Whether the same sources are archived under the same summary already. Where it is there
    /// with this content and not above all of them, that is an error.
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
        if first.content != summary.content {
            return Ok(false);
        }
        let Some(at) = rest.iter().position(|source| !archived(source)) else {
            return Ok(true);
        };
        let source = sources.get(at).map(ToString::to_string);
        let message = format!(
            "entity {} already has the summary {}, with this content, and its source {} is not \
             archived under it; undo that consolidation, or forget the summary, and restore it \
             again",
            summary.entity_id,
            summary.id,
            source.unwrap_or_default(),
        );
        let kind = ErrorKind::Conflict;
        Err(MemoryError::store(kind, "restore_summary", message))
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
