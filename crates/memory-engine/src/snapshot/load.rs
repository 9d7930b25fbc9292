//! Loading a snapshot from the store, in full or as a delta to a base.

use std::sync::Arc;

use memory_core::{
    ChangeSet, EmbedderProfile, EntityId, ErrorKind, Generation, MemoryError, MemoryResult, Store,
};

use super::EntitySnapshot;
use super::delta::INLINE_MEMORIES;

/// Loads the changes since `base`, or everything if there is no base.
///
/// # Errors
/// As [`Store::changes_since`].
pub(crate) async fn load(
    store: &dyn Store,
    profile: &EmbedderProfile,
    entity: &EntityId,
    base: Option<Arc<EntitySnapshot>>,
) -> MemoryResult<Arc<EntitySnapshot>> {
    let since = base
        .as_ref()
        .map_or(Generation::ZERO, |base| base.generation());
    let changes = store
        .changes_since(entity, since, &profile.fingerprint)
        .await?;
    let base = match base {
        Some(base) if base.generation() == changes.generation && !changes.reset => return Ok(base),
        Some(base) => base,
        None => Arc::new(EntitySnapshot::empty(entity.clone(), profile.dimensions)),
    };
    apply(base, changes).await.map(Arc::new)
}

async fn apply(base: Arc<EntitySnapshot>, changes: ChangeSet) -> MemoryResult<EntitySnapshot> {
    // A change of a large snapshot copies its list of memories, and may compact
    // all of it.
    let memories = base.len() + changes.written.len() + changes.removed.len();
    if memories <= INLINE_MEMORIES {
        return Ok(base.apply(changes));
    }
    tokio::task::spawn_blocking(move || base.apply(changes))
        .await
        .map_err(|ended| {
            MemoryError::store(ErrorKind::Other, "load", "the snapshot's task ended early")
                .with_source(ended)
        })
}
