//! The entity tier: snapshot by entity, and pages of its list.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{
    Cache, CacheBackend, CachePolicy, EntityId, Generation, MemoryConfig, TierStats,
    VectorPrecision,
};
use tokio::task::spawn_blocking;

use super::coherence::LoadToken;
use super::counters::{TierCounters, Totals};
use super::freshness::ReadInstant;
use super::pages::{PAGES_SHARE, Pages};
use super::single_flight::SingleFlight;
use super::verified::Verified;
use crate::snapshot::{Delta, EntitySnapshot};

pub(crate) struct EntityTier {
    cache: Box<dyn Cache<EntityId, CachedSnapshot>>,
    pub(crate) loads: SingleFlight<(LoadToken, EntityId), LoadedSnapshot>,
    pub(crate) pages: Pages,
    pub(crate) counters: TierCounters,
    /// Maximum number of bytes of a snapshot: those of all snapshots.
    max_bytes: u64,
    /// Maximum number of snapshots.
    max_entries: u64,
    too_large: TooLarge,
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
    pub(crate) verified: Verified,
}

/// The result of a load.
#[derive(Clone)]
pub(crate) struct LoadedSnapshot {
    pub(crate) cached: CachedSnapshot,
    /// Whether no write overtook it, so that it was offered to the tier.
    pub(crate) is_published: bool,
}

impl CachedSnapshot {
    /// A snapshot that was loaded after `began`.
    pub(crate) fn new(snapshot: Arc<EntitySnapshot>, began: ReadInstant) -> Self {
        Self {
            latest: snapshot.generation(),
            snapshot,
            verified: Verified::new(began),
        }
    }

    /// Whether the entity is known to have been written to since.
    pub(crate) fn is_outdated(&self) -> bool {
        self.latest > self.snapshot.generation()
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
            verified: Verified::new(self.verified.at()),
        }
    }
}

/// Bytes that a memory of one word takes in a snapshot at least, without its vector,
/// and those of a vector's component.
const MIN_MEMORY_BYTES: u64 = 128;
const BYTES_PER_COMPONENT: u64 = 2;

/// An entity whose snapshot was too large is loaded again when it is smaller than the
/// maximum by one part in so many. Without a margin, one that forgets and retains at
/// the maximum would be loaded for each recall.
const MARGIN: u64 = 8;

/// The divisor of both limits, up to which snapshots are cached that nobody asked for.
const HALF: u64 = 2;

/// Entities whose snapshots were too large, by their hash, and the bytes that a memory
/// took on average.
#[derive(Default)]
struct TooLarge {
    hasher: RandomState,
    bytes: Mutex<HashMap<u64, u64>>,
}

impl TooLarge {
    /// Maximum number of entities: an eighth of a mebibyte.
    const MAX_ENTITIES: usize = 4_096;

    fn record(&self, snapshot: &EntitySnapshot) {
        let bytes = snapshot.size_bytes() / snapshot.len().max(1);
        let mut known = self.lock();
        if known.len() >= Self::MAX_ENTITIES {
            known.clear();
        }
        known.insert(self.hasher.hash_one(snapshot.entity()), bytes as u64);
    }

    fn bytes_per_memory(&self, entity: &EntityId) -> Option<u64> {
        self.lock().get(&self.hasher.hash_one(entity)).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        // A panic under the lock leaves a map, still sound.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a write makes of the cached snapshot.
pub(crate) enum SnapshotUpdate {
    /// Bringing it up to date takes the store.
    Unknown,
    /// The next version, computed.
    Ready {
        from: Arc<EntitySnapshot>,
        to: Arc<EntitySnapshot>,
    },
    /// The next version takes a while: see [`EntityTier::complete_update`].
    Deferred { from: Arc<EntitySnapshot> },
}

impl EntityTier {
    pub(super) fn new(
        backend: &impl CacheBackend,
        config: &MemoryConfig,
        precision: VectorPrecision,
    ) -> Self {
        let mut max_bytes = config.entity_cache_max_bytes;
        max_bytes.0 -= max_bytes.0 / PAGES_SHARE;
        let policy = CachePolicy::new(
            config.entity_cache_capacity(),
            max_bytes,
            |_: &EntityId, cached: &CachedSnapshot| cached.snapshot.size_bytes() as u64,
        )
        .ttl(config.cache_ttl())
        .tti(config.cache_tti());
        Self {
            cache: Box::new(backend.build(policy)),
            loads: SingleFlight::new(),
            pages: Pages::new(backend, config),
            counters: TierCounters::default(),
            max_bytes: max_bytes.0,
            max_entries: config.entity_cache_capacity(),
            too_large: TooLarge::default(),
            precision,
        }
    }

    /// The entity's cached snapshot. Whether it is a hit, the caller decides.
    pub(crate) fn get(&self, entity: &EntityId) -> Option<CachedSnapshot> {
        self.cache.get(entity)
    }

    /// Whether a snapshot of this many bytes fits in the half of the tier that may be
    /// filled before anyone asks, but for what was inserted a moment ago. The other half
    /// is for what is asked meanwhile.
    pub(crate) fn is_half_free(&self, bytes: u64) -> bool {
        self.cache.entry_count() < self.max_entries / HALF
            && self.cache.weighted_size().saturating_add(bytes) <= self.max_bytes / HALF
    }

    /// Counts what was inserted and drops what has expired.
    pub(crate) fn run_pending_tasks(&self) {
        self.cache.run_pending_tasks();
    }

    /// The bytes that a memory with a vector of so many dimensions takes at least.
    pub(crate) fn min_bytes_per_memory(dimensions: usize) -> u64 {
        let dimensions = u64::try_from(dimensions).unwrap_or(u64::MAX);
        dimensions
            .saturating_mul(BYTES_PER_COMPONENT)
            .saturating_add(MIN_MEMORY_BYTES)
    }

    /// Whether a snapshot of so many memories with vectors of so many dimensions fits,
    /// as far as that is known before it is loaded.
    pub(crate) fn can_cache(&self, entity: &EntityId, memories: u64, dimensions: usize) -> bool {
        let least = Self::min_bytes_per_memory(dimensions);
        let fits = |each: u64, max: u64| memories.saturating_mul(each) < max;
        match self.too_large.bytes_per_memory(entity) {
            Some(known) => fits(known.max(least), self.max_bytes - self.max_bytes / MARGIN),
            None => fits(least, self.max_bytes),
        }
    }

    /// Caches a snapshot that nobody asked for, as [`fill`](Self::fill) does, where that
    /// evicts nothing.
    pub(crate) fn fill_free(&self, loaded: &CachedSnapshot) {
        if self.is_half_free(loaded.snapshot.size_bytes() as u64) {
            self.fill(loaded);
        }
    }

    /// Caches a loaded snapshot, unless it is too large or a newer one is
    /// cached. Call it only within [`super::Coherence::publish`].
    pub(crate) fn fill(&self, loaded: &CachedSnapshot) {
        let entity = loaded.snapshot.entity();
        if self.is_too_large(&loaded.snapshot) {
            self.cache.remove(entity);
            return;
        }
        let newer = self
            .cache
            .get(entity)
            .filter(|cached| cached.verified.at().is_later_than(loaded.verified.at()));
        if newer.is_none_or(|cached| cached.is_outdated()) {
            self.cache.insert(entity.clone(), loaded.clone());
        }
    }

    /// What the write that made `generation` makes of the cached snapshot,
    /// computed at once where that is quick.
    pub(super) fn prepare_update(
        &self,
        entity: &EntityId,
        generation: Generation,
        delta: &Delta,
    ) -> SnapshotUpdate {
        let Some(CachedSnapshot { snapshot: from, .. }) = self.cache.get(entity) else {
            return SnapshotUpdate::Unknown;
        };
        if !delta.is_quick(from.len()) {
            return SnapshotUpdate::Deferred { from };
        }
        match next_version(&from, generation, delta, self.precision) {
            Some(to) => SnapshotUpdate::Ready { from, to },
            None => SnapshotUpdate::Unknown,
        }
    }

    /// Applies the update if the cached snapshot is still the one it was
    /// computed from. Otherwise the cached one is outdated, and dropped where
    /// it may hold something of what was removed.
    pub(super) fn apply_update(
        &self,
        entity: &EntityId,
        generation: Generation,
        update: &SnapshotUpdate,
        delta: &Delta,
    ) {
        self.pages.remove(entity);
        let Some(cached) = self.cache.get(entity) else {
            // A cache may return nothing now and an earlier insert later: what
            // cannot be brought up to this write must not come back.
            self.cache.remove(entity);
            return;
        };
        if cached.snapshot.generation() >= generation {
            return;
        }
        self.counters.record_invalidation();
        let next = match update {
            SnapshotUpdate::Ready { from, to } if Arc::ptr_eq(from, &cached.snapshot) => {
                cached.with_snapshot(Arc::clone(to))
            }
            SnapshotUpdate::Deferred { from } if Arc::ptr_eq(from, &cached.snapshot) => cached,
            _ if delta.removed.is_empty() => cached,
            _ => return self.cache.remove(entity),
        };
        self.insert(entity, next.with_latest(generation));
    }

    /// Computes a deferred update, on a blocking thread: it takes as long as
    /// the entity is large.
    pub(super) async fn compute_update(
        &self,
        from: Arc<EntitySnapshot>,
        generation: Generation,
        delta: &Arc<Delta>,
    ) -> SnapshotUpdate {
        let (delta, precision) = (Arc::clone(delta), self.precision);
        let compute = move || match next_version(&from, generation, &delta, precision) {
            Some(to) => SnapshotUpdate::Ready { from, to },
            None => SnapshotUpdate::Unknown,
        };
        let computed = spawn_blocking(compute).await;
        computed.unwrap_or(SnapshotUpdate::Unknown)
    }

    /// Applies a deferred update, as far as nothing newer is cached.
    pub(super) fn complete_update(
        &self,
        entity: &EntityId,
        generation: Generation,
        update: &SnapshotUpdate,
        delta: &Delta,
    ) {
        let Some(cached) = self.cache.get(entity) else {
            return;
        };
        match update {
            SnapshotUpdate::Ready { from, to } if Arc::ptr_eq(from, &cached.snapshot) => {
                self.insert(entity, cached.with_snapshot(Arc::clone(to)));
            }
            _ if delta.removed.is_empty() || cached.snapshot.generation() >= generation => {}
            _ => self.cache.remove(entity),
        }
    }

    fn insert(&self, entity: &EntityId, next: CachedSnapshot) {
        if self.is_too_large(&next.snapshot) {
            self.cache.remove(entity);
        } else {
            self.cache.insert(entity.clone(), next);
        }
    }

    /// Whether a snapshot does not fit, which is remembered.
    fn is_too_large(&self, snapshot: &EntitySnapshot) -> bool {
        let is_too_large = snapshot.size_bytes() as u64 > self.max_bytes;
        if is_too_large {
            self.too_large.record(snapshot);
        }
        is_too_large
    }

    /// Marks the cached snapshot as outdated by a write of which no more is
    /// known.
    pub(super) fn mark_outdated(&self, entity: &EntityId, generation: Generation) {
        self.apply_update(
            entity,
            generation,
            &SnapshotUpdate::Unknown,
            &Delta::default(),
        );
    }

    pub(super) fn remove(&self, entity: &EntityId) {
        self.counters.record_invalidation();
        self.cache.remove(entity);
        self.pages.remove(entity);
    }

    pub(super) fn clear(&self) {
        self.counters.record_invalidation();
        self.cache.clear();
        self.pages.clear();
    }

    pub(super) fn stats(&self) -> TierStats {
        self.counters
            .stats(&[Totals::of(&*self.cache), Totals::of(self.pages.cache())])
    }
}

/// The snapshot after a write; where only the store could say what that is, the
/// snapshot at its own generation without what was removed, if anything was.
fn next_version(
    from: &EntitySnapshot,
    generation: Generation,
    delta: &Delta,
    precision: VectorPrecision,
) -> Option<Arc<EntitySnapshot>> {
    let next = from.try_apply_write(generation, delta, precision);
    let next = next.or_else(|| {
        let is_changed = !delta.removed.is_empty();
        is_changed.then(|| from.without(&delta.removed))
    });
    next.map(Arc::new)
}
