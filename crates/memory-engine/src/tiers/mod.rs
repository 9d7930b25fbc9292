//! What is held in this process: memory by id, snapshot by entity, vector by text.

mod coherence;
mod embedding;
mod entity;
mod flight;
mod memory;
mod tally;

use memory_core::{CacheBackend, CacheStats, EntityId, Generation, MemoryConfig, MemoryId};

pub(crate) use coherence::Coherence;
pub(crate) use embedding::{EmbeddingTier, Vector};
pub(crate) use entity::EntityTier;
pub(crate) use memory::{Loaded, MemoryTier};

/// The three tiers, and the coherence of the two that show the store.
pub(crate) struct Tiers<B: CacheBackend> {
    pub(crate) memory: MemoryTier<B>,
    pub(crate) entity: EntityTier<B>,
    pub(crate) embedding: EmbeddingTier<B>,
    pub(crate) coherence: Coherence,
}

impl<B: CacheBackend> Tiers<B> {
    pub(crate) fn new(backend: &B, config: &MemoryConfig) -> Self {
        Self {
            memory: MemoryTier::new(backend, config),
            entity: EntityTier::new(backend, config),
            embedding: EmbeddingTier::new(backend, config),
            coherence: Coherence::new(),
        }
    }

    /// Follows a committed write to `ids` of an entity: after this returns no
    /// tier shows what was before it, and no load that began before it will be
    /// kept.
    ///
    /// Memories are dropped and not replaced: two writers may follow in the
    /// other order than they committed.
    pub(crate) fn written(&self, entity: &EntityId, generation: Generation, ids: &[MemoryId]) {
        self.coherence.invalidate(entity, Some(generation), || {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.fall_behind(entity, generation);
        });
    }

    /// Follows a committed removal of `ids`, as [`written`](Self::written),
    /// and leaves nothing of them in the entity's snapshot either.
    pub(crate) fn removed(&self, entity: &EntityId, generation: Generation, ids: &[MemoryId]) {
        self.coherence.invalidate(entity, Some(generation), || {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.shed(entity, generation, ids);
        });
    }

    /// After a write whose outcome is not known: trusts nothing that it could
    /// have changed.
    pub(crate) fn distrust(&self, entity: &EntityId, ids: &[MemoryId]) {
        self.coherence.invalidate(entity, None, || {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.remove(entity);
        });
    }

    /// Lets go of an entity's snapshot, whatever its state.
    pub(crate) fn invalidate_entity(&self, entity: &EntityId) {
        self.coherence
            .invalidate(entity, None, || self.entity.remove(entity));
    }

    /// Lets go of one memory. Its entity is not named, so loads under way for
    /// any entity are refused.
    pub(crate) fn invalidate_memory(&self, id: &MemoryId) {
        self.coherence.invalidate_all(|| self.memory.remove(id));
    }

    /// Lets go of everything.
    pub(crate) fn clear(&self) {
        self.coherence.invalidate_all(|| {
            self.memory.clear();
            self.entity.clear();
            self.embedding.clear();
        });
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            memory: self.memory.stats(),
            entity: self.entity.stats(),
            embedding: self.embedding.stats(),
        }
    }
}
