//! The memory tier: memory by id.

use std::sync::Arc;

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, Memory, MemoryConfig, MemoryId,
    TierStats,
};

use super::coherence::{LoadToken, TrustToken};
use super::counters::{TierCounters, Totals};
use super::freshness::ReadInstant;
use super::single_flight::SingleFlight;

/// Loads are of one entity at one epoch: a caller never joins a load that
/// began before a write that the caller has to see.
pub(crate) type LoadKey = (LoadToken, EntityId, MemoryId);

/// The result of a load: when it began, and one entry per key, in order.
#[derive(Clone)]
pub(crate) struct LoadedMemories {
    pub(crate) began: ReadInstant,
    pub(crate) memories: Arc<[Option<Arc<Memory>>]>,
}

/// A memory, and when the store held it so.
#[derive(Clone)]
pub(crate) struct CachedMemory {
    pub(crate) memory: Arc<Memory>,
    /// The entity's generation at that time.
    pub(crate) generation: Generation,
    /// Before it was read or written.
    pub(crate) verified: ReadInstant,
    pub(crate) trust: TrustToken,
}

/// What an entry costs in addition to its memory: its key, itself, and the
/// counts of its shared pointer.
const ENTRY_BYTES: usize =
    size_of::<MemoryId>() + size_of::<CachedMemory>() + 2 * size_of::<usize>();

pub(crate) struct MemoryTier {
    cache: Box<dyn Cache<MemoryId, CachedMemory>>,
    pub(crate) loads: SingleFlight<LoadKey, LoadedMemories>,
    pub(crate) counters: TierCounters,
}

impl MemoryTier {
    pub(super) fn new(backend: &impl CacheBackend, config: &MemoryConfig) -> Self {
        let policy = CachePolicy::new(
            config.cache_max_capacity,
            config.memory_cache_max_bytes,
            |_: &MemoryId, cached: &CachedMemory| (ENTRY_BYTES + cached.memory.size_bytes()) as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            loads: SingleFlight::new(),
            counters: TierCounters::default(),
        }
    }

    /// The memory, if it is cached, is this entity's and is fresh. Two entities
    /// may use the same id, each for its own memory. Whether it is a hit of one
    /// look-up or of several, the caller counts.
    #[inline]
    pub(crate) fn get(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        is_fresh: impl FnOnce(&CachedMemory) -> bool,
    ) -> Option<Arc<Memory>> {
        let cached = self
            .cache
            .get(id)
            .filter(|cached| cached.memory.entity_id == *entity && is_fresh(cached));
        if cached.is_none() {
            self.counters.record_miss();
        }
        cached.map(|cached| cached.memory)
    }

    /// Caches a loaded memory. Call it only within
    /// [`super::Coherence::publish`].
    pub(crate) fn fill(&self, loaded: CachedMemory) {
        self.cache.insert(loaded.memory.id, loaded);
    }

    /// Caches a new version in place of a cached older one. Caches nothing where
    /// none is cached, as nobody asked for it, or where the cached one is newer,
    /// as two writes may be applied in another order than they were committed.
    pub(super) fn replace(&self, written: CachedMemory) {
        self.counters.record_invalidation();
        let id = written.memory.id;
        match self.cache.get(&id) {
            Some(cached)
                if cached.memory.entity_id == written.memory.entity_id
                    && cached.generation < written.generation =>
            {
                self.cache.insert(id, written);
            }
            _ => self.cache.remove(&id),
        }
    }

    pub(super) fn remove(&self, id: &MemoryId) {
        self.counters.record_invalidation();
        self.cache.remove(id);
    }

    pub(super) fn clear(&self) {
        self.counters.record_invalidation();
        self.cache.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.counters.stats(&[Totals::of(&*self.cache)])
    }
}
