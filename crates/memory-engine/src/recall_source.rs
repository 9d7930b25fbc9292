//! What a recall searches: a fresh snapshot, or the store.

use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{EntityId, MemoryResult};
use tracing::{Instrument, debug_span};

use crate::history::EarlierState;
use crate::reader::Reader;
use crate::snapshot::{self, EntitySnapshot};
use crate::tiers::{CachedSnapshot, EntityTier, Freshness, ReadInstant};

/// Entities of at most this many memories are loaded at the first recall: the
/// store reads them all to search them, so a load costs little more. Beyond it
/// the first load costs some four to seven searches, for reading and stemming
/// everything (on SQLite; `cargo run --release -p memory --example admission`).
const SMALL_ENTITY: u64 = 200;

/// What a recall searches.
pub(crate) enum RecallSource {
    /// A snapshot of the whole entity.
    Snapshot(Arc<EntitySnapshot>),
    /// The store.
    Store {
        /// How many live memories the entity has in it.
        memories: u64,
        /// What was different at the moment that the recall asks about.
        earlier: Option<EarlierState>,
    },
}

impl Reader {
    /// The entity's snapshot, with every write that ended before this call as
    /// far as the consistency requires; the store, where the entity is too
    /// large to be cached, or was not recalled recently and would cost more to
    /// load than to search.
    pub(crate) async fn recall_source(&self, entity: &EntityId) -> MemoryResult<RecallSource> {
        let (tier, freshness) = (&self.tiers.entity, self.required_freshness(entity));
        let cached = tier.get(entity);
        if let Some(cached) = &cached
            && self.is_fresh(cached, &freshness).await?
        {
            tier.counters.record_hit();
            return Ok(RecallSource::Snapshot(Arc::clone(&cached.snapshot)));
        }
        tier.counters.record_miss();
        if cached.is_none() {
            let memories = self.store.entity_stats(entity).await?.memory_count;
            if !self.is_worth_loading(entity, memories) {
                return Ok(RecallSource::Store {
                    memories,
                    earlier: None,
                });
            }
        }
        let base = cached.map(|cached| cached.snapshot);
        let load = |base| self.load_snapshot(entity, base, EntityTier::fill);
        let (loaded, joined) = load(base.clone()).await?;
        if !joined || freshness.is_satisfied_by(loaded.verified.at()) {
            return Ok(RecallSource::Snapshot(loaded.snapshot));
        }
        // It joined a load that began too early. That has ended, so a second
        // load began after this call.
        let (loaded, _) = load(base).await?;
        Ok(RecallSource::Snapshot(loaded.snapshot))
    }

    fn is_worth_loading(&self, entity: &EntityId, memories: u64) -> bool {
        let dimensions = self.embedder.profile().dimensions;
        self.tiers.entity.can_cache(entity, memories, dimensions)
            && (memories <= SMALL_ENTITY || self.tiers.admission.check_and_record(entity))
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

    /// Joins the load in progress, or loads what `base` lacks and caches it with `fill`.
    /// Returns whether it joined.
    pub(crate) async fn load_snapshot(
        &self,
        entity: &EntityId,
        base: Option<Arc<EntitySnapshot>>,
        fill: fn(&EntityTier, &CachedSnapshot),
    ) -> MemoryResult<(CachedSnapshot, bool)> {
        let tier = &self.tiers.entity;
        // Before anything is read: see `tiers::coherence`.
        let token = self.tiers.coherence.load_token(entity);
        let (reader, owned) = (self.clone(), entity.clone());
        let (load, joined) = tier.loads.join_or_start((token, entity.clone()), || {
            async move {
                let tiers = &reader.tiers;
                tiers.entity.counters.record_load();
                let began = ReadInstant::now(&*reader.clock);
                let profile = reader.embedder.profile();
                let base_memories = base.as_ref().map_or(0, |base| base.len());
                let span = debug_span!("load", tier = "entity", base_memories);
                let (writer, language) = (&reader.page_writer, reader.language);
                let store = &reader.store;
                let loading = snapshot::load(store, writer, profile, &owned, language, base);
                let snapshot = loading.instrument(span).await?;
                let loaded = CachedSnapshot::new(snapshot, began);
                let read_at = loaded.snapshot.generation();
                let published = tiers.coherence.publish(token, &owned, read_at, |_| {
                    fill(&tiers.entity, &loaded);
                });
                if !published {
                    tiers.entity.counters.record_refused_fill();
                }
                Ok(loaded)
            }
            .boxed()
        });
        tier.counters.record_coalesced_loads(usize::from(joined));
        Ok((load.await?, joined))
    }
}
