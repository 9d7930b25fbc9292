//! Links between the memories of an entity.

use std::sync::Arc;

use memory_core::limits::MAX_LIMIT;
use memory_core::{
    EntityId, ListRequest, Memory, MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineInner};
use crate::store_scan::{not_found, stored_memory};
use crate::writer::run_to_end;

/// Direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkDirection {
    /// From the memory in question to the other.
    Outgoing,
    /// From the other to the memory in question.
    Incoming,
}

/// A memory that is linked to the memory in question.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RelatedMemory {
    /// The memory at the other end.
    pub memory: Arc<Memory>,
    /// The kind of the relation.
    pub relation: String,
    /// Which of the two holds the link.
    pub direction: LinkDirection,
}

impl Engine {
    /// Links `from` to `to`, or gives the link another relation. Begun, it runs to its end,
    /// also where the caller is dropped.
    pub async fn relate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
        relation: &str,
    ) -> MemoryResult<()> {
        entity.validate()?;
        let patch = MemoryPatch::new().relate(*to, relation);
        patch.validate_for(from)?;
        self.inner.require_both(entity, from, to).await?;
        let (engine, entity, from, to) = (self.clone(), entity.clone(), *from, *to);
        run_to_end("relate", async move {
            engine.alter_memory(&entity, &from, &patch).await?;
            // Deleted meanwhile: no link to it stays. Other failures of this read say nothing
            // of the link, which was written.
            let linked = stored_memory(&*engine.inner.store, &entity, &to).await;
            if let Err(error @ MemoryError::NotFound { .. }) = linked {
                engine.unrelate(&entity, &from, &to).await.ok();
                return Err(error);
            }
            Ok(())
        })
        .await
    }

    /// Drops the link from `from` to `to`; where there is none, nothing is
    /// written.
    pub async fn unrelate(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
    ) -> MemoryResult<()> {
        let memory = stored_memory(&*self.inner.store, entity, from).await?;
        if memory.related.contains_key(to) {
            let patch = MemoryPatch::new().unrelate(*to);
            self.alter_memory(entity, from, &patch).await?;
        }
        Ok(())
    }

    /// What a memory links to, then what links to it (newest first, at most
    /// [`MAX_LIMIT`]). Links to what is gone are passed over.
    pub async fn related(
        &self,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Vec<RelatedMemory>> {
        let store = &*self.inner.store;
        let memory = stored_memory(store, entity, id).await?;
        let ids: Vec<MemoryId> = memory.related.keys().copied().collect();
        let linked = self.get_memories(entity, &ids).await?;
        let outgoing = linked.into_iter().zip(memory.related.values());
        let mut related: Vec<RelatedMemory> = outgoing
            .filter_map(|(memory, relation)| {
                Some(RelatedMemory {
                    memory: memory?,
                    relation: relation.clone(),
                    direction: LinkDirection::Outgoing,
                })
            })
            .collect();
        let filter = MemoryFilter::new().relates_to(*id);
        let request = ListRequest::new(MAX_LIMIT).filter(filter);
        let incoming = store.list(entity, &request).await?.memories;
        related.extend(incoming.into_iter().filter_map(|memory| {
            Some(RelatedMemory {
                relation: memory.related.get(id)?.clone(),
                memory: Arc::new(memory),
                direction: LinkDirection::Incoming,
            })
        }));
        Ok(related)
    }
}

impl EngineInner {
    async fn require_both(
        &self,
        entity: &EntityId,
        from: &MemoryId,
        to: &MemoryId,
    ) -> MemoryResult<()> {
        let found = self.store.get(entity, &[*from, *to]).await?.memories;
        for (id, found) in [from, to].into_iter().zip(found) {
            if found.is_none() {
                return Err(not_found(entity, id));
            }
        }
        Ok(())
    }
}
