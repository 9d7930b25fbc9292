//! The handle that downstream code holds.

use std::sync::Arc;

#[cfg(doc)]
use memory_core::MemoryConfig;
use memory_core::{
    CacheStats, EntityId, EntityStats, ErrorKind, ListPage, ListRequest, Memory, MemoryBatchItem,
    MemoryError, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryResult,
};
use memory_engine::{Engine, RecallHit, RecallRequest};

use crate::builder::MemorySystemBuilder;

/// The memory system. Cloning is cheap and shares everything; all methods may
/// be called from many tasks at once.
///
/// **Cancellation.** A dropped write runs to its end by itself, whole or not
/// at all; a dropped read is abandoned.
#[derive(Debug, Clone)]
pub struct MemorySystem {
    engine: Engine,
}

impl MemorySystem {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Opens a database with the defaults: the store that the URL names, the
    /// all-MiniLM-L6-v2 embedder, moka caches, the balanced configuration.
    ///
    /// With the feature `postgres`, `postgres://user@host/database` is a
    /// PostgreSQL with pgvector.
    ///
    /// `sqlite://agent.db` is a file beside you, made if it is not there;
    /// `sqlite:///var/lib/agent.db` an absolute path; `sqlite::memory:` a
    /// database that ends with the process.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for a URL that no store answers to;
    /// [`ErrorKind::Missing`] when runtime or model are not there, listing
    /// every place that was looked in and the command that mends it; the
    /// store's own errors for a file that is foreign, newer, locked or damaged.
    pub async fn open(url: &str) -> MemoryResult<Self> {
        Self::builder().url(url).build().await
    }

    /// Opens a PostgreSQL database through a pool of the caller's, with the
    /// default embedder and caches. Closing the system leaves the pool open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "postgres")]
    pub async fn with_pool(
        pool: memory_pg::PgPool,
        config: memory_core::MemoryConfig,
    ) -> MemoryResult<Self> {
        let store = memory_pg::PgStore::with_pool(pool).await?;
        Self::builder()
            .store(Arc::new(store))
            .config(config)
            .build()
            .await
    }

    /// Chooses the parts one by one.
    #[must_use]
    pub fn builder() -> MemorySystemBuilder {
        MemorySystemBuilder::default()
    }

    /// Retains one memory that happened now.
    ///
    /// # Errors
    /// As [`retain_batch`](Self::retain_batch).
    pub async fn retain(
        &self,
        entity: impl Into<EntityId>,
        kind: MemoryKind,
        content: impl Into<String>,
    ) -> MemoryResult<MemoryId> {
        let ids = self
            .retain_batch(vec![MemoryBatchItem::new(entity, kind, content)])
            .await?;
        ids.into_iter().next().ok_or_else(|| {
            MemoryError::store(ErrorKind::Corrupt, "retain", "the store answered no id")
        })
    }

    /// Retains a batch, of one or several entities, all or nothing: everything
    /// is validated, what is not embedded yet is embedded in one batch, and all
    /// is written in one transaction. Answers the ids, in order.
    ///
    /// An item that brings its own id is written once: the same id with the
    /// same content again is a no-op.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the item and the bound;
    /// [`MemoryError::Conflict`] for an id that exists with other content;
    /// [`MemoryError::LimitReached`] where
    /// [`max_memories_per_entity`](MemoryConfig::max_memories_per_entity)
    /// leaves no room; the embedder's and the store's own. Nothing is written then, unless
    /// [`ErrorKind::OutcomeUnknown`] says that it cannot be told.
    pub async fn retain_batch(&self, items: Vec<MemoryBatchItem>) -> MemoryResult<Vec<MemoryId>> {
        self.engine.retain_batch(items).await
    }

    /// Embeds texts as they would be retained, without retaining them; one
    /// L2-normalized vector per text, in order. What is held in the embedding
    /// tier is not computed again.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a blank or overlong text; the
    /// embedder's own.
    pub async fn generate_embeddings_batch(
        &self,
        texts: &[String],
    ) -> MemoryResult<Vec<Arc<[f32]>>> {
        self.engine.generate_embeddings_batch(texts).await
    }

    /// Recalls what matters to a text, best first. Takes a text, or a
    /// [`RecallRequest`] with filters, limit and ranking.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the bound; the embedder's and the
    /// store's own.
    pub async fn recall(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<RecallRequest>,
    ) -> MemoryResult<Vec<RecallHit>> {
        self.engine.recall(&entity.into(), &request.into()).await
    }

    /// Reads one memory.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`], also for a memory of another entity; the
    /// store's own.
    pub async fn get_memory(
        &self,
        entity: impl Into<EntityId>,
        id: &MemoryId,
    ) -> MemoryResult<Arc<Memory>> {
        self.engine.get_memory(&entity.into(), id).await
    }

    /// Reads memories; one answer per id, in order, `None` where the entity
    /// has none.
    ///
    /// # Errors
    /// The store's own.
    pub async fn get_memories(
        &self,
        entity: impl Into<EntityId>,
        ids: &[MemoryId],
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        self.engine.get_memories(&entity.into(), ids).await
    }

    /// Reads a page of memories, newest first.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the bound; the store's own.
    pub async fn list_memories(
        &self,
        entity: impl Into<EntityId>,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        self.engine.list_memories(&entity.into(), request).await
    }

    /// Counts what a filter admits; everything with `&MemoryFilter::new()`.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the bound; the store's own.
    pub async fn count_memories(
        &self,
        entity: impl Into<EntityId>,
        filter: &MemoryFilter,
    ) -> MemoryResult<u64> {
        self.engine.count_memories(&entity.into(), filter).await
    }

    /// Changes one memory and answers it as it then stands. New content is
    /// embedded anew, and memory and vectors change in one transaction.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; [`MemoryError::InvalidInput`] naming the
    /// bound; the embedder's and the store's own.
    pub async fn alter_memory(
        &self,
        entity: impl Into<EntityId>,
        id: &MemoryId,
        patch: &MemoryPatch,
    ) -> MemoryResult<Arc<Memory>> {
        self.engine.alter_memory(&entity.into(), id, patch).await
    }

    /// Removes one memory for good: its row, its vectors, links to it, and every
    /// trace of it in the tiers.
    ///
    /// Where it is a summary, what it stood for is live again, as by
    /// [`undo_consolidation`](Self::undo_consolidation); where it is archived,
    /// the summaries above it, which may tell what it told, go too.
    /// [`forget`](Self::forget) also removes what is archived under it.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; the store's own.
    pub async fn delete_memory(
        &self,
        entity: impl Into<EntityId>,
        id: &MemoryId,
    ) -> MemoryResult<()> {
        self.engine.delete_memory(&entity.into(), id).await
    }

    /// How often the entity was written to, and how many memories it holds.
    ///
    /// # Errors
    /// The store's own.
    pub async fn entity_stats(&self, entity: impl Into<EntityId>) -> MemoryResult<EntityStats> {
        self.engine.entity_stats(&entity.into()).await
    }

    /// Names entities that hold memories, after `after`, in order: for
    /// administrators; it reads no memory.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a limit out of bounds; the store's own.
    pub async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.engine.list_entities(after, limit).await
    }

    /// What the three tiers did since the system was opened.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.engine.cache_stats()
    }

    /// Lets go of everything in all three tiers. Never needed for correctness.
    pub fn clear_all_caches(&self) {
        self.engine.clear_all_caches();
    }

    /// Lets go of one memory in the memory tier, as after a change made behind
    /// this system's back.
    pub fn invalidate_memory_cache(&self, id: &MemoryId) {
        self.engine.invalidate_memory_cache(id);
    }

    /// Lets go of an entity's snapshot, as after a change made behind this
    /// system's back.
    pub fn invalidate_entity_cache(&self, entity: &EntityId) {
        self.engine.invalidate_entity_cache(entity);
    }

    /// Finishes what is under way, writes what access counts wait, and closes
    /// the store. Calls after it answer
    /// with [`ErrorKind::Closed`]. Dropping the last handle closes it too, but
    /// does not wait.
    ///
    /// # Errors
    /// The store's own.
    pub async fn close(&self) -> MemoryResult<()> {
        self.engine.close().await
    }
}
