//! Reading a snapshot from the store, whole or by what changed.

use std::sync::Arc;

use memory_core::{EntityId, Generation, MemoryResult, Store};

use super::EntitySnapshot;
use memory_core::EmbedderProfile;

/// Reads what `base` lacks, or everything where there is no base.
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
    match base {
        Some(base) if base.generation() == changes.generation && !changes.reset => Ok(base),
        Some(base) => Ok(Arc::new(base.apply(changes))),
        None => {
            let empty = EntitySnapshot::empty(entity.clone(), profile.dimensions);
            Ok(Arc::new(empty.apply(changes)))
        }
    }
}
