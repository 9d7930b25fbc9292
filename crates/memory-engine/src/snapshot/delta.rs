//! What a write did, as far as its writer knows.

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, InsertOutcome, Memory, MemoryId, RemoveOutcome,
    VectorPrecision,
};

/// More memories than this are indexed on a blocking thread: stemming takes
/// some ten microseconds a memory, and an async worker is not to be held up
/// for milliseconds.
pub(crate) const INLINE_MEMORIES: usize = 100;

/// All that one write did to an entity.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// Memories as they now stand.
    pub(crate) written: Vec<Written>,
    /// Memories that are gone.
    pub(crate) removed: Vec<MemoryId>,
    /// Other memories that changed; how, only the store knows.
    pub(crate) unknown: Vec<MemoryId>,
}

/// A memory as it now stands.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) memory: Arc<Memory>,
    /// `None` where they are what they were.
    pub(crate) vectors: Option<Vec<Vec<f32>>>,
}

impl Delta {
    /// Something happened to these, and only the store knows what.
    pub(crate) fn unknown(ids: impl IntoIterator<Item = MemoryId>) -> Self {
        Self {
            unknown: ids.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What an insert did to one entity of its `batch`.
    pub(crate) fn inserted(
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
        // Where nothing was inserted, the generation is another write's.
        if new.is_empty() || new.len() > INLINE_MEMORIES {
            return Self::unknown(own.map(|(prepared, _)| prepared.memory.id));
        }
        let written = new.into_iter().map(|prepared| Written {
            memory: Arc::new(Memory {
                archived_by: None,
                ..prepared.memory.clone()
            }),
            vectors: Some(prepared.embedding.vectors.clone()),
        });
        let evicted = outcome.evicted.get(entity);
        Self {
            written: written.collect(),
            ..evicted
                .map(|evicted| Self::removed(&[], evicted))
                .unwrap_or_default()
        }
    }

    /// What an update did: to the vectors only where there is an `embedding`.
    pub(crate) fn altered(
        memory: Arc<Memory>,
        embedding: Option<Embedding>,
        changed: bool,
    ) -> Self {
        // Where nothing was changed, the generation is another write's.
        let unknown = (!changed).then_some(memory.id).into_iter().collect();
        let vectors = embedding.map(|embedding| embedding.vectors);
        Self {
            written: vec![Written { memory, vectors }],
            unknown,
            ..Self::default()
        }
    }

    /// What a removal of `ids` did.
    pub(crate) fn removed(ids: &[MemoryId], outcome: &RemoveOutcome) -> Self {
        let others = outcome.restored.iter().chain(&outcome.unlinked);
        let mut removed = outcome.removed.clone();
        removed.extend(ids);
        // Where nothing was removed, the generation may be another write's.
        let nothing: &[MemoryId] = if outcome.removed.is_empty() { ids } else { &[] };
        Self {
            removed,
            unknown: others.chain(nothing).copied().collect(),
            ..Self::default()
        }
    }

    /// Whether a snapshot can follow it, at once and without the store.
    pub(super) fn is_light(&self) -> bool {
        self.unknown.is_empty() && self.written.len() + self.removed.len() <= INLINE_MEMORIES
    }
}

/// Vectors as a store of this precision gives them back; `None` for a
/// precision that is not known here.
pub(super) fn given_back(
    vectors: &[Vec<f32>],
    precision: VectorPrecision,
) -> Option<Vec<Vec<f32>>> {
    match precision {
        VectorPrecision::Single => Some(vectors.to_vec()),
        VectorPrecision::Half => {
            let halved = |x: &f32| half::f16::from_f32(*x).to_f32();
            let vectors = vectors.iter();
            Some(
                vectors
                    .map(|vector| vector.iter().map(halved).collect())
                    .collect(),
            )
        }
        _ => None,
    }
}
