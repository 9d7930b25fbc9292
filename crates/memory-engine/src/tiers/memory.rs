//! The memory tier: memory by id.

use std::sync::Arc;

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, Memory, MemoryConfig, MemoryId,
    TierStats,
};

use super::age::Stamp;
use super::coherence::Ticket;
use super::flight::Flights;
use super::tally::Tally;

/// Loads are of one entity at one epoch: whoever asks after a write never
/// joins a load that began before it.
pub(crate) type LoadKey = (Ticket, EntityId, MemoryId);

/// What a load answers: when it began, and one for each of its keys, in order.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) began: Stamp,
    pub(crate) memories: Arc<[Option<Arc<Memory>>]>,
}

/// A memory, and when it was so.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) memory: Arc<Memory>,
    /// The entity's generation when it was so.
    pub(crate) generation: Generation,
    /// Before it was read, or written.
    pub(crate) at: Stamp,
}

/// What an entry costs beside its memory: its key, itself, and the counts of
/// its shared pointer.
const KEPT_BYTES: usize = size_of::<MemoryId>() + size_of::<Kept>() + 2 * size_of::<usize>();

pub(crate) struct MemoryTier {
    cache: Box<dyn Cache<MemoryId, Kept>>,
    pub(crate) flights: Flights<LoadKey, Loaded>,
    pub(crate) tally: Tally,
}

impl MemoryTier {
    pub(super) fn new(backend: &impl CacheBackend, config: &MemoryConfig) -> Self {
        let policy = CachePolicy::new(
            config.cache_max_capacity,
            config.memory_cache_max_bytes,
            |_: &MemoryId, kept: &Kept| (KEPT_BYTES + kept.memory.size_bytes()) as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            flights: Flights::new(),
            tally: Tally::default(),
        }
    }

    /// The memory, if it is held, is this entity's and will do. Two entities
    /// may bear the same id, each its own memory.
    #[inline]
    pub(crate) fn get(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        will_do: impl FnOnce(&Kept) -> bool,
    ) -> Option<Arc<Memory>> {
        let found = self
            .cache
            .get(id)
            .filter(|kept| kept.memory.entity_id == *entity && will_do(kept));
        match found {
            Some(_) => self.tally.hit(),
            None => self.tally.miss(),
        }
        found.map(|kept| kept.memory)
    }

    /// Holds what was loaded. Only for [`super::Coherence::publish`] to call.
    pub(crate) fn fill(&self, kept: Kept) {
        self.cache.insert(kept.memory.id, kept);
    }

    /// Holds a new version in place of the older one that is held; nothing
    /// where none is, as nobody asked for it, or where a newer one is, as two
    /// writers may follow in the other order than they committed.
    pub(super) fn replace(&self, kept: Kept) {
        self.tally.invalidation();
        let id = kept.memory.id;
        match self.cache.get(&id) {
            Some(held)
                if held.memory.entity_id == kept.memory.entity_id
                    && held.generation < kept.generation =>
            {
                self.cache.insert(id, kept);
            }
            _ => self.cache.remove(&id),
        }
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
        self.tally.stats(&[&*self.cache])
    }
}
