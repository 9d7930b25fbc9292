//! The operations of an [`Engine`], one file each; this one has those that need
//! one statement of the store, and the tiers' own.

#![expect(
    clippy::missing_errors_doc,
    reason = "the facade, which declares them for users, documents the errors"
)]

mod alter;
mod consolidate;
mod delete;
mod forget;
mod list;
mod list_as_of;
mod prune;
mod recall;
mod reembed;
mod reflect;
mod relate;
mod restore;
mod retain;

pub use reembed::{ReembedReport, ReembedRequest, Reembedding};
pub use reflect::{ReflectRequest, Reflection};
pub use relate::{LinkDirection, RelatedMemory};
pub use restore::RestoreItem;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    BackupOptions, CacheStats, Consistency, EntityId, EntityStats, ErrorKind, Fingerprint,
    Generation, MaintenanceReport, MaintenanceRequest, Memory, MemoryConfig, MemoryError,
    MemoryFilter, MemoryId, MemoryResult, limits,
};
use memory_metrics::{Operation, observe};
use tracing::{Instrument, trace};

use crate::engine::{Engine, EngineInner};

impl Engine {
    /// Embeds texts as passages; one L2-normalized vector per text, in order.
    pub async fn generate_embeddings_batch(
        &self,
        texts: &[String],
    ) -> MemoryResult<Vec<Arc<[f32]>>> {
        for (index, text) in texts.iter().enumerate() {
            limits::check_content(text)
                .map_err(|problem| MemoryError::from(problem).with_item(index))?;
        }
        self.inner.reader.check_open("embed")?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embedded = self.inner.embedder.embed_passages(&texts).await?;
        Ok(embedded.into_iter().map(|text| text.vector).collect())
    }

    /// Embeds one word by the embedder itself, past the tiers.
    pub async fn check_embedder(&self) -> MemoryResult<()> {
        self.inner.reader.check_open("check embedder")?;
        self.inner.embedder.check().await
    }

    /// Reads one memory.
    ///
    /// It records its own metrics, where the facade does for other operations: what
    /// the memory tier answers takes about 200 ns, and reading the clock twice would
    /// add a quarter to that. So hits are counted, by the tier, and loads are timed.
    #[inline]
    pub async fn get_memory(&self, entity: &EntityId, id: &MemoryId) -> MemoryResult<Arc<Memory>> {
        let reader = &self.inner.reader;
        match reader.cached_memory(entity, id) {
            Ok(memory) => {
                trace!(operation = Operation::GetMemory.name(), hits = 1);
                Ok(memory)
            }
            Err(freshness) => {
                let load = reader.load_memory(entity, id, freshness);
                observe(Operation::GetMemory, load).await
            }
        }
    }

    /// Reads memories; one result per id, in order, `None` where the entity has
    /// none.
    pub async fn get_memories(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        self.inner.reader.memories(entity, ids).await
    }

    /// Counts the memories that a filter matches.
    pub async fn count_memories(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
    ) -> MemoryResult<u64> {
        entity.validate()?;
        filter.validate()?;
        self.inner.store.count(entity, filter).await
    }

    /// Generation and number of memories.
    pub async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        entity.validate()?;
        self.inner.store.entity_stats(entity).await
    }

    /// The configuration that the engine was built with.
    #[must_use]
    pub fn config(&self) -> &MemoryConfig {
        &self.inner.config
    }

    /// How soon a read sees what others wrote: as configured, else as the store demands.
    pub fn consistency(&self) -> Consistency {
        let writers = self.inner.store.capabilities().writers;
        self.inner.config.effective_consistency(writers)
    }

    /// How often the entity was written to; without a statement where that is cached.
    pub async fn entity_generation(&self, entity: &EntityId) -> MemoryResult<Generation> {
        entity.validate()?;
        self.inner.reader.generation(entity).await
    }

    /// Counts the memories that have vectors of each model.
    pub async fn count_by_model(
        &self,
        entity: &EntityId,
    ) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        entity.validate()?;
        self.inner.store.count_by_model(entity).await
    }

    /// Lists entities that have memories, after `after`, in order.
    pub async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.inner.store.list_entities(after, limit).await
    }

    /// Statistics of the tiers.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.inner.tiers.stats()
    }

    /// Drops everything in all three tiers.
    pub fn clear_all_caches(&self) {
        self.inner.tiers.clear();
    }

    /// Drops one memory of the memory tier.
    pub fn invalidate_memory_cache(&self, id: &MemoryId) {
        self.inner.tiers.invalidate_memory(id);
    }

    /// Drops an entity's snapshot.
    pub fn invalidate_entity_cache(&self, entity: &EntityId) {
        self.inner.tiers.invalidate_entity(entity);
    }

    /// Loads the snapshots of the entities whose memories were accessed last, of 1 to
    /// 1,000, without pauses, while the entity tier is less than half full. Returns how
    /// many it loaded: those that are cached already are not.
    ///
    /// [`MemoryConfig::warm_entities`](memory_core::MemoryConfig::warm_entities) does
    /// the same in the background after a start.
    ///
    /// # Errors
    /// [`MemoryError::Unsupported`] where the store does not list entities by their
    /// accesses; those of its reads. What was loaded until then stays.
    pub async fn warm(&self, max_entities: usize) -> MemoryResult<usize> {
        self.inner
            .reader
            .warm(max_entities, |_| Duration::ZERO)
            .await
    }

    /// Copies the whole database to a new file, with the access counts so far.
    pub async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        self.inner.access_recorder.flush_before_close().await;
        self.inner.store.backup(target, options).await
    }

    /// Maintains the approximate indexes of the store.
    pub async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        request.validate()?;
        self.inner.store.maintain_indexes(request).await
    }

    /// Ends loads in the background, writes pending access counts and closes the store
    /// and the shared cache: in a task of its own, so that a dropped caller leaves no
    /// system that is closed in part.
    pub async fn close(&self) -> MemoryResult<()> {
        let inner = Arc::clone(&self.inner);
        let closing = tokio::spawn(async move { inner.close().await }.in_current_span());
        closing.await.unwrap_or_else(|ended| {
            let message = "the task that closes ended before it returned";
            Err(MemoryError::store(ErrorKind::Other, "close", message).with_source(ended))
        })
    }
}

impl EngineInner {
    async fn close(&self) -> MemoryResult<()> {
        let (reader, store) = (&self.reader, &self.store);
        self.warming.stop();
        reader.background_loads.stop();
        self.access_recorder.flush_before_close().await;
        let closed = store.close().await;
        match closed.is_ok() && store.capabilities().closes {
            true => reader.close(),
            // It answers as before.
            false => reader.background_loads.resume(),
        }
        self.tiers.close().await;
        // The counters of a short program would be lost otherwise.
        memory_metrics::publish();
        self.metrics.stop_publishing();
        closed
    }
}
