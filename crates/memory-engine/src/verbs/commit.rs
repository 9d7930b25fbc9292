//! Writes that end well: whatever becomes of the caller, the tiers follow.

use std::future::Future;
use std::sync::Arc;

use memory_core::{EntityId, ErrorKind, MemoryError, MemoryId, MemoryResult};

use crate::engine::EngineInner;
use crate::tiers::Tiers;

/// Which memories of an entity a write is about.
pub(crate) type Target = (EntityId, Vec<MemoryId>);

impl EngineInner {
    /// Runs `write` in a task of its own and lets the tiers `follow` it for
    /// each target, before the caller learns of it and even when the caller is
    /// gone.
    pub(crate) async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        targets: Vec<Target>,
        write: impl Future<Output = MemoryResult<T>> + Send + 'static,
        follow: impl Fn(&Tiers, &Target, &T) + Send + 'static,
    ) -> MemoryResult<T> {
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut doubt = Doubt {
                tiers: &shared.tiers,
                targets,
            };
            let outcome = write.await;
            match &outcome {
                Ok(done) => {
                    for target in doubt.targets.drain(..) {
                        follow(&shared.tiers, &target, done);
                    }
                }
                Err(error) if wrote_nothing(error) => doubt.targets.clear(),
                Err(_) => {}
            }
            drop(doubt);
            outcome
        });
        task.await.unwrap_or_else(|ended| {
            Err(MemoryError::store(
                ErrorKind::OutcomeUnknown,
                "write",
                "the write's task ended before it answered",
            )
            .with_source(ended))
        })
    }
}

/// Whether the store refused the write before it began.
const fn wrote_nothing(error: &MemoryError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput
            | ErrorKind::Conflict
            | ErrorKind::NotFound
            | ErrorKind::Archived
            | ErrorKind::Changed
            | ErrorKind::LimitReached
    )
}

/// Trusts nothing of the targets that are left when it is dropped: the write
/// failed, panicked or was cut off, and may have been committed all the same.
struct Doubt<'a> {
    tiers: &'a Tiers,
    targets: Vec<Target>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        for (entity, ids) in &self.targets {
            tracing::warn!(%entity, "a write's outcome is not known; its entity will be read anew");
            self.tiers.distrust(entity, ids);
        }
    }
}
