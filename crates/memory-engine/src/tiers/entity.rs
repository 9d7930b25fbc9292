//! The entity tier: snapshot by entity.

use std::sync::{Arc, Mutex, PoisonError};

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, MemoryConfig, TierStats,
    VectorPrecision,
};
use tokio::task::spawn_blocking;

use super::coherence::LoadToken;
use super::counters::TierCounters;
use super::freshness::ReadInstant;
use super::single_flight::SingleFlight;
use crate::snapshot::{Delta, EntitySnapshot};

/// Snapshots of more memories than this are copied and dropped on a blocking
/// thread: beyond it an async worker would be held up for too long.
const INLINE_MEMORIES: usize = 100;

pub(crate) struct EntityTier {
    cache: Box<dyn Cache<EntityId, CachedSnapshot>>,
    pub(crate) loads: SingleFlight<(LoadToken, EntityId), CachedSnapshot>,
    pub(crate) counters: TierCounters,
    max_memories: u64,
    precision: VectorPrecision,
}

/// A snapshot, and what is known of its entity since it was taken. An outdated
/// one stays cached, because bringing it up to date costs what changed, and
/// loading it again costs the whole entity.
#[derive(Clone)]
pub(crate) struct CachedSnapshot {
    pub(crate) snapshot: Arc<EntitySnapshot>,
    /// The newest known generation of the entity.
    latest: Generation,
    /// The last time when the store was known to be at the snapshot's
    /// generation: before it was asked.
    verified: Arc<Mutex<ReadInstant>>,
}

impl CachedSnapshot {
    /// A snapshot that was loaded after `began`.
    pub(crate) fn new(snapshot: Arc<EntitySnapshot>, began: ReadInstant) -> Self {
        Self {
            latest: snapshot.generation(),
            snapshot,
            verified: Arc::new(Mutex::new(began)),
        }
    }

    /// Whether the entity is known to have been written to since.
    pub(crate) fn is_outdated(&self) -> bool {
        self.latest > self.snapshot.generation()
    }

    pub(crate) fn verified(&self) -> ReadInstant {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the store, asked at `asked`, was at the snapshot's
    /// generation. That holds whatever happened to the tier meanwhile.
    pub(crate) fn mark_verified(&self, asked: ReadInstant) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_later_than(*verified) {
            *verified = asked;
        }
    }

    fn with_latest(mut self, latest: Generation) -> Self {
        self.latest = self.latest.max(latest);
        self
    }

    /// The next version, verified when this one was.
    fn with_snapshot(&self, snapshot: Arc<EntitySnapshot>) -> Self {
        Self {
            snapshot,
            latest: self.latest,
            verified: Arc::new(Mutex::new(self.verified())),
        }
    }
}

/// What a write makes of a cached snapshot, computed before the stripe is
/// locked.
pub(crate) struct SnapshotUpdate {
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
            |_: &EntityId, cached: &CachedSnapshot| cached.snapshot.size_bytes() as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            loads: SingleFlight::new(),
            counters: TierCounters::default(),
            max_memories: config.snapshot_max_memories,
            precision,
        }
    }

    /// The entity's cached snapshot. Whether it is a hit, the caller decides.
    pub(crate) fn get(&self, entity: &EntityId) -> Option<CachedSnapshot> {
        self.cache.get(entity)
    }

    /// Caches a loaded snapshot, unless it is too large or a newer one is
    /// cached. Call it only within [`super::Coherence::publish`].
    pub(crate) fn fill(&self, loaded: &CachedSnapshot) {
        let entity = loaded.snapshot.entity();
        if loaded.snapshot.len() as u64 > self.max_memories {
            self.cache.remove(entity);
            return;
        }
        let newer = self
            .cache
            .get(entity)
            .filter(|cached| cached.verified().is_later_than(loaded.verified()));
        if newer.is_none_or(|cached| cached.is_outdated()) {
            self.cache.insert(entity.clone(), loaded.clone());
        }
    }

    /// What the write that made `generation` makes of the cached snapshot.
    /// `None` where bringing it up to date takes the store.
    pub(super) async fn prepare_update(
        &self,
        entity: &EntityId,
        generation: Generation,
        delta: &Arc<Delta>,
    ) -> Option<SnapshotUpdate> {
        let from = self.cache.get(entity)?.snapshot;
        if from.len() <= INLINE_MEMORIES && delta.removed.len() <= INLINE_MEMORIES {
            return updated(from, generation, delta, self.precision);
        }
        let (delta, precision) = (Arc::clone(delta), self.precision);
        let update = move || updated(from, generation, &delta, precision);
        spawn_blocking(update).await.ok().flatten()
    }

    /// Applies the update if the cached snapshot is still the one it was
    /// computed from. Otherwise the cached one is outdated, and dropped where
    /// it may hold something of what was removed. Returns what it replaces, to
    /// be dropped when no lock is held.
    pub(super) fn apply_update(
        &self,
        entity: &EntityId,
        generation: Generation,
        update: Option<SnapshotUpdate>,
        delta: &Delta,
    ) -> Option<CachedSnapshot> {
        let Some(cached) = self.cache.get(entity) else {
            // A cache may return nothing now and an earlier insert later: what
            // cannot be brought up to this write must not come back.
            self.cache.remove(entity);
            return None;
        };
        if cached.snapshot.generation() >= generation {
            return None;
        }
        self.counters.record_invalidation();
        let next = match update {
            Some(SnapshotUpdate { from, to }) if Arc::ptr_eq(&from, &cached.snapshot) => {
                Some(cached.with_snapshot(to))
            }
            _ if delta.removed.is_empty() => Some(cached.clone()),
            _ => None,
        };
        match next.filter(|next| next.snapshot.len() as u64 <= self.max_memories) {
            Some(next) => self
                .cache
                .insert(entity.clone(), next.with_latest(generation)),
            None => self.cache.remove(entity),
        }
        Some(cached)
    }

    /// Marks the cached snapshot as outdated by a write of which no more is
    /// known.
    pub(super) fn mark_outdated(&self, entity: &EntityId, generation: Generation) {
        self.apply_update(entity, generation, None, &Delta::default());
    }

    pub(super) fn remove(&self, entity: &EntityId) {
        self.counters.record_invalidation();
        self.cache.remove(entity);
    }

    pub(super) fn clear(&self) {
        self.counters.record_invalidation();
        self.cache.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.counters.stats(&[&*self.cache])
    }
}

/// The snapshot after a write; where only the store could say what that is, the
/// snapshot at its own generation without what was removed.
fn updated(
    from: Arc<EntitySnapshot>,
    generation: Generation,
    delta: &Delta,
    precision: VectorPrecision,
) -> Option<SnapshotUpdate> {
    let to = match from.try_apply_write(generation, delta, precision) {
        Some(next) => next,
        None if delta.removed.is_empty() => return None,
        None => from.without(&delta.removed),
    };
    Some(SnapshotUpdate {
        from,
        to: Arc::new(to),
    })
}
