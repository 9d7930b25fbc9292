//! Reading by id, through the memory tier.

use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{EntityId, Memory, MemoryError, MemoryId, MemoryResult};

use crate::engine::EngineInner;
use crate::tiers::{Demand, Kept, Loaded, Stamp};

impl EngineInner {
    pub(crate) async fn get_memory(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Arc<Memory>> {
        let demand = self.demand();
        if let Some(memory) = self.held(entity, id, &demand) {
            return Ok(memory);
        }
        entity.validate()?;
        let loaded = self.load(entity, &[*id], &demand).await?;
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
        let demand = self.demand();
        let held = |id| self.held(entity, id, &demand);
        let mut memories: Vec<_> = ids.iter().map(held).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|&n| memories[n].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<MemoryId> = missing.iter().map(|&n| ids[n]).collect();
            let loaded = self.load(entity, &wanted, &demand).await?;
            for (n, memory) in missing.into_iter().zip(loaded) {
                memories[n] = memory;
            }
        }
        Ok(memories)
    }

    /// What the tier holds and may be trusted with. Where a read must see all
    /// that others wrote before it, that is nothing: asking whether an entry is
    /// still true costs as much as reading it.
    #[inline]
    fn held(&self, entity: &EntityId, id: &MemoryId, demand: &Demand) -> Option<Arc<Memory>> {
        let tiers = &self.tiers;
        tiers.memory.get(entity, id, |kept| match demand {
            Demand::Any => true,
            Demand::Since(_) => false,
            Demand::Within(..) => {
                demand.met_by(kept.at) && kept.generation >= tiers.coherence.heard(entity)
            }
        })
    }

    /// Reads from the store what no other caller is reading already, and keeps
    /// it if nothing was written meanwhile.
    async fn load(
        self: &Arc<Self>,
        entity: &EntityId,
        ids: &[MemoryId],
        demand: &Demand,
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        let mut memories = Vec::with_capacity(ids.len());
        let mut too_old = Vec::new();
        for (n, (began, memory)) in self.board(entity, ids).await?.into_iter().enumerate() {
            if !demand.met_by(began) {
                too_old.push(n);
            }
            memories.push(memory);
        }
        // What another had begun to read too early for this caller has landed:
        // whatever is boarded now began after this call.
        if !too_old.is_empty() {
            let again: Vec<MemoryId> = too_old.iter().map(|&n| ids[n]).collect();
            for (n, (_, memory)) in too_old.into_iter().zip(self.board(entity, &again).await?) {
                memories[n] = memory;
            }
        }
        Ok(memories)
    }

    /// Joins the loads under way, and reads the rest in one statement. Answers
    /// for each id when its load began, and what that found.
    async fn board(
        self: &Arc<Self>,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<(Stamp, Option<Arc<Memory>>)>> {
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
                let began = Stamp::now(&*shared.clock);
                let fetched = shared.store.get(&entity, &ids).await?;
                let (tiers, generation) = (&shared.tiers, fetched.generation);
                let found = fetched.memories.into_iter();
                let memories: Arc<[_]> = found.map(|memory| memory.map(Arc::new)).collect();
                let kept = tiers.coherence.publish(ticket, &entity, generation, || {
                    for memory in memories.iter().flatten() {
                        tiers.memory.fill(Kept {
                            memory: Arc::clone(memory),
                            generation,
                            at: began,
                        });
                    }
                });
                if !kept {
                    tiers.memory.tally.refused();
                }
                Ok(Loaded { began, memories })
            }
            .boxed()
        });
        (0..boarding.joined).for_each(|_| tier.tally.coalesced());
        boarding
            .land(|loaded, slot| (loaded.began, loaded.memories.get(slot).cloned().flatten()))
            .await
    }
}
