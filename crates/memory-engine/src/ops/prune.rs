//! Removing memories of low importance.

use memory_core::{EntityId, MemoryError, MemoryId, MemoryResult};

use crate::blocking::run_blocking;
use crate::engine::{Engine, EngineInner};
use crate::eviction::{BottomK, EVICTION_BATCH, EvictionRank, with_sources};
use crate::store_scan::for_each_live;

/// Memories of a lower current importance than this may be pruned.
///
/// One of the default importance, 0.5, that is never recalled gets there in
/// ln 5 / λ days: an observation after 80, an experience or opinion after 161,
/// a fact about the world after 322.
const PRUNE_THRESHOLD: f32 = 0.1;

impl Engine {
    /// Removes the memories below the threshold, those of the lowest importance
    /// first, while more than `min_keep` are live. Returns the ids of all that
    /// was removed.
    pub async fn prune_low_importance_memories(
        &self,
        entity: &EntityId,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        entity.validate()?;
        let (inner, store) = (&self.inner, &*self.inner.store);
        let stats = store.entity_stats(entity).await?;
        let removable = stats.memory_count.saturating_sub(min_keep);
        let now = inner.clock.now();
        let mut least = BottomK::new(usize::try_from(removable).unwrap_or(usize::MAX));
        for_each_live(store, entity, |memory| {
            let rank = EvictionRank::new(&memory, now);
            if rank.importance < PRUNE_THRESHOLD {
                least.push(rank);
            }
        })
        .await?;
        let least = run_blocking("prune", move || least.into_ids()).await?;
        let mut removed = Vec::new();
        for ids in least.chunks(EVICTION_BATCH) {
            let locks = &inner.inserter.entity_locks;
            let locks = locks.lock_all(std::iter::once(entity)).await;
            let (ids, archived) = inner.still_prunable(entity, ids, min_keep).await?;
            let pruned = with_sources(store, entity, ids, archived);
            let pruned = pruned.await?;
            let ids: Vec<MemoryId> = pruned.iter().map(|memory| memory.id).collect();
            if !ids.is_empty() {
                let committed = match inner.commit_removal(entity, ids, pruned).await {
                    // Others removed all of them meanwhile.
                    Err(MemoryError::NotFound { .. }) => continue,
                    committed => committed?,
                };
                // Vectors are dropped through the embedder, which must not wait while writers
                // do.
                drop(locks);
                removed.extend(committed.finish().await.removed);
            }
        }
        Ok(removed)
    }
}

impl EngineInner {
    /// Those of a batch that are live and still below the threshold, as many as may be removed
    /// now, and how many memories are archived now: the scan of a large entity takes a while.
    async fn still_prunable(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        min_keep: u64,
    ) -> MemoryResult<(Vec<MemoryId>, u64)> {
        let stats = self.store.entity_stats(entity).await?;
        let removable = stats.memory_count.saturating_sub(min_keep);
        let now = self.clock.now();
        let found = self.store.get(entity, ids).await?.memories;
        let prunable = found.into_iter().flatten().filter(|memory| {
            let is_faded = EvictionRank::new(memory, now).importance < PRUNE_THRESHOLD;
            memory.archived_by.is_none() && is_faded
        });
        let prunable = prunable.take(usize::try_from(removable).unwrap_or(usize::MAX));
        let ids = prunable.map(|memory| memory.id).collect();
        Ok((ids, stats.archived_count))
    }
}
