//! Faulty limits and evictions.

use std::collections::BTreeSet;

use memory_core::{
    EmbeddedMemory, EntityId, InsertOptions, InsertOutcome, MemoryError, MemoryId, MemoryResult,
    Store,
};

use super::{FaultyStore, StoreFault as Fault};
use crate::timing::yield_now;

impl FaultyStore {
    pub(super) async fn faulty_squeeze(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let entities: BTreeSet<&EntityId> = batch.iter().map(|it| &it.memory.entity_id).collect();
        let mut room = room.clone();
        match self.fault {
            Fault::IgnoresTheLimit => room.max_memories = None,
            Fault::CountsEntitiesTogether => {
                let (count, max) = (batch.len() as u64, room.max_memories);
                if let (Some(max), [Some(entity), Some(_)]) = (
                    max.filter(|max| count > *max),
                    [entities.first(), entities.iter().nth(1)],
                ) {
                    let entity = (*entity).clone();
                    return Err(MemoryError::LimitReached { entity, count, max });
                }
            }
            Fault::EvictsInAnotherWrite => return self.evict_beforehand(batch, room).await,
            Fault::EvictsInTwoSteps => return self.evict_apart(batch, room).await,
            Fault::EvictsEverywhere => {
                let evicted: Vec<MemoryId> = room.evict.values().flatten().copied().collect();
                for other in self
                    .everybody()
                    .iter()
                    .filter(|it| !room.evict.contains_key(*it))
                {
                    self.inner.delete(other, &evicted).await?;
                }
            }
            Fault::FailsOnUnknownEvictions => {
                for (entity, ids) in &room.evict {
                    if let Some(id) = self.unknown(entity, ids).await? {
                        let entity = entity.clone();
                        return Err(MemoryError::NotFound { entity, id });
                    }
                }
            }
            Fault::IgnoresRestoredInTheLimit => {
                for (entity, ids) in &room.evict {
                    if !self.archived_among(entity, ids).await?.is_empty() {
                        room.max_memories = None;
                    }
                }
            }
            Fault::CountsArchivedInTheLimit => {
                for entity in &entities {
                    let archived = self.inner.entity_stats(entity).await?.archived_count;
                    room.max_memories = room.max_memories.map(|max| max.saturating_sub(archived));
                }
            }
            Fault::RevivesArchived => {
                for item in batch {
                    let EmbeddedMemory { memory, .. } = item;
                    let found = self.inner.get(&memory.entity_id, &[memory.id]).await?;
                    let found = found.memories.into_iter().flatten().next();
                    if let Some(summary) = found.and_then(|memory| memory.archived_by) {
                        self.inner.delete(&memory.entity_id, &[summary]).await?;
                    }
                }
            }
            Fault::CountsBeforeTheWrite => return self.count_beforehand(batch, room).await,
            _ => {}
        }
        let links = self.links_of_all(&room).await?;
        let result = self.faulty_insert(batch, &room).await;
        if self.has(Fault::EvictsOnRefusal)
            && let Err(MemoryError::LimitReached { .. }) = result
        {
            for (entity, ids) in &room.evict {
                self.inner.delete(entity, ids).await?;
            }
        }
        let mut outcome = result?;
        if self.has(Fault::EvictsForRepeats) && !outcome.inserted.contains(&true) {
            for (entity, ids) in &room.evict {
                self.inner.delete(entity, ids).await?;
            }
        }
        if self.has(Fault::KeepsLinksToEvicted) {
            for (entity, links) in links {
                if let Some(gone) = outcome.evicted.get_mut(&entity) {
                    self.relink(&entity, links, gone).await?;
                }
            }
        }
        Ok(outcome)
    }

    /// Evicts first, in a write of its own.
    async fn evict_beforehand(
        &self,
        batch: &[EmbeddedMemory],
        mut room: InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let mut evicted = std::mem::take(&mut room.evict)
            .into_iter()
            .collect::<Vec<_>>();
        evicted.retain(|(entity, _)| batch.iter().any(|it| it.memory.entity_id == *entity));
        let mut gone = Vec::new();
        for (entity, ids) in evicted {
            let outcome = self.inner.delete(&entity, &ids).await?;
            gone.push((entity, outcome));
        }
        gone.retain(|(_, outcome)| !outcome.removed.is_empty());
        let mut outcome = self.inner.insert_opts(batch, &room).await?;
        outcome.evicted.extend(gone);
        Ok(outcome)
    }

    /// Evicts where the insert will be done, and inserts at the same generation in a write
    /// of its own.
    async fn evict_apart(
        &self,
        batch: &[EmbeddedMemory],
        mut room: InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let evicted = std::mem::take(&mut room.evict);
        let mut outcomes = Vec::new();
        for (entity, ids) in evicted {
            let outcome = self.inner.delete(&entity, &ids).await?;
            if !outcome.removed.is_empty() {
                self.shift(&entity, -1);
                outcomes.push((entity, outcome));
            }
        }
        yield_now().await;
        let mut outcome = self.inner.insert_opts(batch, &room).await?;
        outcome.evicted.extend(outcomes);
        Ok(outcome)
    }

    /// Counts before the write, which does not count again.
    async fn count_beforehand(
        &self,
        batch: &[EmbeddedMemory],
        mut room: InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let max = room.max_memories.take();
        for EmbeddedMemory { memory, .. } in batch {
            let entity = memory.entity_id.clone();
            let gone = room.evict.get(&entity).map_or(0, Vec::len) as u64;
            let count = self.inner.entity_stats(&entity).await?.memory_count;
            let count = count.saturating_sub(gone) + batch.len() as u64;
            if let Some(max) = max.filter(|max| count > *max) {
                return Err(MemoryError::LimitReached { entity, count, max });
            }
        }
        yield_now().await;
        self.inner.insert_opts(batch, &room).await
    }

    /// The first of `ids` that the entity does not have.
    async fn unknown(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<Option<MemoryId>> {
        let there = self.inner.get(entity, ids).await?.memories;
        let mut pairs = ids.iter().zip(there);
        Ok(pairs.find(|(_, row)| row.is_none()).map(|(id, _)| *id))
    }

    /// Those of `ids` that are archived.
    pub(super) async fn archived_among(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<MemoryId>> {
        let there = self.inner.get(entity, ids).await?.memories;
        let archived = there.into_iter().flatten();
        let archived = archived.filter(|memory| memory.archived_by.is_some());
        Ok(archived.map(|memory| memory.id).collect())
    }
}
