//! Deleting one memory: row, vectors, and every trace in the tiers.

use std::sync::Arc;

use memory_core::{EntityId, Memory, MemoryError, MemoryId, MemoryResult, RemoveOutcome};

use crate::engine::EngineInner;

impl EngineInner {
    /// Deletes this memory. Where it is a summary, its sources are live again;
    /// where it is a source, the summaries above it go too (what they say may
    /// be its own), and their other sources are live again.
    pub(crate) async fn delete_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<()> {
        let memory = self.stored(entity, id).await?;
        let mut gone = self.summaries_above(entity, &memory).await?;
        gone.push(memory);
        self.remove(entity, vec![*id], &gone).await?;
        Ok(())
    }

    /// A memory as the store has it, live or archived.
    pub(super) async fn stored(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Memory> {
        entity.validate()?;
        let mut found = self.store.get(entity, &[*id]).await?.memories;
        found.pop().flatten().ok_or_else(|| not_found(entity, id))
    }

    /// Removes `ids` in one transaction. What `gone` holds, which is all that
    /// the removal will amount to, leaves no vector in the embedding tier.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`] of the first id where none was there any more.
    pub(super) async fn remove(
        self: &Arc<Self>,
        entity: &EntityId,
        ids: Vec<MemoryId>,
        gone: &[Memory],
    ) -> MemoryResult<RemoveOutcome> {
        // Chunks are the keys of vectors in the embedding tier. They are cut
        // before the write, so that nothing can fail after it.
        let contents: Vec<&str> = gone.iter().map(|memory| memory.content.as_str()).collect();
        let chunks = self.chunk_contents(&contents).await?.concat();
        let (store, owner, first) = (
            Arc::clone(&self.store),
            entity.clone(),
            ids.first().copied(),
        );
        let targets = vec![(entity.clone(), ids.clone())];
        let outcome = self
            .commit(
                targets,
                async move { store.delete(&owner, &ids).await },
                |tiers, (entity, ids), outcome| tiers.removed(entity, ids, outcome),
            )
            .await?;
        let fingerprint = &self.embedder.profile().fingerprint;
        self.tiers.embedding.forget(fingerprint, &chunks);
        match first {
            Some(id) if outcome.removed.is_empty() => Err(not_found(entity, &id)),
            _ => Ok(outcome),
        }
    }

    /// Lets go of the vectors of texts that are no memory's any more. What
    /// cannot be cut into chunks now is let go of when its lifetime ends.
    pub(super) async fn forget_texts(&self, texts: &[String]) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if texts.is_empty() {
            return;
        }
        if let Ok(chunks) = self.chunk_contents(&texts).await {
            let fingerprint = &self.embedder.profile().fingerprint;
            self.tiers.embedding.forget(fingerprint, &chunks.concat());
        }
    }
}

pub(super) fn not_found(entity: &EntityId, id: &MemoryId) -> MemoryError {
    MemoryError::NotFound {
        entity: entity.clone(),
        id: *id,
    }
}
