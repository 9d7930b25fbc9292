//! Which memories are evicted: their order, what is kept of it, and what goes with them.

mod candidates;
mod locks;
mod rank;

use memory_core::{EntityId, Memory, MemoryId, MemoryResult, Store};

use crate::store_scan::{archived_under, archived_under_any};

pub(crate) use candidates::{EvictionCandidates, KeptCandidates};
pub(crate) use locks::EntityLocks;
pub(crate) use rank::{BottomK, EvictionRank};

/// Memories removed in one transaction, so that concurrent readers and writers
/// do not wait long.
pub(crate) const EVICTION_BATCH: usize = 500;

/// Up to this many archived memories per summary, reading all of them once takes less time than a
/// statement per summary.
const SCANNED_PER_SUMMARY: u64 = 8;

/// These memories and, where they are summaries, all that is archived under
/// them: otherwise those would be live again when their summaries are removed.
pub(crate) async fn with_sources(
    store: &dyn Store,
    entity: &EntityId,
    ids: Vec<MemoryId>,
    archived_count: u64,
) -> MemoryResult<Vec<Memory>> {
    let found = store.get(entity, &ids).await?.memories;
    let mut all: Vec<Memory> = found.into_iter().flatten().collect();
    let archived = match archived_count {
        0 => Vec::new(),
        count if count <= SCANNED_PER_SUMMARY * ids.len() as u64 => {
            archived_under_any(store, entity, ids).await?
        }
        _ => archived_under(store, entity, ids).await?,
    };
    all.extend(archived);
    Ok(all)
}
