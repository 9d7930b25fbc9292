//! The memory tier: memory by id.

use std::sync::Arc;

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Memory, MemoryConfig, MemoryId, TierStats,
};

use super::coherence::Ticket;
use super::flight::Flights;
use super::tally::Tally;

/// Loads are of one entity at one epoch: whoever asks after a write never
/// joins a load that began before it.
pub(crate) type LoadKey = (Ticket, EntityId, MemoryId);

/// What a load answers: one for each of its keys, in order.
pub(crate) type Loaded = Arc<[Option<Arc<Memory>>]>;

pub(crate) struct MemoryTier<B: CacheBackend> {
    cache: B::Cache<MemoryId, Arc<Memory>>,
    pub(crate) flights: Flights<LoadKey, Loaded>,
    pub(crate) tally: Tally,
}

impl<B: CacheBackend> MemoryTier<B> {
    pub(super) fn new(backend: &B, config: &MemoryConfig) -> Self {
        let policy = CachePolicy::new(
            config.cache_max_capacity,
            config.memory_cache_max_bytes,
            |_: &MemoryId, memory: &Arc<Memory>| memory.size_bytes() as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: backend.build(policy),
            flights: Flights::new(),
            tally: Tally::default(),
        }
    }

    /// The memory, if it is held and is this entity's. Two entities may bear
    /// the same id, each its own memory.
    #[inline]
    pub(crate) fn get(&self, entity: &EntityId, id: &MemoryId) -> Option<Arc<Memory>> {
        let found = self
            .cache
            .get(id)
            .filter(|memory| memory.entity_id == *entity);
        match found {
            Some(_) => self.tally.hit(),
            None => self.tally.miss(),
        }
        found
    }

    /// Holds what was loaded. Only for [`super::Coherence::publish`] to call.
    pub(crate) fn fill(&self, memory: &Arc<Memory>) {
        self.cache.insert(memory.id, Arc::clone(memory));
    }

    pub(super) fn remove(&self, id: &MemoryId) {
        self.tally.invalidation();
        self.cache.remove(id);
    }

    pub(super) fn clear(&self) {
        self.tally.invalidation();
        self.cache.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.tally.stats(&self.cache)
    }
}
