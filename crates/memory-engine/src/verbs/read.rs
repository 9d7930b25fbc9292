//! Reading by id, through the memory tier.

use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{
    CacheBackend, Consistency, EntityId, Memory, MemoryError, MemoryId, MemoryResult,
};

use crate::engine::Shared;
use crate::tiers::Loaded;

impl<B: CacheBackend> Shared<B> {
    pub(crate) async fn get_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Arc<Memory>> {
        if let Some(memory) = self.held(entity, id) {
            return Ok(memory);
        }
        entity.validate()?;
        let loaded = self.load(entity, &[*id]).await?;
        loaded
            .into_iter()
            .flatten()
            .next()
            .ok_or_else(|| MemoryError::NotFound {
                entity: entity.clone(),
                id: *id,
            })
    }

    pub(crate) async fn get_memories(
        self: &Arc<Self>,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        entity.validate()?;
        let mut memories: Vec<_> = ids.iter().map(|id| self.held(entity, id)).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|&n| memories[n].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<MemoryId> = missing.iter().map(|&n| ids[n]).collect();
            let loaded = self.load(entity, &wanted).await?;
            for (n, memory) in missing.into_iter().zip(loaded) {
                memories[n] = memory;
            }
        }
        Ok(memories)
    }

    /// What the tier holds and may be trusted with: where others write too,
    /// asking whether an entry is still true costs as much as reading it.
    #[inline]
    fn held(&self, entity: &EntityId, id: &MemoryId) -> Option<Arc<Memory>> {
        match self.config.consistency {
            Consistency::Checked => None,
            _ => self.tiers.memory.get(entity, id),
        }
    }

    /// Reads from the store in one statement what no other caller is reading
    /// already, and keeps it if nothing was written meanwhile.
    async fn load(
        self: &Arc<Self>,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        // Before anything is read: see `tiers::coherence`.
        let ticket = self.tiers.coherence.ticket(entity);
        let tier = &self.tiers.memory;
        let keys: Vec<_> = ids.iter().map(|id| (ticket, entity.clone(), *id)).collect();
        let boarding = tier.flights.board(&keys, |mine| {
            tier.tally.load();
            let shared = Arc::clone(self);
            let entity = entity.clone();
            let ids: Vec<MemoryId> = mine.iter().map(|&n| ids[n]).collect();
            async move {
                let fetched = shared.store.get(&entity, &ids).await?;
                let loaded: Loaded = fetched
                    .memories
                    .into_iter()
                    .map(|memory| memory.map(Arc::new))
                    .collect();
                let tiers = &shared.tiers;
                let kept = tiers
                    .coherence
                    .publish(ticket, &entity, fetched.generation, || {
                        loaded
                            .iter()
                            .flatten()
                            .for_each(|memory| tiers.memory.fill(memory));
                    });
                if !kept {
                    tiers.memory.tally.refused();
                }
                Ok(loaded)
            }
            .boxed()
        });
        (0..boarding.joined).for_each(|_| tier.tally.coalesced());
        boarding
            .land(|loaded, slot| loaded.get(slot).cloned().flatten())
            .await
    }
}
