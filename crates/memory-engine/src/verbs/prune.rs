//! Throwing out what has faded.

use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult};

use super::scan::each_live;
use crate::consolidation::{BottomK, EvictionRank};
use crate::engine::EngineInner;

/// A memory of less current importance than this has faded.
///
/// One of the default importance, 0.5, that is never recalled gets there in
/// ln 5 / λ days: an observation after 80, an experience or opinion after 161,
/// a fact about the world after 322.
pub(crate) const PRUNE_THRESHOLD: f32 = 0.1;

/// Memories removed in one transaction, so that readers and writers beside it
/// do not wait long.
const BATCH: usize = 500;

impl EngineInner {
    /// Removes the memories that have faded, the faintest first, while more
    /// than `min_keep` are live. Answers all that is gone.
    pub(crate) async fn prune_low_importance_memories(
        self: &Arc<Self>,
        entity: &EntityId,
        min_keep: u64,
    ) -> MemoryResult<Vec<MemoryId>> {
        entity.validate()?;
        let _guard = self.entity_locks.lock_all(std::iter::once(entity)).await;
        let stats = self.store.entity_stats(entity).await?;
        let spare = stats.memory_count.saturating_sub(min_keep);
        let now = self.clock.now();
        let mut lowest = BottomK::new(usize::try_from(spare).unwrap_or(usize::MAX));
        each_live(&*self.store, entity, |memory| {
            let rank = EvictionRank::new(&memory, now);
            if rank.importance < PRUNE_THRESHOLD {
                lowest.push(rank);
            }
        })
        .await?;
        let mut removed = Vec::new();
        for ids in lowest.into_ids().chunks(BATCH) {
            let gone = self
                .with_sources(entity, ids.to_vec(), stats.archived_count > 0)
                .await?;
            let ids: Vec<MemoryId> = gone.iter().map(|memory| memory.id).collect();
            if !ids.is_empty() {
                removed.extend(self.remove(entity, ids, &gone).await?.removed);
            }
        }
        Ok(removed)
    }
}
