//! Deleting one memory: row, vectors, and every trace in the tiers.

use std::sync::Arc;

use memory_core::{CacheBackend, EntityId, MemoryError, MemoryId, MemoryResult};

use crate::engine::Shared;

impl<B: CacheBackend> Shared<B> {
    pub(crate) async fn delete_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<()> {
        // Its chunks are the keys of its vectors in the embedding tier; they
        // are cut before the write, so that nothing can fail after it.
        let memory = self.get_memory(entity, id).await?;
        let chunks = self.chunk_contents(&[&memory.content]).await?.concat();
        let (store, owner, id) = (Arc::clone(&self.store), entity.clone(), *id);
        let outcome = self
            .commit(
                vec![(entity.clone(), vec![id])],
                async move { store.delete(&owner, &[id]).await },
                |tiers, (entity, ids), outcome| tiers.removed(entity, outcome.generation, ids),
            )
            .await?;
        self.tiers
            .embedding
            .forget(&self.embedder.profile().fingerprint, &chunks);
        if outcome.removed.is_empty() {
            return Err(MemoryError::NotFound {
                entity: entity.clone(),
                id,
            });
        }
        Ok(())
    }
}
