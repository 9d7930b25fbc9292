//! Forgetting: nothing of a memory stays, in whatever it went into.

use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult};

use crate::engine::EngineInner;

impl EngineInner {
    /// Removes a memory, what is archived under it, and every summary above
    /// it. Answers all that is gone.
    pub(crate) async fn forget(
        self: &Arc<Self>,
        entity: &EntityId,
        id: &MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        let memory = self.stored(entity, id).await?;
        // What stands under a summary never changes while it stands there, so
        // it may be read before the transaction.
        let mut gone = self.archived_under(entity, vec![*id]).await?;
        let mut ids = vec![*id];
        ids.extend(gone.iter().map(|memory| memory.id));
        gone.extend(self.summaries_above(entity, &memory).await?);
        gone.push(memory);
        Ok(self.remove(entity, ids, &gone).await?.removed)
    }
}
