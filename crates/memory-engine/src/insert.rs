//! Inserting a batch within the limits of its entities, with evictions where
//! they are needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::limits::MAX_LIMIT;
use memory_core::{
    Clock, EmbeddedMemory, EntityId, EntityStats, InsertOptions, InsertOutcome, LimitPolicy,
    MemoryConfig, MemoryError, MemoryId, MemoryResult, Store,
};
use tokio::sync::MutexGuard;

use crate::backoff::jittered_backoff;
use crate::eviction::{
    BottomK, EVICTION_BATCH, EntityLocks, EvictionCandidates, EvictionRank, KeptCandidates,
    with_sources,
};
use crate::snapshot::Delta;
use crate::store_scan::{changes_without_vectors, for_each_live};
use crate::tiers::CommittedWrite;
use crate::writer::{Committed, Writer};

/// How often evictions are planned again where writers of other processes used
/// the space.
const MAX_TRIES: u32 = 20;

/// Candidates for eviction that are compared beyond those that are evicted.
const COMPARED: usize = 32;

/// Inserts batches, and plans which memories they evict.
pub(crate) struct Inserter {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    /// Held while evictions are planned and executed, so that two writers of
    /// this process do not evict the same memory.
    pub(crate) entity_locks: EntityLocks,
    /// What is evicted next.
    candidates: KeptCandidates,
    limit: Option<(u64, LimitPolicy)>,
    min_keep: u64,
}

/// What a batch evicts, and its texts.
struct EvictionPlan {
    options: InsertOptions,
    texts: Vec<String>,
}

impl EvictionPlan {
    const fn nothing(options: InsertOptions) -> Self {
        Self {
            options,
            texts: Vec::new(),
        }
    }
}

impl Inserter {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        writer: Writer,
        config: &MemoryConfig,
    ) -> Self {
        Self {
            store,
            clock,
            writer,
            entity_locks: EntityLocks::new(),
            candidates: KeptCandidates::default(),
            limit: config
                .max_memories_per_entity
                .map(|max| (max, config.limit_policy)),
            min_keep: config.prune_min_keep,
        }
    }

    /// Inserts a batch, all or nothing, within the limit of each entity.
    pub(crate) async fn insert(&self, batch: Vec<EmbeddedMemory>) -> MemoryResult<()> {
        let batch: Arc<[EmbeddedMemory]> = batch.into();
        let locks = self.lock_for_evictions(&counts(&batch)).await?;
        let inserted = self.insert_locked(batch, 0).await;
        drop(locks);
        inserted?.finish().await;
        Ok(())
    }

    /// Before so many memories are written to each entity, where that may evict others:
    /// evicts most of what is beyond the limit already, and acquires the locks. While they are
    /// held, no other writer of this process evicts memories of these entities.
    pub(crate) async fn lock_for_evictions(
        &self,
        counts: &BTreeMap<EntityId, u64>,
    ) -> MemoryResult<Vec<MutexGuard<'_, ()>>> {
        let Some((max, LimitPolicy::Prune)) = self.limit else {
            return Ok(Vec::new());
        };
        for (entity, &new) in counts {
            self.evict_excess(entity, new, max).await?;
        }
        Ok(self.entity_locks.lock_all(counts.keys()).await)
    }

    /// Inserts a batch while the locks of its entities are held. `beyond` is how far the number
    /// of live memories may exceed the limit, as the caller archives that many next; a negative
    /// one reserves room.
    pub(crate) async fn insert_locked(
        &self,
        batch: Arc<[EmbeddedMemory]>,
        beyond: i64,
    ) -> MemoryResult<Committed<()>> {
        let Some((max, policy)) = self.limit else {
            let plan = EvictionPlan::nothing(InsertOptions::unlimited());
            return self.execute(batch, plan).await;
        };
        let raised = max.saturating_add_signed(beyond);
        let inserted = match policy {
            LimitPolicy::Prune => self.insert_evicting(batch, raised).await,
            _ => {
                let plan = EvictionPlan::nothing(InsertOptions::at_most(raised));
                self.execute(batch, plan).await
            }
        };
        inserted.map_err(|error| without_archived(error, max, raised))
    }

    /// Evicts the least important memories where the batch exceeds the limit.
    /// The store counts in its transaction, so the limit is exact; where
    /// another process wrote between plan and transaction, it is planned again.
    async fn insert_evicting(
        &self,
        batch: Arc<[EmbeddedMemory]>,
        max: u64,
    ) -> MemoryResult<Committed<()>> {
        let counts = counts(&batch);
        let mut tries = 0;
        loop {
            let plan = self.plan_evictions(&counts, max).await?;
            match self.execute(Arc::clone(&batch), plan).await {
                Err(MemoryError::LimitReached { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Evicts most of what an entity has beyond its limit before `new` memories are written to
    /// it, as after the limit was lowered: in batches, between which other writers go on. The
    /// rest is evicted with the write.
    async fn evict_excess(&self, entity: &EntityId, new: u64, max: u64) -> MemoryResult<()> {
        if max < self.min_keep.saturating_add(new) {
            // The write is refused.
            return Ok(());
        }
        loop {
            let locks = self.entity_locks.lock_all(std::iter::once(entity)).await;
            let stats = self.store.entity_stats(entity).await?;
            let excess = stats.memory_count.saturating_sub(max);
            if excess <= EVICTION_BATCH as u64 {
                return Ok(());
            }
            let ids = self.least_important(entity, EVICTION_BATCH, excess, &stats);
            let evicted = with_sources(&*self.store, entity, ids.await?, stats.archived_count);
            let evicted = evicted.await?;
            if evicted.is_empty() {
                return Ok(());
            }
            let ids: Vec<MemoryId> = evicted.iter().map(|memory| memory.id).collect();
            let removed = self
                .writer
                .remove(&self.store, entity, ids, evicted)
                .await?;
            drop(locks);
            removed.finish().await;
        }
    }

    async fn plan_evictions(
        &self,
        counts: &BTreeMap<EntityId, u64>,
        max: u64,
    ) -> MemoryResult<EvictionPlan> {
        let mut plan = EvictionPlan::nothing(InsertOptions::at_most(max));
        for (entity, &new) in counts {
            let stats = self.store.entity_stats(entity).await?;
            let count = stats.memory_count.saturating_add(new);
            let Some(excess) = count.checked_sub(max).filter(|excess| *excess > 0) else {
                continue;
            };
            let evictable = stats.memory_count.saturating_sub(self.min_keep);
            if excess > evictable {
                let entity = entity.clone();
                return Err(MemoryError::LimitReached { entity, count, max });
            }
            let count = usize::try_from(excess).unwrap_or(usize::MAX);
            let ids = self.least_important(entity, count, excess, &stats).await?;
            let evicted = with_sources(&*self.store, entity, ids, stats.archived_count).await?;
            let ids: Vec<MemoryId> = evicted.iter().map(|memory| memory.id).collect();
            plan.options = plan.options.evict(entity.clone(), ids);
            let texts = evicted.into_iter().map(|memory| memory.content);
            plan.texts.extend(texts);
        }
        Ok(plan)
    }

    /// The live memories of the lowest current importance, of those that were the lowest some
    /// minutes ago at most. Once in a while O(live memories), when all are read, so as to know
    /// the `kept` lowest ones.
    async fn least_important(
        &self,
        entity: &EntityId,
        count: usize,
        kept: u64,
        stats: &EntityStats,
    ) -> MemoryResult<Vec<MemoryId>> {
        let now = self.clock.now();
        if let Some(kept) = self.kept_candidates(entity, now).await? {
            let ids = self.lowest_of(entity, &kept, count, now).await?;
            self.candidates.put(entity, kept);
            if ids.len() == count {
                return Ok(ids);
            }
        }
        let (generation, memories) = (stats.generation, stats.memory_count);
        let mut reading = EvictionCandidates::collect(generation, kept, memories, now);
        for_each_live(&*self.store, entity, |memory| reading.push(&memory)).await?;
        let candidates = reading.finish();
        let ids = candidates.lowest(count);
        self.candidates.put(entity, candidates);
        Ok(ids)
    }

    /// The candidates of the last eviction, with what changed since.
    async fn kept_candidates(
        &self,
        entity: &EntityId,
        now: DateTime<Utc>,
    ) -> MemoryResult<Option<EvictionCandidates>> {
        let kept = self.candidates.take(entity);
        let Some(kept) = kept.filter(|kept| kept.is_recent(now)) else {
            return Ok(None);
        };
        let changes = changes_without_vectors(&*self.store, entity, kept.generation);
        Ok(kept.apply(&changes.await?))
    }

    /// Which of the candidates have the lowest importance now: accesses may have raised it.
    async fn lowest_of(
        &self,
        entity: &EntityId,
        candidates: &EvictionCandidates,
        count: usize,
        now: DateTime<Utc>,
    ) -> MemoryResult<Vec<MemoryId>> {
        let ids = candidates.lowest(count.saturating_add(COMPARED));
        let mut least = BottomK::new(count);
        for ids in ids.chunks(MAX_LIMIT) {
            let memories = self.store.get(entity, ids).await?.memories;
            let live = memories.into_iter().flatten();
            let live = live.filter(|memory| memory.archived_by.is_none());
            live.for_each(|memory| least.push(EvictionRank::new(&memory, now)));
        }
        Ok(least.into_ids())
    }

    async fn execute(
        &self,
        batch: Arc<[EmbeddedMemory]>,
        plan: EvictionPlan,
    ) -> MemoryResult<Committed<()>> {
        let EvictionPlan { options, texts } = plan;
        let mut targets: BTreeMap<EntityId, Vec<MemoryId>> = BTreeMap::new();
        for item in batch.iter() {
            let memory = &item.memory;
            targets
                .entry(memory.entity_id.clone())
                .or_default()
                .push(memory.id);
        }
        for (entity, ids) in &options.evict {
            if let Some(target) = targets.get_mut(entity) {
                target.extend(ids);
            }
        }
        let store = Arc::clone(&self.store);
        let write = async move {
            let outcome = store.insert_opts(&batch, &options).await?;
            Ok(((), committed_inserts(&batch, &outcome)))
        };
        self.writer
            .commit(targets.into_iter().collect(), texts, write)
            .await
    }
}

/// How many memories of a batch each entity has.
fn counts(batch: &[EmbeddedMemory]) -> BTreeMap<EntityId, u64> {
    let mut counts: BTreeMap<EntityId, u64> = BTreeMap::new();
    for item in batch {
        *counts.entry(item.memory.entity_id.clone()).or_default() += 1;
    }
    counts
}

/// The error of a limit of `max` that was `raised`, as what is archived does not count.
fn without_archived(error: MemoryError, max: u64, raised: u64) -> MemoryError {
    match error {
        MemoryError::LimitReached { entity, count, .. } => MemoryError::LimitReached {
            entity,
            count: count.saturating_sub(raised).saturating_add(max),
            max,
        },
        other => other,
    }
}

fn committed_inserts(batch: &[EmbeddedMemory], outcome: &InsertOutcome) -> Vec<CommittedWrite> {
    let generations = outcome.generations.iter();
    let writes = generations.map(|(entity, generation)| {
        let delta = Delta::from_insert(batch, entity, outcome);
        CommittedWrite::new(entity.clone(), *generation, delta)
    });
    writes.collect()
}
