//! Retaining: validate all, embed what is missing, write in one transaction.

use std::collections::{BTreeMap, HashSet};

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, InvalidInput, Memory, MemoryBatchItem, MemoryError,
    MemoryId, MemoryKind, MemoryResult,
};

use crate::engine::{Engine, EngineInner};
use crate::metrics::kind_label;

impl Engine {
    /// Retains a batch, all or nothing: validates all, embeds what is not
    /// stored or cached in one batch, and writes in one transaction. Returns
    /// the ids, in order.
    pub async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>> {
        let own_ids: Vec<bool> = items.iter().map(|item| item.id.is_some()).collect();
        let now = self.inner.clock.now();
        let memories = validated(items.into_iter().map(|item| item.into_memory(now)))?;
        self.inner.retain_memories(memories, &own_ids).await
    }
}

impl EngineInner {
    /// Retains memories within every limit; those whose id is the caller's own
    /// may be stored already.
    pub(super) async fn retain_memories(
        &self,
        memories: Vec<Memory>,
        own_ids: &[bool],
    ) -> MemoryResult<Vec<MemoryId>> {
        let ids: Vec<MemoryId> = memories.iter().map(|memory| memory.id).collect();
        let missing = self.not_yet_stored(memories, own_ids).await?;
        if missing.is_empty() {
            return Ok(ids);
        }
        let contents: Vec<&str> = missing
            .iter()
            .map(|memory| memory.content.as_str())
            .collect();
        let embeddings = self.embedder.embed_contents(&contents).await?;
        let batch: Vec<EmbeddedMemory> = missing
            .into_iter()
            .zip(embeddings)
            .map(|(memory, embedding)| EmbeddedMemory { memory, embedding })
            .collect();
        let kinds: Vec<MemoryKind> = batch.iter().map(|item| item.memory.kind).collect();
        let inserted = self.inserter.insert(batch).await;
        if inserted.is_ok() {
            memory_metrics::BATCH_RETAIN_COUNT.increment(&[], 1);
            for kind in kinds {
                memory_metrics::RETENTIONS.increment(kind_label(kind), 1);
            }
        }
        match inserted {
            // The caller repeats it with these ids, so that nothing is retained
            // twice.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => Err(error.with_ids(ids)),
            outcome => outcome.map(|()| ids),
        }
    }

    /// Leaves out what is stored already, so that retaining it again costs no
    /// inference. The store decides again in its transaction; this read is for
    /// speed, and to report a conflict early.
    async fn not_yet_stored(
        &self,
        memories: Vec<Memory>,
        own_ids: &[bool],
    ) -> MemoryResult<Vec<Memory>> {
        let mut by_entity: BTreeMap<EntityId, Vec<usize>> = BTreeMap::new();
        for (index, memory) in memories
            .iter()
            .enumerate()
            .filter(|(index, _)| own_ids[*index])
        {
            by_entity
                .entry(memory.entity_id.clone())
                .or_default()
                .push(index);
        }
        let mut stored: HashSet<usize> = HashSet::new();
        for (entity, indices) in by_entity {
            let ids: Vec<MemoryId> = indices.iter().map(|&index| memories[index].id).collect();
            let found = self.store.get(&entity, &ids).await?.memories;
            for (index, found) in indices.into_iter().zip(found) {
                match found {
                    Some(found) if found.content == memories[index].content => {
                        stored.insert(index);
                    }
                    Some(found) => {
                        return Err(MemoryError::Conflict {
                            entity,
                            id: found.id,
                        });
                    }
                    None => {}
                }
            }
        }
        Ok(memories
            .into_iter()
            .enumerate()
            .filter_map(|(index, memory)| (!stored.contains(&index)).then_some(memory))
            .collect())
    }
}

/// The memories of a batch, or its first fault: a memory outside the limits, or
/// an id that one entity has twice.
pub(super) fn validated(
    made: impl ExactSizeIterator<Item = MemoryResult<Memory>>,
) -> MemoryResult<Vec<Memory>> {
    let mut seen: HashSet<(EntityId, MemoryId)> = HashSet::with_capacity(made.len());
    made.enumerate()
        .map(|(index, memory)| {
            let memory = memory.map_err(|error| error.with_item(index))?;
            if !seen.insert((memory.entity_id.clone(), memory.id)) {
                let problem = InvalidInput::DuplicateId { id: memory.id };
                return Err(MemoryError::from(problem).with_item(index));
            }
            Ok(memory)
        })
        .collect()
}
