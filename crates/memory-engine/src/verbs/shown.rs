//! Where a recall looks: in a snapshot that will do, or in the store.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use memory_core::{Consistency, EntityId, MemoryResult};

use crate::engine::EngineInner;
use crate::snapshot::{self, EntitySnapshot};
use crate::tiers::{Demand, Held, Stamp};

/// Entities of no more memories than this are loaded at the first recall: the
/// store reads them all to search them, so a load costs little more. Beyond it
/// a load costs some four to seven searches, for reading and stemming
/// everything (on SQLite; `cargo run --release -p memory --example admission`).
const SMALL_ENTITY: u64 = 200;

/// What a recall looks at.
pub(crate) enum Shown {
    /// The entity as a whole.
    Snapshot(Arc<EntitySnapshot>),
    /// What the store finds among so many.
    Store { memories: u64 },
}

impl EngineInner {
    /// What the configured consistency asks of a read that begins now.
    #[inline]
    pub(crate) fn demand(&self) -> Demand {
        match self.config.consistency {
            Consistency::Local => Demand::Any,
            Consistency::Bounded(bound) if !self.news.is_lost() => {
                Demand::Within(Stamp::now(&*self.clock), bound)
            }
            _ => Demand::Since(Instant::now()),
        }
    }

    /// The entity's snapshot, caught up with every write that ended before this
    /// call, as far as the consistency asks; the store, where the entity is too
    /// large to be held, or has not been recalled lately and would cost more to
    /// load than to search.
    pub(crate) async fn shown(self: &Arc<Self>, entity: &EntityId) -> MemoryResult<Shown> {
        let (tier, demand) = (&self.tiers.entity, self.demand());
        let held = tier.get(entity);
        if let Some(held) = &held
            && self.will_do(held, &demand).await?
        {
            tier.tally.hit();
            return Ok(Shown::Snapshot(Arc::clone(&held.snapshot)));
        }
        tier.tally.miss();
        if held.is_none() {
            let memories = self.store.entity_stats(entity).await?.memory_count;
            if !self.matches(entity, memories) {
                return Ok(Shown::Store { memories });
            }
        }
        let base = held.map(|held| held.snapshot);
        let (landed, joined) = self.snapshot(entity, base.clone()).await?;
        if !joined || demand.met_by(landed.verified()) {
            return Ok(Shown::Snapshot(landed.snapshot));
        }
        // Another had begun to read too early for this caller. That has landed:
        // whatever is boarded now began after this call.
        let (landed, _) = self.snapshot(entity, base).await?;
        Ok(Shown::Snapshot(landed.snapshot))
    }

    /// Whether a snapshot is worth loading, and may be held.
    fn matches(&self, entity: &EntityId, memories: u64) -> bool {
        memories <= self.config.snapshot_max_memories
            && (memories <= SMALL_ENTITY || self.tiers.door.knows(entity))
    }

    /// Whether what is held shows all that this read must see: asks the store
    /// where that was not done lately enough.
    async fn will_do(&self, held: &Held, demand: &Demand) -> MemoryResult<bool> {
        if held.is_behind() {
            return Ok(false);
        }
        if demand.met_by(held.verified()) {
            return Ok(true);
        }
        let asked = Stamp::now(&*self.clock);
        let stats = self.store.entity_stats(held.snapshot.entity()).await?;
        let current = stats.generation == held.snapshot.generation();
        if current {
            held.verify(asked);
        }
        Ok(current)
    }

    /// Joins the load that is under way, or loads what `base` lacks. Answers
    /// whether it joined.
    async fn snapshot(
        self: &Arc<Self>,
        entity: &EntityId,
        base: Option<Arc<EntitySnapshot>>,
    ) -> MemoryResult<(Held, bool)> {
        let tier = &self.tiers.entity;
        // Before anything is read: see `tiers::coherence`.
        let ticket = self.tiers.coherence.ticket(entity);
        let (shared, owned) = (Arc::clone(self), entity.clone());
        let (flight, joined) = tier.flights.board_one((ticket, entity.clone()), || {
            async move {
                let tiers = &shared.tiers;
                tiers.entity.tally.load();
                let began = Stamp::now(&*shared.clock);
                let profile = shared.embedder.profile();
                let snapshot = snapshot::load(&*shared.store, profile, &owned, base).await?;
                let loaded = Held::new(snapshot, began);
                let read_at = loaded.snapshot.generation();
                let kept = tiers.coherence.publish(ticket, &owned, read_at, || {
                    tiers.entity.fill(&loaded);
                });
                if !kept {
                    tiers.entity.tally.refused();
                }
                Ok(loaded)
            }
            .boxed()
        });
        if joined {
            tier.tally.coalesced();
        }
        Ok((flight.await?, joined))
    }
}
