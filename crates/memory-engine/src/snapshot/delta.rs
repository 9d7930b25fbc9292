//! Deltas: the effects of a write, as far as its writer knows them.

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, InsertOutcome, Memory, MemoryId, RemoveOutcome,
    VectorPrecision,
};

/// More memories than this are indexed on a blocking thread: stemming takes
/// some ten microseconds per memory, and an async worker must not be blocked
/// for milliseconds.
const INLINE_MEMORIES: usize = 100;

/// So are more bytes of text than this: about a hundred texts of a hundred words.
const INLINE_BYTES: usize = 64 << 10;

/// Whether so many memories and bytes of text are indexed on an async worker.
pub(crate) const fn is_quick(memories: usize, bytes: usize) -> bool {
    memories <= INLINE_MEMORIES && bytes <= INLINE_BYTES
}

/// The effects of one write on an entity.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// Memories in their new state.
    pub(crate) written: Vec<WrittenMemory>,
    /// Memories that were removed.
    pub(crate) removed: Vec<MemoryId>,
    /// Other memories that changed in a way that only the store knows.
    pub(crate) unknown: Vec<MemoryId>,
}

/// A memory in its new state.
#[derive(Debug)]
pub(crate) struct WrittenMemory {
    pub(crate) memory: Arc<Memory>,
    /// `None` where the vectors did not change.
    pub(crate) vectors: Option<Vec<Vec<f32>>>,
}

impl Delta {
    /// These memories changed in a way that only the store knows.
    pub(crate) fn unknown(ids: impl IntoIterator<Item = MemoryId>) -> Self {
        Self {
            unknown: ids.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The effects of an insert on one entity of its `batch`.
    pub(crate) fn from_insert(
        batch: &[EmbeddedMemory],
        entity: &EntityId,
        outcome: &InsertOutcome,
    ) -> Self {
        let own = batch
            .iter()
            .zip(&outcome.inserted)
            .filter(|(prepared, _)| prepared.memory.entity_id == *entity);
        let new: Vec<&EmbeddedMemory> = own
            .clone()
            .filter_map(|(prepared, inserted)| inserted.then_some(prepared))
            .collect();
        let evicted = outcome.evicted.get(entity);
        let mut delta = evicted
            .map(|evicted| Self::from_removal(&[], evicted))
            .unwrap_or_default();
        // If nothing was inserted, the generation is another write's.
        if new.is_empty() || new.len() > INLINE_MEMORIES {
            let ids = own.map(|(prepared, _)| prepared.memory.id);
            delta.unknown.extend(ids);
            return delta;
        }
        let written = new.into_iter().map(|prepared| WrittenMemory {
            memory: Arc::new(Memory {
                archived_by: None,
                ..prepared.memory.clone()
            }),
            vectors: Some(prepared.embedding.vectors.clone()),
        });
        delta.written = written.collect();
        delta
    }

    /// The effects of an update; the vectors changed if there is an `embedding`.
    pub(crate) fn from_update(
        memory: Arc<Memory>,
        embedding: Option<Embedding>,
        changed: bool,
    ) -> Self {
        // If nothing changed, the generation is another write's.
        let unknown = (!changed).then_some(memory.id).into_iter().collect();
        let vectors = embedding.map(|embedding| embedding.vectors);
        Self {
            written: vec![WrittenMemory { memory, vectors }],
            unknown,
            ..Self::default()
        }
    }

    /// The effects of a removal of `ids`.
    pub(crate) fn from_removal(ids: &[MemoryId], outcome: &RemoveOutcome) -> Self {
        let others = outcome.restored.iter().chain(&outcome.unlinked);
        let mut removed = outcome.removed.clone();
        removed.extend(ids);
        // If nothing was removed, the generation may be another write's.
        let nothing: &[MemoryId] = if outcome.removed.is_empty() { ids } else { &[] };
        Self {
            removed,
            unknown: others.chain(nothing).copied().collect(),
            ..Self::default()
        }
    }

    /// Whether it takes little time to apply to a snapshot of so many memories.
    pub(crate) fn is_quick(&self, memories: usize) -> bool {
        let written = self.written.iter();
        let bytes = written.map(|written| written.memory.content.len()).sum();
        is_quick(memories.max(self.removed.len()), bytes)
    }

    /// Whether it can be applied to a snapshot without the store and on an async
    /// worker.
    pub(super) fn can_apply_inline(&self) -> bool {
        self.unknown.is_empty() && self.written.len() + self.removed.len() <= INLINE_MEMORIES
    }
}

/// Rounds vectors as a store of this precision does; `None` for an unknown
/// precision.
pub(super) fn round_to_store_precision(
    vectors: &[Vec<f32>],
    precision: VectorPrecision,
) -> Option<Vec<Vec<f32>>> {
    match precision {
        VectorPrecision::Single => Some(vectors.to_vec()),
        VectorPrecision::Half => {
            let to_half = |x: &f32| half::f16::from_f32(*x).to_f32();
            let vectors = vectors.iter();
            Some(
                vectors
                    .map(|vector| vector.iter().map(to_half).collect())
                    .collect(),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use memory_testkit::{SeededRng, fixtures};

    use super::*;

    #[test]
    fn long_texts_are_not_quick_to_index_however_few_they_are() {
        let mut rng = SeededRng::new(1);
        let mut written = |length: usize| {
            let text = "x".repeat(length);
            let item = fixtures::plain(&EntityId::from("mira"), &text, &mut rng);
            WrittenMemory {
                memory: Arc::new(item.memory),
                vectors: None,
            }
        };
        let mut delta = Delta::default();
        delta.written.push(written(INLINE_BYTES));
        assert!(delta.is_quick(INLINE_MEMORIES) && !delta.is_quick(INLINE_MEMORIES + 1));
        delta.written.push(written(1));
        assert!(!delta.is_quick(1));
    }
}
