//! Removing memories of low importance.

use memory_core::{EntityId, MemoryId, MemoryResult};

use crate::consolidation::{BottomK, EvictionRank};
use crate::engine::Engine;
use crate::insert::with_sources;
use crate::store_scan::for_each_live;

/// Memories of a lower current importance than this may be pruned.
///
/// One of the default importance, 0.5, that is never recalled gets there in
/// ln 5 / λ days: an observation after 80, an experience or opinion after 161,
/// a fact about the world after 322.
const PRUNE_THRESHOLD: f32 = 0.1;

/// Memories removed in one transaction, so that concurrent readers and writers
/// do not wait long.
const BATCH: usize = 500;

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
        let locks = inner
            .inserter
            .entity_locks
            .lock_all(std::iter::once(entity));
        let _locks = locks.await;
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
        let mut removed = Vec::new();
        for ids in least.into_ids().chunks(BATCH) {
            let pruned = with_sources(store, entity, ids.to_vec(), stats.archived_count > 0);
            let pruned = pruned.await?;
            let ids: Vec<MemoryId> = pruned.iter().map(|memory| memory.id).collect();
            if !ids.is_empty() {
                removed.extend(inner.remove(entity, ids, pruned).await?.removed);
            }
        }
        Ok(removed)
    }
}
