//! The entity tier: snapshot by entity.

use std::sync::Arc;

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, MemoryConfig, MemoryId, TierStats,
};

use super::coherence::Ticket;
use super::flight::Flights;
use super::tally::Tally;
use crate::snapshot::EntitySnapshot;

pub(crate) struct EntityTier<B: CacheBackend> {
    cache: B::Cache<EntityId, Held>,
    pub(crate) flights: Flights<(Ticket, EntityId), Arc<EntitySnapshot>>,
    pub(crate) tally: Tally,
}

/// A snapshot, and whether the entity was written to since it was taken. One
/// that has fallen behind is kept, because catching up costs what changed and
/// loading anew costs what exists.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) snapshot: Arc<EntitySnapshot>,
    pub(crate) behind: bool,
}

impl<B: CacheBackend> EntityTier<B> {
    pub(super) fn new(backend: &B, config: &MemoryConfig) -> Self {
        let policy = CachePolicy::new(
            config.entity_cache_capacity(),
            config.entity_cache_max_bytes,
            |_: &EntityId, held: &Held| held.snapshot.size_bytes() as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: backend.build(policy),
            flights: Flights::new(),
            tally: Tally::default(),
        }
    }

    /// What is held of the entity; a hit only when it has not fallen behind.
    pub(crate) fn get(&self, entity: &EntityId) -> Option<Held> {
        let held = self.cache.get(entity);
        match &held {
            Some(held) if !held.behind => self.tally.hit(),
            _ => self.tally.miss(),
        }
        held
    }

    /// Holds what was loaded. Only for [`super::Coherence::publish`] to call.
    pub(crate) fn fill(&self, snapshot: &Arc<EntitySnapshot>) {
        let held = Held {
            snapshot: Arc::clone(snapshot),
            behind: false,
        };
        self.cache.insert(snapshot.entity().clone(), held);
    }

    /// Marks what is held as older than `generation`, unless it was loaded
    /// after that write.
    pub(super) fn fall_behind(&self, entity: &EntityId, generation: Generation) {
        if let Some(held) = self.cache.get(entity)
            && held.snapshot.generation() < generation
        {
            self.tally.invalidation();
            self.cache.insert(
                entity.clone(),
                Held {
                    behind: true,
                    ..held
                },
            );
        }
    }

    /// Takes removed memories out of what is held, which otherwise falls
    /// behind like after any write. Copies the snapshot: O(its size).
    pub(super) fn shed(&self, entity: &EntityId, generation: Generation, ids: &[MemoryId]) {
        if let Some(held) = self.cache.get(entity)
            && held.snapshot.generation() < generation
        {
            self.tally.invalidation();
            let snapshot = Arc::new(held.snapshot.without(ids));
            self.cache.insert(
                entity.clone(),
                Held {
                    snapshot,
                    behind: true,
                },
            );
        }
    }

    pub(crate) fn remove(&self, entity: &EntityId) {
        self.tally.invalidation();
        self.cache.remove(entity);
    }

    pub(super) fn clear(&self) {
        self.tally.invalidation();
        self.cache.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.tally.stats(&self.cache)
    }
}
