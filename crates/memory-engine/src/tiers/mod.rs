//! The three tiers: memory by id, snapshot by entity, vector by text hash.

mod admission;
mod coherence;
mod counters;
mod embedding;
mod entity;
mod freshness;
#[cfg(test)]
mod loom_tests;
mod memory;
mod pages;
pub(crate) mod shared;
mod single_flight;
mod verified;

use std::sync::Arc;

use memory_core::{
    CacheBackend, CacheStats, EntityId, Generation, MemoryConfig, MemoryId, VectorPrecision,
};

pub(crate) use admission::AdmissionFilter;
pub(crate) use coherence::{Coherence, LoadToken};
pub(crate) use embedding::{EmbeddedText, EmbeddingTier, infer, unknown_share};
pub(crate) use entity::{CachedSnapshot, EntityTier, LoadedSnapshot};
pub(crate) use freshness::{Freshness, ReadInstant, UnchangedSince};
pub(crate) use memory::{CachedMemory, LoadedMemories, MemoryTier};
pub(crate) use pages::CachedPage;
pub(crate) use single_flight::SharedLoad;
pub(crate) use verified::Verified;

use crate::snapshot::Delta;
use coherence::{TrustToken, WriteOrder};
use entity::SnapshotUpdate;
use shared::SharedVectors;

/// The three tiers, and the coherence of the two that mirror the store.
pub(crate) struct Tiers {
    pub(crate) memory: MemoryTier,
    pub(crate) entity: EntityTier,
    pub(crate) embedding: EmbeddingTier,
    pub(crate) coherence: Coherence,
    pub(crate) admission: AdmissionFilter,
}

/// A committed write to one entity.
#[derive(Debug)]
pub(crate) struct CommittedWrite {
    pub(crate) entity: EntityId,
    pub(crate) generation: Generation,
    pub(crate) delta: Arc<Delta>,
    /// When the write began; the memory tier takes new versions only where it
    /// is known.
    pub(crate) began: Option<ReadInstant>,
}

impl CommittedWrite {
    pub(crate) fn new(entity: EntityId, generation: Generation, delta: Delta) -> Self {
        Self {
            entity,
            generation,
            delta: Arc::new(delta),
            began: None,
        }
    }

    /// Sets when the write began.
    pub(crate) fn began(mut self, began: ReadInstant) -> Self {
        self.began = Some(began);
        self
    }
}

/// Entities that the admission filter remembers for each that the entity tier
/// holds.
const ADMISSION_FACTOR: u64 = 4;

/// Maximum number of entities that the admission filter remembers, whatever the entity tier
/// holds: half a mebibyte.
const ADMISSION_MAX: u64 = 65_536;

impl Tiers {
    pub(crate) fn new(
        backend: &impl CacheBackend,
        config: &MemoryConfig,
        precision: VectorPrecision,
        shared: Option<SharedVectors>,
    ) -> Self {
        let remembered = config
            .entity_cache_capacity()
            .saturating_mul(ADMISSION_FACTOR);
        Self {
            memory: MemoryTier::new(backend, config),
            entity: EntityTier::new(backend, config, precision),
            embedding: EmbeddingTier::new(backend, config, shared),
            coherence: Coherence::new(),
            admission: AdmissionFilter::new(
                usize::try_from(remembered.min(ADMISSION_MAX)).unwrap_or(1),
            ),
        }
    }

    /// Applies a committed write. From its first poll on, no tier returns a value
    /// from before the write, and no load that began before it will be cached.
    ///
    /// What grows with the entity is done afterward, on a blocking thread and
    /// without a lock; until then the entity's snapshot is outdated.
    pub(crate) async fn apply_write(&self, write: &CommittedWrite) {
        let CommittedWrite {
            entity,
            generation,
            delta,
            ..
        } = write;
        let update = self.entity.prepare_update(entity, *generation, delta);
        self.publish_write(write, &update);
        if let SnapshotUpdate::Deferred { from } = update {
            let update = self.entity.compute_update(from, *generation, delta).await;
            self.coherence.with_lock(entity, || {
                let tier = &self.entity;
                tier.complete_update(entity, *generation, &update, delta);
            });
        }
    }

    /// Two writes may be applied in another order than they were committed. So
    /// a tier takes a new version only from the write directly after the last
    /// one it knows of; otherwise memories are dropped, and the snapshot is
    /// outdated.
    fn publish_write(&self, write: &CommittedWrite, update: &SnapshotUpdate) {
        let CommittedWrite {
            entity,
            generation,
            delta,
            began,
        } = write;
        let coherence = &self.coherence;
        coherence.invalidate(entity, Some(*generation), |order, trust| {
            let dropped = delta.removed.iter().chain(&delta.unknown);
            dropped.for_each(|id| self.memory.remove(id));
            for written in &delta.written {
                match (order, began) {
                    (WriteOrder::Next, Some(began)) => self.memory.replace(CachedMemory {
                        memory: Arc::clone(&written.memory),
                        generation: *generation,
                        verified: *began,
                        trust,
                    }),
                    _ => self.memory.remove(&written.memory.id),
                }
            }
            self.entity.apply_update(entity, *generation, update, delta);
        });
    }

    /// Applies a change event, perhaps of another process: nothing older is
    /// used without asking the store.
    pub(crate) fn on_remote_write(&self, entity: &EntityId, generation: Generation) {
        self.coherence.observe_remote(
            entity,
            generation,
            || self.entity.mark_outdated(entity, generation),
            || self.memory.clear(),
        );
    }

    /// After a write of unknown outcome: drops or invalidates everything of the
    /// entity, as the write may have changed more than the `ids` it was asked
    /// for.
    pub(crate) fn invalidate_uncertain(&self, entity: &EntityId, ids: &[MemoryId]) {
        self.coherence.invalidate_trust(entity, || {
            ids.iter().for_each(|id| self.memory.remove(id));
            self.entity.remove(entity);
        });
    }

    /// Drops the memories of an entity whose access counts were written, and the
    /// pages of its lists: neither its generation nor the change marker of the
    /// writer's handle tells of that write.
    pub(crate) fn invalidate_access_counts(
        &self,
        entity: &EntityId,
        ids: impl IntoIterator<Item = MemoryId>,
    ) {
        self.coherence.invalidate(entity, None, |_, _: TrustToken| {
            ids.into_iter().for_each(|id| self.memory.remove(&id));
            self.entity.pages.remove(entity);
        });
    }

    /// Drops an entity's snapshot, whatever its state.
    pub(crate) fn invalidate_entity(&self, entity: &EntityId) {
        self.coherence
            .discard(entity, || self.entity.remove(entity));
    }

    /// Drops one memory. Its entity is not known, so loads in progress of any
    /// entity are refused.
    pub(crate) fn invalidate_memory(&self, id: &MemoryId) {
        self.coherence.invalidate_all(|| self.memory.remove(id));
    }

    /// Drops everything that mirrors the store, as after a time in which other
    /// processes' writes may have been missed. Vectors depend on nothing but
    /// their text.
    pub(crate) fn clear_store_backed(&self) {
        self.coherence.discard_all(|| {
            self.memory.clear();
            self.entity.clear();
        });
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        self.clear_store_backed();
        self.embedding.clear();
    }

    /// Ends what goes on in the background and closes the shared cache, where there is one.
    pub(crate) async fn close(&self) {
        if let Some(shared) = self.embedding.shared_tier() {
            shared.close().await;
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats::new(
            self.memory.stats(),
            self.entity.stats(),
            self.embedding.stats(),
        )
    }
}
