//! Which memories are evicted: their order, what is kept of it, and what goes with them.

mod candidates;
mod locks;
mod rank;

use memory_core::{EntityId, Memory, MemoryId, MemoryResult, Store};

use crate::store_scan::archived_under;

pub(crate) use candidates::{EvictionCandidates, KeptCandidates};
pub(crate) use locks::EntityLocks;
pub(crate) use rank::{BottomK, EvictionRank};

/// These memories and, where they are summaries, all that is archived under
/// them: otherwise those would be live again when their summaries are removed.
pub(crate) async fn with_sources(
    store: &dyn Store,
    entity: &EntityId,
    ids: Vec<MemoryId>,
    has_archived: bool,
) -> MemoryResult<Vec<Memory>> {
    let found = store.get(entity, &ids).await?.memories;
    let mut all: Vec<Memory> = found.into_iter().flatten().collect();
    if has_archived {
        all.extend(archived_under(store, entity, ids).await?);
    }
    Ok(all)
}
