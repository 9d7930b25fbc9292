//! Altering one memory; new content is embedded again.

use std::sync::Arc;

use memory_core::{EntityId, Memory, MemoryId, MemoryPatch, MemoryResult};

use crate::engine::Engine;
use crate::snapshot::Delta;
use crate::store_scan::stored_memory;
use crate::tiers::{CommittedWrite, ReadInstant};

impl Engine {
    /// Changes one memory and returns it as it is then.
    pub async fn alter_memory(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        entity.validate()?;
        patch.validate()?;
        let inner = &self.inner;
        let (embedding, removed_text) = match &patch.content {
            Some(content) => {
                // A memory that does not exist is reported before anything is
                // embedded.
                let old = stored_memory(&*inner.store, entity, id).await?.content;
                let embedding = inner.embedder.embed_contents(&[content]).await?.pop();
                (embedding, Some(old).filter(|old| old != content))
            }
            None => (None, None),
        };
        let began = ReadInstant::now(&*inner.clock);
        let (store, owner, id, patch) =
            (Arc::clone(&inner.store), entity.clone(), *id, patch.clone());
        let write = async move {
            let update = store.update(&owner, &id, &patch, embedding.as_ref());
            let outcome = update.await?;
            let altered = Arc::new(outcome.memory);
            let write = CommittedWrite {
                entity: owner,
                generation: outcome.generation,
                delta: Arc::new(Delta::from_update(
                    Arc::clone(&altered),
                    embedding,
                    outcome.changed,
                )),
                began: Some(began),
            };
            Ok((altered, vec![write]))
        };
        let targets = vec![(entity.clone(), vec![id])];
        let removed_texts = removed_text.into_iter().collect();
        let committed = inner.writer.commit(targets, removed_texts, write).await?;
        Ok(committed.finish().await)
    }
}
