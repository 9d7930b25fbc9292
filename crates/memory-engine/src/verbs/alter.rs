//! Altering one memory; new content is embedded anew.

use std::sync::Arc;

use memory_core::{CacheBackend, EntityId, Memory, MemoryId, MemoryPatch, MemoryResult};

use crate::engine::Shared;

impl<B: CacheBackend> Shared<B> {
    pub(crate) async fn alter_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        entity.validate()?;
        patch.validate()?;
        let embedding = match &patch.content {
            Some(content) => self.embed_contents(&[content]).await?.pop(),
            None => None,
        };
        let (store, entity, id, patch) =
            (Arc::clone(&self.store), entity.clone(), *id, patch.clone());
        let outcome = self
            .commit(
                vec![(entity.clone(), vec![id])],
                async move { store.update(&entity, &id, &patch, embedding.as_ref()).await },
                |tiers, (entity, ids), outcome| tiers.written(entity, outcome.generation, ids),
            )
            .await?;
        Ok(Arc::new(outcome.memory))
    }
}
