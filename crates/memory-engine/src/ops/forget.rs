//! Forgetting a memory: nothing of it stays, in whatever it became part of.

use memory_core::{EntityId, MemoryId, MemoryResult};

use crate::engine::Engine;
use crate::store_scan::{archived_under, stored_memory, summaries_above};

impl Engine {
    /// Removes a memory, all that is archived under it, and every summary above
    /// it. Returns the ids of all that was removed.
    pub async fn forget(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Vec<MemoryId>> {
        let store = &*self.inner.store;
        let memory = stored_memory(store, entity, id).await?;
        // What is archived under a summary does not change while it is, so it
        // may be read before the transaction.
        let mut removed = archived_under(store, entity, vec![*id]).await?;
        let mut ids = vec![*id];
        ids.extend(removed.iter().map(|memory| memory.id));
        removed.extend(summaries_above(store, entity, &memory).await?);
        removed.push(memory);
        Ok(self.inner.remove(entity, ids, removed).await?.removed)
    }
}
