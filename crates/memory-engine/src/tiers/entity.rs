//! The entity tier: snapshot by entity.

use std::sync::{Arc, Mutex, PoisonError};

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, MemoryConfig, MemoryId, TierStats,
    VectorPrecision,
};

use super::age::Stamp;
use super::coherence::Ticket;
use super::flight::Flights;
use super::tally::Tally;
use crate::snapshot::{Delta, EntitySnapshot};

pub(crate) struct EntityTier {
    cache: Box<dyn Cache<EntityId, Held>>,
    pub(crate) flights: Flights<(Ticket, EntityId), Held>,
    pub(crate) tally: Tally,
    max_memories: u64,
    precision: VectorPrecision,
}

/// A snapshot, and what is known of its entity since it was taken. One that
/// has fallen behind is kept, because catching up costs what changed and
/// loading anew costs what exists.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) snapshot: Arc<EntitySnapshot>,
    /// The newest generation that is known of.
    known: Generation,
    /// The last moment when the store was known to be at the snapshot's
    /// generation: before it was asked.
    verified: Arc<Mutex<Stamp>>,
}

impl Held {
    /// What was loaded after `began`.
    pub(crate) fn new(snapshot: Arc<EntitySnapshot>, began: Stamp) -> Self {
        Self {
            known: snapshot.generation(),
            snapshot,
            verified: Arc::new(Mutex::new(began)),
        }
    }

    /// Whether the entity is known to have been written to since.
    pub(crate) fn is_behind(&self) -> bool {
        self.known > self.snapshot.generation()
    }

    pub(crate) fn verified(&self) -> Stamp {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the store, asked at `moment`, was at the snapshot's
    /// generation. That is true whatever else became of the tier meanwhile.
    pub(crate) fn verify(&self, moment: Stamp) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if moment.is_later_than(*verified) {
            *verified = moment;
        }
    }

    fn at_least(mut self, known: Generation) -> Self {
        self.known = self.known.max(known);
        self
    }

    /// The next version: true of the store when this one was, and known of as
    /// much.
    fn followed_by(&self, snapshot: Arc<EntitySnapshot>) -> Self {
        Self {
            snapshot,
            known: self.known,
            verified: Arc::new(Mutex::new(self.verified())),
        }
    }
}

/// What a write makes of a snapshot, prepared before the stripe is locked.
pub(crate) struct Step {
    from: Arc<EntitySnapshot>,
    to: Arc<EntitySnapshot>,
}

impl EntityTier {
    pub(super) fn new(
        backend: &impl CacheBackend,
        config: &MemoryConfig,
        precision: VectorPrecision,
    ) -> Self {
        let policy = CachePolicy::new(
            config.entity_cache_capacity(),
            config.entity_cache_max_bytes,
            |_: &EntityId, held: &Held| held.snapshot.size_bytes() as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            flights: Flights::new(),
            tally: Tally::default(),
            max_memories: config.snapshot_max_memories,
            precision,
        }
    }

    /// What is held of the entity. Whether it is a hit, the caller judges.
    pub(crate) fn get(&self, entity: &EntityId) -> Option<Held> {
        self.cache.get(entity)
    }

    /// Holds what was loaded, unless it is too large to be held or something
    /// newer is there. Only for [`super::Coherence::publish`] to call.
    pub(crate) fn fill(&self, loaded: &Held) {
        let entity = loaded.snapshot.entity();
        if loaded.snapshot.len() as u64 > self.max_memories {
            self.cache.remove(entity);
            return;
        }
        let newer = self
            .cache
            .get(entity)
            .filter(|held| held.verified().is_later_than(loaded.verified()));
        if newer.is_none_or(|held| held.is_behind()) {
            self.cache.insert(entity.clone(), loaded.clone());
        }
    }

    /// What the write that made `generation` makes of the snapshot that is
    /// held; `None` where catching up with it takes the store.
    pub(super) fn step(
        &self,
        entity: &EntityId,
        generation: Generation,
        delta: &Delta,
    ) -> Option<Step> {
        let from = self.cache.get(entity)?.snapshot;
        let to = Arc::new(from.try_apply_write(generation, delta, self.precision)?);
        Some(Step { from, to })
    }

    /// Takes the step, if what is held is still what it starts from; else what
    /// is held falls behind, without what was `removed`: that copies it, O(its
    /// size).
    pub(super) fn advance(
        &self,
        entity: &EntityId,
        generation: Generation,
        step: Option<Step>,
        removed: &[MemoryId],
    ) {
        let Some(held) = self.cache.get(entity) else {
            // A cache may give nothing now and what it was given later: what
            // cannot be brought up to this write must not come back.
            self.cache.remove(entity);
            return;
        };
        if held.snapshot.generation() >= generation {
            return;
        }
        self.tally.invalidation();
        let next = match step {
            Some(Step { from, to }) if Arc::ptr_eq(&from, &held.snapshot) => held.followed_by(to),
            _ if removed.is_empty() => held,
            _ => held.followed_by(Arc::new(held.snapshot.without(removed))),
        };
        if next.snapshot.len() as u64 > self.max_memories {
            self.cache.remove(entity);
        } else {
            self.cache.insert(entity.clone(), next.at_least(generation));
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
        self.tally.stats(&[&*self.cache])
    }
}
