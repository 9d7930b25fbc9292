//! Deleting memories, with their vectors and every trace in the tiers.

use memory_core::{EntityId, Memory, MemoryId, MemoryResult, RemoveOutcome};

use crate::engine::{Engine, EngineInner};
use crate::store_scan::{not_found, stored_memory, summaries_above};
use crate::writer::Committed;

impl Engine {
    /// Deletes this memory. Where it is a summary, its sources are live again;
    /// where it is a source, the summaries above it are deleted as well (what
    /// they say may be from it), and their other sources are live again. Returns the ids of
    /// all that was removed.
    pub async fn delete_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        let store = &*self.inner.store;
        let memory = stored_memory(store, entity, id).await?;
        let mut removed = summaries_above(store, entity, &memory).await?;
        removed.push(memory);
        let outcome = self.inner.remove(entity, vec![*id], removed).await?;
        Ok(outcome.removed)
    }
}

impl EngineInner {
    /// Removes `ids` in one transaction. `removed` is all that this removes;
    /// none of it keeps a vector in the embedding tier.
    ///
    /// # Errors
    /// [`memory_core::MemoryError::NotFound`] of the first id where none of
    /// them existed any more.
    pub(super) async fn remove(
        &self,
        entity: &EntityId,
        ids: Vec<MemoryId>,
        removed: Vec<Memory>,
    ) -> MemoryResult<RemoveOutcome> {
        let committed = self.commit_removal(entity, ids, removed).await?;
        Ok(committed.finish().await)
    }

    /// As [`remove`](Self::remove), and does not wait until no vector is cached.
    pub(super) async fn commit_removal(
        &self,
        entity: &EntityId,
        ids: Vec<MemoryId>,
        removed: Vec<Memory>,
    ) -> MemoryResult<Committed<RemoveOutcome>> {
        let first = ids.first().copied();
        let committed = self
            .writer
            .remove(&self.store, entity, ids, removed)
            .await?;
        match first {
            Some(id) if committed.outcome().removed.is_empty() => Err(not_found(entity, &id)),
            _ => Ok(committed),
        }
    }
}
