//! Committing writes and applying them to the tiers.

use std::future::Future;
use std::sync::Arc;

use memory_core::{
    EntityId, ErrorKind, Memory, MemoryError, MemoryId, MemoryResult, RemoveOutcome, Store,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::content_embedder::ContentEmbedder;
use crate::snapshot::Delta;
use crate::tiers::{CommittedWrite, Tiers};

/// The memories of an entity that a write is asked to change.
pub(crate) type WriteTarget = (EntityId, Vec<MemoryId>);

/// Runs writes in tasks of their own, so that a dropped caller never leaves the
/// tiers behind the store.
#[derive(Clone)]
pub(crate) struct Writer {
    tiers: Arc<Tiers>,
    /// Those whose vectors of removed texts are dropped.
    embedders: Vec<ContentEmbedder>,
}

/// A committed write, applied to the tiers. The vectors of texts that it
/// removed are dropped in the background.
pub(crate) struct Committed<T> {
    outcome: T,
    cleanup: VectorCleanup,
}

/// Drops the cached vectors of texts that no memory has any more, in the background.
pub(crate) struct VectorCleanup(Option<JoinHandle<()>>);

impl VectorCleanup {
    /// Starts nothing where there are no texts.
    pub(crate) fn start(embedders: Vec<ContentEmbedder>, texts: Vec<String>) -> Self {
        let cleanup = (!texts.is_empty()).then(|| {
            tokio::spawn(async move {
                for embedder in &embedders {
                    embedder.remove_cached(&texts).await;
                }
            })
        });
        Self(cleanup)
    }

    /// Waits until no vector of the texts is cached. It takes the embedder's tokenizer, so
    /// no lock may be held.
    pub(crate) async fn finish(self) {
        if let Some(cleanup) = self.0 {
            // It ends early only with the runtime, and the tiers with it.
            cleanup.await.ok();
        }
    }
}

/// Texts that are embedded before they are written, and are made from memories that may be
/// forgotten meanwhile. Unless they were written, no vector of them stays cached, also where
/// the caller is dropped.
pub(crate) struct UnwrittenTexts {
    embedder: ContentEmbedder,
    texts: Vec<String>,
}

impl UnwrittenTexts {
    pub(crate) const fn new(embedder: ContentEmbedder, texts: Vec<String>) -> Self {
        Self { embedder, texts }
    }

    /// Keeps the vectors.
    pub(crate) fn keep(mut self) {
        self.texts.clear();
    }

    /// Removes the vectors, and waits until that is done.
    pub(crate) async fn remove(mut self) {
        let texts = std::mem::take(&mut self.texts);
        VectorCleanup::start(vec![self.embedder.clone()], texts)
            .finish()
            .await;
    }
}

impl Drop for UnwrittenTexts {
    fn drop(&mut self) {
        // Without a runtime, the caches end.
        if Handle::try_current().is_ok() {
            let texts = std::mem::take(&mut self.texts);
            VectorCleanup::start(vec![self.embedder.clone()], texts);
        }
    }
}

impl<T> Committed<T> {
    pub(crate) const fn outcome(&self) -> &T {
        &self.outcome
    }

    /// Waits until no vector of a removed text is cached; see [`VectorCleanup::finish`].
    pub(crate) async fn finish(self) -> T {
        self.cleanup.finish().await;
        self.outcome
    }
}

impl Writer {
    pub(crate) const fn new(tiers: Arc<Tiers>, embedders: Vec<ContentEmbedder>) -> Self {
        Self { tiers, embedders }
    }

    /// Removes `ids` of an entity in one transaction. `removed` is all that this removes;
    /// none of it keeps a vector in the embedding tier.
    pub(crate) async fn remove(
        &self,
        store: &Arc<dyn Store>,
        entity: &EntityId,
        ids: Vec<MemoryId>,
        removed: Vec<Memory>,
    ) -> MemoryResult<Committed<RemoveOutcome>> {
        let targets = vec![(entity.clone(), ids.clone())];
        let texts = removed.into_iter().map(|memory| memory.content).collect();
        let (store, owner) = (Arc::clone(store), entity.clone());
        let write = async move {
            let outcome = store.delete(&owner, &ids).await?;
            let delta = Delta::from_removal(&ids, &outcome);
            let write = CommittedWrite::new(owner, outcome.generation, delta);
            Ok((outcome, vec![write]))
        };
        self.commit(targets, texts, write).await
    }

    /// Runs `write`, which returns its outcome and what it did to each entity,
    /// and applies that to the tiers before the caller gets the outcome.
    /// `removed_texts` are those that no memory has any more if it succeeds.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        targets: Vec<WriteTarget>,
        removed_texts: Vec<String>,
        write: impl Future<Output = MemoryResult<(T, Vec<CommittedWrite>)>> + Send + 'static,
    ) -> MemoryResult<Committed<T>> {
        let Self { tiers, embedders } = self.clone();
        let write_and_apply = async move {
            let mut guard = UncertainWriteGuard::new(tiers, targets);
            let result = write.await;
            match &result {
                Ok((_, writes)) => {
                    for write in writes {
                        guard.tiers.apply_write(write).await;
                        guard.certain(|entity| *entity == write.entity);
                    }
                }
                Err(error) if error.kind().is_without_effect() => {
                    guard.certain(|_| true);
                    return Err(error.clone());
                }
                Err(_) => {}
            }
            drop(guard);
            // Also after an unknown outcome, as the write may have succeeded.
            let cleanup = VectorCleanup::start(embedders, removed_texts);
            result.map(|(outcome, _)| Committed { outcome, cleanup })
        };
        run_to_end("write", write_and_apply).await
    }
}

/// Runs a write in a task of its own, which ends also where the caller is dropped.
pub(crate) async fn run_to_end<T: Send + 'static>(
    operation: &'static str,
    write: impl Future<Output = MemoryResult<T>> + Send + 'static,
) -> MemoryResult<T> {
    let task = tokio::spawn(write.in_current_span());
    task.await.unwrap_or_else(|ended| {
        let message = "the write's task ended before it returned";
        let error = MemoryError::store(ErrorKind::OutcomeUnknown, operation, message);
        Err(error.with_source(ended))
    })
}

/// On drop, trusts nothing of the remaining targets' entities: the write
/// failed, panicked or was cut off, and may have been committed nevertheless.
struct UncertainWriteGuard {
    tiers: Arc<Tiers>,
    targets: Vec<WriteTarget>,
}

impl UncertainWriteGuard {
    fn new(tiers: Arc<Tiers>, targets: Vec<WriteTarget>) -> Self {
        for (entity, _) in &targets {
            tiers.coherence.write_begins(entity);
        }
        Self { tiers, targets }
    }

    /// Drops the targets whose tiers are known to be up to date.
    fn certain(&mut self, is_certain: impl Fn(&EntityId) -> bool) {
        let Self { tiers, targets } = self;
        targets.retain(|(entity, _)| {
            let is_certain = is_certain(entity);
            if is_certain {
                tiers.coherence.write_ended(entity);
            }
            !is_certain
        });
    }
}

impl Drop for UncertainWriteGuard {
    fn drop(&mut self) {
        for (entity, ids) in &self.targets {
            tracing::warn!("outcome of a write unknown; its entity is read again");
            self.tiers.invalidate_uncertain(entity, ids);
            self.tiers.coherence.write_ended(entity);
        }
    }
}
