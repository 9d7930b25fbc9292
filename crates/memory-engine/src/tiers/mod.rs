//! What is held in this process: memory by id, snapshot by entity, vector by text.

mod age;
mod coherence;
mod door;
mod embedding;
mod entity;
mod flight;
#[cfg(test)]
mod interleavings;
mod memory;
mod tally;

use memory_core::{
    CacheBackend, CacheStats, EntityId, Generation, MemoryConfig, MemoryId, RemoveOutcome,
    VectorPrecision,
};

pub(crate) use age::{Demand, Stamp};
pub(crate) use coherence::Coherence;
pub(crate) use door::Door;
pub(crate) use embedding::{EmbeddingTier, Vector};
pub(crate) use entity::{EntityTier, Held};
pub(crate) use memory::{Kept, Loaded, MemoryTier};

use crate::snapshot::Delta;
use coherence::Order;

/// The three tiers, and the coherence of the two that show the store.
pub(crate) struct Tiers {
    pub(crate) memory: MemoryTier,
    pub(crate) entity: EntityTier,
    pub(crate) embedding: EmbeddingTier,
    pub(crate) coherence: Coherence,
    pub(crate) door: Door,
}

/// How many entities the door remembers for each that the entity tier holds.
const DOOR_FACTOR: u64 = 4;

/// The most that the door remembers, whatever the tier holds: half a mebibyte.
const DOOR_MAX: u64 = 65_536;

impl Tiers {
    pub(crate) fn new(
        backend: &impl CacheBackend,
        config: &MemoryConfig,
        precision: VectorPrecision,
    ) -> Self {
        let door = config.entity_cache_capacity().saturating_mul(DOOR_FACTOR);
        Self {
            memory: MemoryTier::new(backend, config),
            entity: EntityTier::new(backend, config, precision),
            embedding: EmbeddingTier::new(backend, config),
            coherence: Coherence::new(),
            door: Door::new(usize::try_from(door.min(DOOR_MAX)).unwrap_or(1)),
        }
    }

    /// Follows a committed write: after this returns no tier shows what was
    /// before it, and no load that began before it will be kept.
    ///
    /// Two writers may follow in the other order than they committed. So a tier
    /// takes a new version only from the write right after the one it knows
    /// of; else memories are dropped, and the snapshot falls behind. The memory
    /// tier takes one only where it is told when the write `began`.
    pub(crate) fn follow(
        &self,
        entity: &EntityId,
        generation: Generation,
        delta: &Delta,
        began: Option<Stamp>,
    ) {
        let step = self.entity.step(entity, generation, delta);
        self.coherence
            .invalidate(entity, Some(generation), |order| {
                let dropped = delta.removed.iter().chain(&delta.unknown);
                dropped.for_each(|id| self.memory.remove(id));
                for written in &delta.written {
                    match (order, began) {
                        (Order::Next, Some(at)) => self.memory.replace(Kept {
                            memory: written.memory.clone(),
                            generation,
                            at,
                        }),
                        _ => self.memory.remove(&written.memory.id),
                    }
                }
                self.entity
                    .advance(entity, generation, step, &delta.removed);
            });
    }

    /// Follows a committed write to `ids` of which no more is known.
    pub(crate) fn written(&self, entity: &EntityId, generation: Generation, ids: &[MemoryId]) {
        self.coherence.invalidate(entity, Some(generation), |_| {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.advance(entity, generation, None, &[]);
        });
    }

    /// Follows a committed removal of `ids` and all that came of it, and leaves
    /// nothing of what is gone in the entity's snapshot either. What is live
    /// again or lost a link is read anew.
    pub(crate) fn removed(&self, entity: &EntityId, ids: &[MemoryId], outcome: &RemoveOutcome) {
        let delta = Delta::from_removal(ids, outcome);
        self.follow(entity, outcome.generation, &delta, None);
    }

    /// Hears of a write, perhaps by another process: what is older is not shown
    /// without asking the store.
    pub(crate) fn heard(&self, entity: &EntityId, generation: Generation) {
        let behind = || self.entity.advance(entity, generation, None, &[]);
        self.coherence
            .hear(entity, generation, behind, || self.memory.clear());
    }

    /// After a write whose outcome is not known: trusts nothing that it could
    /// have changed.
    pub(crate) fn distrust(&self, entity: &EntityId, ids: &[MemoryId]) {
        self.coherence.invalidate(entity, None, |_| {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.remove(entity);
        });
    }

    /// Lets go of an entity's snapshot, whatever its state.
    pub(crate) fn invalidate_entity(&self, entity: &EntityId) {
        self.coherence
            .invalidate(entity, None, |_| self.entity.remove(entity));
    }

    /// Lets go of one memory. Its entity is not named, so loads under way for
    /// any entity are refused.
    pub(crate) fn invalidate_memory(&self, id: &MemoryId) {
        self.coherence.invalidate_all(|| self.memory.remove(id));
    }

    /// Lets go of all that shows the store, as after a time in which others
    /// may have written unheard. Vectors depend on nothing but their text.
    pub(crate) fn clear_shown(&self) {
        self.coherence.invalidate_all(|| {
            self.memory.clear();
            self.entity.clear();
        });
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
