//! Writing a batch where there is room, and making room for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, EntityId, InsertOptions, InsertOutcome, LimitPolicy, Memory, MemoryError,
    MemoryId, MemoryResult,
};

use super::scan::each_live;
use crate::consolidation::{BottomK, EvictionRank, jittered_backoff};
use crate::engine::EngineInner;
use crate::snapshot::Delta;

/// How often room is made anew where writers of other processes took it.
const MAX_TRIES: u32 = 20;

/// What gives way to a batch, and the texts whose vectors go with it.
struct Evictions {
    room: InsertOptions,
    texts: Vec<String>,
}

impl EngineInner {
    /// Inserts a batch, all or nothing, within the limit of each entity.
    pub(super) async fn insert(self: &Arc<Self>, batch: Vec<EmbeddedMemory>) -> MemoryResult<()> {
        let batch: Arc<[EmbeddedMemory]> = batch.into();
        match (
            self.config.max_memories_per_entity,
            self.config.limit_policy,
        ) {
            (None, _) => self.insert_opts(batch, InsertOptions::unlimited()).await?,
            (Some(max), LimitPolicy::Prune) => return self.insert_pruning(batch, max).await,
            (Some(max), _) => self.insert_opts(batch, InsertOptions::at_most(max)).await?,
        };
        Ok(())
    }

    /// Lets what matters least give way. The store counts in its transaction,
    /// so that the limit holds; where somebody else wrote between the choice
    /// and the transaction, the choice is made anew.
    async fn insert_pruning(
        self: &Arc<Self>,
        batch: Arc<[EmbeddedMemory]>,
        max: u64,
    ) -> MemoryResult<()> {
        let mut counts: BTreeMap<EntityId, u64> = BTreeMap::new();
        for prepared in batch.iter() {
            *counts.entry(prepared.memory.entity_id.clone()).or_default() += 1;
        }
        let guards = self.entity_locks.lock_all(counts.keys()).await;
        let mut tries = 0;
        let texts = loop {
            let Evictions { room, texts } = self.make_room(&counts, max).await?;
            match self.insert_opts(Arc::clone(&batch), room).await {
                Err(MemoryError::LimitReached { .. }) if tries < MAX_TRIES => {
                    tries += 1;
                    jittered_backoff(tries).await;
                }
                outcome => break outcome.map(|_| texts)?,
            }
        };
        // No turn is held while texts are cut into chunks.
        drop(guards);
        self.forget_texts(&texts).await;
        Ok(())
    }

    async fn make_room(
        &self,
        counts: &BTreeMap<EntityId, u64>,
        max: u64,
    ) -> MemoryResult<Evictions> {
        let mut evictions = Evictions {
            room: InsertOptions::at_most(max),
            texts: Vec::new(),
        };
        for (entity, &new) in counts {
            let stats = self.store.entity_stats(entity).await?;
            let count = stats.memory_count.saturating_add(new);
            let Some(excess) = count.checked_sub(max).filter(|excess| *excess > 0) else {
                continue;
            };
            let spare = stats
                .memory_count
                .saturating_sub(self.config.prune_min_keep);
            if excess > spare {
                let entity = entity.clone();
                return Err(MemoryError::LimitReached { entity, count, max });
            }
            let ids = self.least_important(entity, excess).await?;
            let gone = self
                .with_sources(entity, ids, stats.archived_count > 0)
                .await?;
            let ids: Vec<MemoryId> = gone.iter().map(|memory| memory.id).collect();
            evictions.room = evictions.room.evict(entity.clone(), ids);
            let texts = gone.into_iter().map(|memory| memory.content);
            evictions.texts.extend(texts);
        }
        Ok(evictions)
    }

    /// The live memories of the lowest current importance. O(live memories):
    /// pages through all of them.
    async fn least_important(&self, entity: &EntityId, count: u64) -> MemoryResult<Vec<MemoryId>> {
        let now = self.clock.now();
        let mut lowest = BottomK::new(usize::try_from(count).unwrap_or(usize::MAX));
        each_live(&*self.store, entity, |memory| {
            lowest.push(EvictionRank::new(&memory, now));
        })
        .await?;
        Ok(lowest.into_ids())
    }

    /// These memories and, where they are summaries, all that is archived
    /// under them: else it would be live again when they are gone.
    pub(super) async fn with_sources(
        &self,
        entity: &EntityId,
        ids: Vec<MemoryId>,
        any_archived: bool,
    ) -> MemoryResult<Vec<Memory>> {
        let found = self.store.get(entity, &ids).await?.memories;
        let mut all: Vec<Memory> = found.into_iter().flatten().collect();
        if any_archived {
            all.extend(self.archived_under(entity, ids).await?);
        }
        Ok(all)
    }

    async fn insert_opts(
        self: &Arc<Self>,
        batch: Arc<[EmbeddedMemory]>,
        room: InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let mut targets: BTreeMap<EntityId, Vec<MemoryId>> = BTreeMap::new();
        for prepared in batch.iter() {
            let memory = &prepared.memory;
            targets
                .entry(memory.entity_id.clone())
                .or_default()
                .push(memory.id);
        }
        // Of a write whose outcome is not known, what was to give way may be
        // gone as well.
        for (entity, ids) in &room.evict {
            if let Some(target) = targets.get_mut(entity) {
                target.extend(ids);
            }
        }
        let (store, inserted) = (Arc::clone(&self.store), Arc::clone(&batch));
        self.commit(
            targets.into_iter().collect(),
            async move { store.insert_opts(&batch, &room).await },
            move |tiers, (entity, ids), outcome| match outcome.generations.get(entity) {
                Some(generation) => {
                    let delta = Delta::from_insert(&inserted, entity, outcome);
                    tiers.follow(entity, *generation, &delta, None);
                }
                None => tiers.distrust(entity, ids),
            },
        )
        .await
    }
}
