//! Retaining: validate all, embed what has no vector, write in one transaction.

use std::collections::{BTreeMap, HashSet};

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, ErrorKind, InvalidInput, Memory, MemoryBatchItem,
    MemoryError, MemoryId, MemoryKind, MemoryResult,
};

use crate::engine::{Engine, EngineInner};
use crate::metrics::kind_label;

impl Engine {
    /// Retains a batch, all or nothing: validates all, embeds what is not
    /// stored or cached in one batch, and writes in one transaction. Returns
    /// the ids, in order.
    pub async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>> {
        self.inner.reader.check_open("retain")?;
        let now = self.inner.clock.now();
        let memories = validated(items.into_iter().map(|mut item| {
            let embedding = item.embedding.take();
            Ok(NewMemory {
                is_own_id: item.id.is_some(),
                memory: item.into_memory(now)?,
                embedding: self.inner.given_content(embedding)?,
            })
        }))?;
        self.inner.retain_memories(memories).await
    }
}

/// A memory to retain.
pub(super) struct NewMemory {
    pub(super) memory: Memory,
    /// The caller's vector, where one was given.
    pub(super) embedding: Option<Embedding>,
    /// Whether the id is the caller's own, so that it may be stored already.
    pub(super) is_own_id: bool,
}

impl EngineInner {
    /// The embedding of a vector that a caller gave, if one was given.
    pub(super) fn given_content(
        &self,
        vector: Option<Vec<f32>>,
    ) -> MemoryResult<Option<Embedding>> {
        let given = vector.map(|vector| self.embedder.given_content(vector));
        given.transpose()
    }

    /// Retains memories within every limit.
    pub(super) async fn retain_memories(
        &self,
        memories: Vec<NewMemory>,
    ) -> MemoryResult<Vec<MemoryId>> {
        let ids: Vec<MemoryId> = memories.iter().map(|new| new.memory.id).collect();
        let missing = self.not_yet_stored(memories).await?;
        if missing.is_empty() {
            return Ok(ids);
        }
        let batch = self.embedded(missing).await?;
        let kinds: Vec<MemoryKind> = batch.iter().map(|item| item.memory.kind).collect();
        let inserted = self.inserter.insert(batch).await;
        if inserted.is_ok() {
            count_retained(kinds);
        }
        match inserted {
            // The caller repeats it with these ids, so that nothing is retained
            // twice.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => Err(error.with_ids(ids)),
            outcome => outcome.map(|()| ids),
        }
    }

    /// The memories with their vectors: the given ones, and those of the embedder
    /// for the others, in one batch.
    pub(super) async fn embedded(
        &self,
        memories: Vec<NewMemory>,
    ) -> MemoryResult<Vec<EmbeddedMemory>> {
        let contents: Vec<&str> = memories
            .iter()
            .filter(|new| new.embedding.is_none())
            .map(|new| new.memory.content.as_str())
            .collect();
        let mut computed = self.embedder.embed_contents(&contents).await?.into_iter();
        // One for each memory without a given one.
        let embedded = memories.into_iter().filter_map(|new| {
            let embedding = new.embedding.or_else(|| computed.next())?;
            Some(EmbeddedMemory {
                memory: new.memory,
                embedding,
            })
        });
        Ok(embedded.collect())
    }

    /// Leaves out what is stored already, so that retaining it again costs no
    /// inference. The store decides again in its transaction; this read is for
    /// speed, and to report a conflict early.
    async fn not_yet_stored(&self, memories: Vec<NewMemory>) -> MemoryResult<Vec<NewMemory>> {
        let mut by_entity: BTreeMap<EntityId, Vec<usize>> = BTreeMap::new();
        for (index, new) in memories.iter().enumerate().filter(|(_, new)| new.is_own_id) {
            by_entity
                .entry(new.memory.entity_id.clone())
                .or_default()
                .push(index);
        }
        let mut stored: HashSet<usize> = HashSet::new();
        for (entity, indices) in by_entity {
            let ids: Vec<MemoryId> = indices
                .iter()
                .map(|&index| memories[index].memory.id)
                .collect();
            let found = self.store.get(&entity, &ids).await?.memories;
            for (index, found) in indices.into_iter().zip(found) {
                match found {
                    Some(found) if found.content == memories[index].memory.content => {
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

/// Counts the memories of a batch that was written.
pub(super) fn count_retained(kinds: Vec<MemoryKind>) {
    memory_metrics::BATCH_RETAIN_COUNT.increment(&[], 1);
    for kind in kinds {
        memory_metrics::RETENTIONS.increment(kind_label(kind), 1);
    }
}

/// The memories of a batch, or its first fault: a memory outside the limits, or
/// an id that one entity has twice.
pub(super) fn validated(
    made: impl ExactSizeIterator<Item = MemoryResult<NewMemory>>,
) -> MemoryResult<Vec<NewMemory>> {
    let mut seen: HashSet<(EntityId, MemoryId)> = HashSet::with_capacity(made.len());
    made.enumerate()
        .map(|(index, new)| {
            let new = new.map_err(|error| error.with_item(index))?;
            let memory = &new.memory;
            if !seen.insert((memory.entity_id.clone(), memory.id)) {
                let problem = InvalidInput::DuplicateId { id: memory.id };
                return Err(MemoryError::from(problem).with_item(index));
            }
            Ok(new)
        })
        .collect()
}
