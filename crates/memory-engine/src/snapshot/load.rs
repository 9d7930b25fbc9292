//! Loading a snapshot from the store, in full or as a delta to a base.

use std::sync::Arc;
use std::time::Instant;

use memory_core::{
    ChangeSet, EmbedderProfile, EntityId, ErrorKind, Generation, Language, MemoryError,
    MemoryResult, Store,
};
use memory_metrics::label;

use super::EntitySnapshot;
use super::delta::INLINE_MEMORIES;

/// Loads the changes since `base`, or everything if there is no base; a snapshot keeps
/// the `language` that its first version was made with.
///
/// # Errors
/// As [`Store::changes_since`].
pub(crate) async fn load(
    store: &dyn Store,
    profile: &EmbedderProfile,
    entity: &EntityId,
    language: Option<Language>,
    base: Option<Arc<EntitySnapshot>>,
) -> MemoryResult<Arc<EntitySnapshot>> {
    let since = base
        .as_ref()
        .map_or(Generation::ZERO, |base| base.generation());
    let started = Instant::now();
    let changes = store
        .changes_since(entity, since, &profile.fingerprint)
        .await?;
    let is_full = base.is_none() || changes.reset;
    if !is_full {
        record_lag(since, changes.generation);
    }
    let base = match base {
        Some(base) if base.generation() == changes.generation && !changes.reset => return Ok(base),
        Some(base) => base,
        None => {
            let dimensions = profile.dimensions;
            Arc::new(EntitySnapshot::empty(entity.clone(), dimensions, language))
        }
    };
    let snapshot = apply(base, changes).await.map(Arc::new)?;
    record_load(is_full, &snapshot, started);
    Ok(snapshot)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram needs no more than 53 bits"
)]
fn record_lag(since: Generation, latest: Generation) {
    let lag = latest.0.saturating_sub(since.0) as f64;
    memory_metrics::SNAPSHOT_GENERATION_LAG.record(&[], lag);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram needs no more than 53 bits"
)]
fn record_load(is_full: bool, snapshot: &EntitySnapshot, started: Instant) {
    let kind = if is_full {
        memory_metrics::SNAPSHOT_BYTES.record(&[], snapshot.size_bytes() as f64);
        label!("kind": "full")
    } else {
        label!("kind": "changes")
    };
    memory_metrics::SNAPSHOT_LOADS.increment(kind, 1);
    memory_metrics::SNAPSHOT_LOAD_DURATION.record_duration(kind, started.elapsed());
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
