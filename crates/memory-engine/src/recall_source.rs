//! What a recall searches: a fresh snapshot, or the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use memory_core::{EntityId, MemoryResult};
use tokio::time::sleep;
use tracing::{Instrument, debug_span};

use crate::history::ArchivedSince;
use crate::reader::Reader;
use crate::snapshot::EntitySnapshot;
use crate::tiers::{
    CachedSnapshot, EntityTier, Freshness, LoadToken, LoadedSnapshot, ReadInstant, SharedLoad,
};

/// Entities of at most this many memories are loaded at the first recall: the
/// store reads them all to search them, so a load costs little more. Beyond it
/// the first load costs some four to seven searches, for reading and stemming
/// everything (on SQLite; `cargo run --release -p memory --example admission`).
const SMALL_ENTITY: u64 = 200;

/// A recall waits for the load of at most this many memories that are in no page: 17 ms, at
/// 33 µs a memory of 20 words (docs/performance.md), where a search of the store takes 10.
/// Beyond it a load goes on in the background, and the store answers meanwhile.
const MAX_AWAITED_WITHOUT_PAGE: u64 = 512;

/// Entities of at most this many memories are loaded at the first recall where the store
/// keeps pages of nearly all: that takes no longer than a search of the store. On SQLite both
/// take as long at some 30,000 (docs/adr/0024-snapshot-pages.md).
const MAX_AWAITED: u64 = 24_576;

/// How often what was loaded in the background is brought up to date with writes that
/// overtook it, before the load is given up. Each time takes as long as its changes are
/// many, so that writes rarely overtake it twice.
const MAX_ROUNDS: u32 = 12;

/// The pause after the first time that writes overtook a load; it doubles with each, as
/// writes to many entities come in bursts.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// What a recall searches.
pub(crate) enum RecallSource {
    /// A snapshot of the whole entity.
    Snapshot(Arc<EntitySnapshot>),
    /// The store.
    Store {
        /// How many live memories the entity has in it.
        memories: u64,
        /// What was different at the moment that the recall asks about.
        archived: Option<ArchivedSince>,
    },
}

/// Whether a recall without a snapshot loads one.
enum Load {
    /// Before it answers.
    Awaited,
    /// While the store answers.
    InBackground,
    None,
}

impl Reader {
    /// The entity's snapshot, with every write that ended before this call as
    /// far as the consistency requires; the store, where the entity is too
    /// large to be cached, or was not recalled recently and would cost more to
    /// load than to search, or is being loaded in the background.
    pub(crate) async fn recall_source(&self, entity: &EntityId) -> MemoryResult<RecallSource> {
        let (tier, freshness) = (&self.tiers.entity, self.required_freshness(entity));
        if let Some(cached) = tier.get(entity)
            && self.is_fresh(&cached, &freshness).await?
        {
            tier.counters.record_hit();
            return Ok(RecallSource::Snapshot(cached.snapshot));
        }
        tier.counters.record_miss();
        if self.background_loads.is_loading(entity) {
            return self.search_store(entity).await;
        }
        // Before the base is taken: what is dropped after it is not used.
        let token = self.tiers.coherence.load_token(entity);
        if let Some(cached) = tier.get(entity) {
            let loaded = self.wait_for_load(token, entity, Some(cached.snapshot), &freshness);
            return loaded.await.map(RecallSource::Snapshot);
        }
        let memories = self.store.entity_stats(entity).await?.memory_count;
        let token = self.tiers.coherence.load_token(entity);
        match self.load_by_cost(entity, memories).await {
            Load::Awaited => {
                let loaded = self.wait_for_load(token, entity, None, &freshness);
                return loaded.await.map(RecallSource::Snapshot);
            }
            Load::InBackground => self.background_loads.start(self, token, entity),
            Load::None => {}
        }
        Ok(RecallSource::Store {
            memories,
            archived: None,
        })
    }

    /// The entity's snapshot, with every write that ended before this call as far as the
    /// consistency requires, however long it takes to load.
    pub(crate) async fn present_snapshot(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<Arc<EntitySnapshot>> {
        let freshness = self.required_freshness(entity);
        // Before the base is taken: what is dropped after it is not used.
        let token = self.tiers.coherence.load_token(entity);
        let cached = self.tiers.entity.get(entity);
        let base = cached.map(|cached| cached.snapshot);
        self.wait_for_load(token, entity, base, &freshness).await
    }

    async fn search_store(&self, entity: &EntityId) -> MemoryResult<RecallSource> {
        Ok(RecallSource::Store {
            memories: self.store.entity_stats(entity).await?.memory_count,
            archived: None,
        })
    }

    /// How to load an entity of so many memories.
    async fn load_by_cost(&self, entity: &EntityId, memories: u64) -> Load {
        let dimensions = self.snapshot_loader.dimensions();
        if !self.tiers.entity.can_cache(entity, memories, dimensions) {
            return Load::None;
        }
        if memories <= SMALL_ENTITY || self.has_pages_of_nearly_all(entity, memories).await {
            return Load::Awaited;
        }
        if !self.tiers.admission.check_and_record(entity) {
            return Load::None;
        }
        if memories <= MAX_AWAITED_WITHOUT_PAGE {
            Load::Awaited
        } else {
            Load::InBackground
        }
    }

    async fn has_pages_of_nearly_all(&self, entity: &EntityId, memories: u64) -> bool {
        if memories > MAX_AWAITED {
            return false;
        }
        let paged = self.snapshot_loader.paged(entity).await;
        // The search that follows says what is wrong with a store that cannot be read.
        paged.is_ok_and(|paged| 0 < paged && memories <= paged + MAX_AWAITED_WITHOUT_PAGE)
    }

    /// Whether the cached snapshot has everything that this read must see: asks
    /// the store where that was not done recently enough.
    async fn is_fresh(&self, cached: &CachedSnapshot, freshness: &Freshness) -> MemoryResult<bool> {
        if cached.is_outdated() {
            return Ok(false);
        }
        let snapshot = &cached.snapshot;
        self.is_current(
            snapshot.entity(),
            snapshot.generation(),
            &cached.verified,
            freshness,
        )
        .await
    }

    /// Loads what `base` lacks, or everything, recent enough for this read. `token` was
    /// taken before `base`.
    async fn wait_for_load(
        &self,
        token: LoadToken,
        entity: &EntityId,
        base: Option<Arc<EntitySnapshot>>,
        freshness: &Freshness,
    ) -> MemoryResult<Arc<EntitySnapshot>> {
        let (load, joined) = self.load_snapshot(token, entity, base, EntityTier::fill);
        let loaded = load.await?.cached;
        if !joined || freshness.is_satisfied_by(loaded.verified.at()) {
            return Ok(loaded.snapshot);
        }
        // It joined a load that began too early. That has ended, so a second
        // load begins after this call, under a token of its own: with the earlier one it
        // would not be cached if a write came since.
        let current = self.tiers.coherence.load_token(entity);
        let base = current.can_follow(token).then_some(loaded.snapshot);
        let (load, _) = self.load_snapshot(current, entity, base, EntityTier::fill);
        Ok(load.await?.cached.snapshot)
    }

    /// Loads everything, and then what was written meanwhile, until nothing overtakes it.
    /// Returns whether it was cached, as far as it has room.
    ///
    /// Meanwhile the store answered with what was written during the load, so only what was
    /// brought up to date with this system's writes is cached.
    pub(crate) async fn load_and_follow(
        &self,
        token: LoadToken,
        entity: &EntityId,
    ) -> MemoryResult<bool> {
        let (load, _) = self.load_snapshot(token, entity, None, |_, _| {});
        let mut snapshot = load.await?.cached.snapshot;
        for round in 0..MAX_ROUNDS {
            let current = self.tiers.coherence.load_token(entity);
            if !current.can_follow(token) {
                return Ok(false);
            }
            let base = Some(snapshot);
            let (load, _) = self.load_snapshot(current, entity, base, EntityTier::fill);
            let loaded = load.await?;
            if loaded.is_published {
                return Ok(true);
            }
            snapshot = loaded.cached.snapshot;
            sleep(FIRST_PAUSE * 2_u32.pow(round)).await;
        }
        Ok(false)
    }

    /// Joins the load in progress, or loads what `base` lacks and caches it with `fill`.
    /// Returns whether it joined.
    ///
    /// `token` was taken before `base`, and before anything is read: see
    /// `tiers::coherence`.
    pub(crate) fn load_snapshot(
        &self,
        token: LoadToken,
        entity: &EntityId,
        base: Option<Arc<EntitySnapshot>>,
        fill: fn(&EntityTier, &CachedSnapshot),
    ) -> (SharedLoad<LoadedSnapshot>, bool) {
        let tier = &self.tiers.entity;
        let (reader, owned) = (self.clone(), entity.clone());
        let (load, joined) = tier.loads.join_or_start((token, entity.clone()), || {
            async move {
                let tiers = &reader.tiers;
                tiers.entity.counters.record_load();
                let began = ReadInstant::now(&*reader.clock);
                let base_memories = base.as_ref().map_or(0, |base| base.len());
                let span = debug_span!("load", tier = "entity", base_memories);
                let loading = reader.snapshot_loader.load(&owned, base);
                let snapshot = loading.instrument(span).await?;
                let cached = CachedSnapshot::new(snapshot, began);
                let read_at = cached.snapshot.generation();
                let is_published = tiers.coherence.publish(token, &owned, read_at, |_| {
                    fill(&tiers.entity, &cached);
                });
                if !is_published {
                    tiers.entity.counters.record_refused_fill();
                }
                Ok(LoadedSnapshot {
                    cached,
                    is_published,
                })
            }
            .boxed()
        });
        tier.counters.record_coalesced_loads(usize::from(joined));
        (load, joined)
    }
}
