//! The handle that downstream code uses: retain, recall, read, alter, delete.

use std::sync::Arc;

use chrono::{DateTime, Utc};
#[cfg(doc)]
use memory_core::MemoryConfig;
use memory_core::{
    EntityId, ErrorKind, ListPage, ListRequest, Memory, MemoryBatchItem, MemoryError, MemoryFilter,
    MemoryId, MemoryKind, MemoryPatch, MemoryResult,
};
use memory_engine::{Engine, RecallHit, RecallReport, RecallRequest};
use memory_metrics::{Operation, observe};

use crate::builder::MemorySystemBuilder;
#[cfg(feature = "postgres")]
use crate::defaults::configure_postgres;

/// The memory system. Cloning is cheap and shares everything; all methods may
/// be called from many tasks at once.
///
/// Methods take entities as `&str`, `String` or [`EntityId`], ids by value, and
/// requests as whatever converts into them.
///
/// **Cancellation.** A write whose future is dropped runs to its end, whole or
/// not at all. A read whose future is dropped is abandoned.
#[derive(Debug, Clone)]
pub struct MemorySystem {
    engine: Engine,
}

/// A handle that could not move between threads would be useless in a server.
const _: () = {
    const fn is_send_and_sync<T: Send + Sync + Clone + 'static>() {}
    is_send_and_sync::<MemorySystem>();
};

impl MemorySystem {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Opens a database with the defaults: the store of the URL's scheme, the
    /// all-MiniLM-L6-v2 embedder, moka caches, and [`MemoryConfig::default`].
    ///
    /// | URL | database |
    /// |---|---|
    /// | `sqlite://agent.db` | a file relative to the working directory, created if missing |
    /// | `sqlite:///var/lib/agent.db` | a file by its absolute path |
    /// | `sqlite::memory:` | in memory, gone when the system is closed |
    /// | `postgres://user@host/database` | PostgreSQL with pgvector (feature `postgres`) |
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> memory::MemoryResult<()> {
    /// use memory::MemorySystem;
    ///
    /// let memory = MemorySystem::open("sqlite::memory:").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an unsupported URL scheme;
    /// [`ErrorKind::Missing`] if the runtime or the model is not installed,
    /// listing every place that was searched and the command that installs it;
    /// the store's errors for a file that is foreign, newer, locked or damaged.
    pub async fn open(url: impl Into<String>) -> MemoryResult<Self> {
        Self::builder().url(url).build().await
    }

    /// Opens a PostgreSQL database through the caller's pool, with the default
    /// embedder and caches. Closing the system leaves the pool open.
    ///
    /// ```no_run
    /// # async fn open() -> memory::MemoryResult<()> {
    /// use memory::postgres::PgPool;
    /// use memory::{MemoryConfig, MemorySystem};
    ///
    /// let pool = PgPool::connect_lazy("postgres://app@localhost/app").expect("a valid URL");
    /// let memory = MemorySystem::with_pool(pool, MemoryConfig::default()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "postgres")]
    pub async fn with_pool(
        pool: memory_pg::PgPool,
        config: memory_core::MemoryConfig,
    ) -> MemoryResult<Self> {
        // Before the database is touched: opening the store migrates its schema.
        config.validate()?;
        let options = memory_pg::PgOptions::new();
        let recall = memory_core::DEFAULT_ANN_TARGET_RECALL;
        let (options, config) = configure_postgres(options, config, &[], recall);
        let store = options.with_pool(pool).await?;
        Self::builder().store(store).config(config).build().await
    }

    /// Starts building a system from chosen parts; see [`MemorySystemBuilder`].
    #[must_use]
    pub fn builder() -> MemorySystemBuilder {
        MemorySystemBuilder::default()
    }

    /// Retains one memory that happened now.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// assert_eq!(memory.get_memory("mira", id).await?.content, "Tam sold me a lame horse.");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`retain_batch`](Self::retain_batch).
    pub async fn retain(
        &self,
        entity: impl Into<EntityId>,
        kind: MemoryKind,
        content: impl Into<String>,
    ) -> MemoryResult<MemoryId> {
        let items = vec![MemoryBatchItem::new(entity, kind, content)];
        let ids = observe(Operation::Retain, self.engine.retain_batch(items)).await;
        let ids = ids.map_err(MemoryError::without_item)?;
        ids.into_iter().next().ok_or_else(|| {
            MemoryError::store(ErrorKind::Corrupt, "retain", "the store returned no id")
        })
    }

    /// Retains a batch, of one or several entities, all or nothing: all items
    /// are validated, texts without a cached vector are embedded in one batch,
    /// and everything is written in one transaction. Returns the ids, in order.
    ///
    /// An item with an id of its own is written once: the same id with the same
    /// content again is a no-op.
    ///
    #[doc = example!()]
    /// let items = [
    ///     MemoryBatchItem::new("mira", MemoryKind::World, "The mill is north of the bridge."),
    ///     MemoryBatchItem::new("mira", MemoryKind::Experience, "Tam sold me a lame horse.")
    ///         .with_entity("tam", "seller")
    ///         .with_tag("market")
    ///         .with_importance(0.8),
    /// ];
    /// let ids = memory.retain_batch(items).await?;
    /// assert_eq!(ids.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the item and the limit;
    /// [`MemoryError::Conflict`] for an id that exists with other content;
    /// [`MemoryError::LimitReached`] if
    /// [`max_memories_per_entity`](MemoryConfig::max_memories_per_entity) would
    /// be exceeded; errors of the embedder and the store. Nothing is written
    /// then, except that with [`ErrorKind::OutcomeUnknown`] it may have been:
    /// retain the items again [with the ids](MemoryBatchItem::with_id) of
    /// [`MemoryError::ids`], and nothing is retained twice.
    pub async fn retain_batch(
        &self,
        items: impl IntoIterator<Item = MemoryBatchItem>,
    ) -> MemoryResult<Vec<MemoryId>> {
        let items = items.into_iter().collect();
        observe(Operation::RetainBatch, self.engine.retain_batch(items)).await
    }

    /// Embeds texts as they would be retained, without retaining them. Returns
    /// one L2-normalized vector per text, in order. Vectors in the embedding
    /// tier are not computed again.
    ///
    #[doc = example!()]
    /// let vectors = memory.generate_embeddings_batch(["a horse", "a mill"]).await?;
    /// assert_eq!(vectors.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] for a blank or too long text; errors of the
    /// embedder.
    pub async fn generate_embeddings_batch(
        &self,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> MemoryResult<Vec<Arc<[f32]>>> {
        let texts: Vec<String> = texts
            .into_iter()
            .map(|text| text.as_ref().to_owned())
            .collect();
        observe(
            Operation::GenerateEmbeddingsBatch,
            self.engine.generate_embeddings_batch(&texts),
        )
        .await
    }

    /// Recalls the memories that matter to a text, best first. Takes a text, or
    /// a [`RecallRequest`] with filter, limit and ranking.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// let hits = memory.recall("mira", "Who sold me the horse?").await?;
    /// assert_eq!(hits[0].memory.content, "Tam sold me a lame horse.");
    ///
    /// let request = RecallRequest::new("horse")
    ///     .filter(MemoryFilter::new().kind(MemoryKind::Opinion))
    ///     .limit(3);
    /// assert!(memory.recall("mira", request).await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the limit; errors of the embedder
    /// and the store.
    pub async fn recall(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<RecallRequest>,
    ) -> MemoryResult<Vec<RecallHit>> {
        observe(
            Operation::Recall,
            self.engine.recall(&entity.into(), &request.into()),
        )
        .await
    }

    /// As [`recall`](Self::recall), and counts the memories that have no vector
    /// of the embedder's model: these are found by their words only.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "The mill burned down.").await?;
    /// let report = memory.recall_report("mira", "what burned?").await?;
    /// assert_eq!((report.hits.len(), report.without_vectors), (1, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`recall`](Self::recall).
    pub async fn recall_report(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<RecallRequest>,
    ) -> MemoryResult<RecallReport> {
        let (entity, request) = (entity.into(), request.into());
        observe(
            Operation::RecallReport,
            self.engine.recall_report(&entity, &request),
        )
        .await
    }

    /// Reads one memory.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// assert_eq!(memory.get_memory("mira", id).await?.kind, MemoryKind::World);
    /// assert_eq!(memory.get_memory("tam", id).await.unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`], also for a memory of another entity; errors of
    /// the store.
    pub async fn get_memory(
        &self,
        entity: impl Into<EntityId>,
        id: MemoryId,
    ) -> MemoryResult<Arc<Memory>> {
        self.engine.get_memory(&entity.into(), &id).await
    }

    /// Reads memories. Returns one result per id, in order, `None` if the
    /// entity has no such memory.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let found = memory.get_memories("mira", [id, MemoryId::new()]).await?;
    /// assert!(found[0].is_some() && found[1].is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn get_memories(
        &self,
        entity: impl Into<EntityId>,
        ids: impl IntoIterator<Item = MemoryId>,
    ) -> MemoryResult<Vec<Option<Arc<Memory>>>> {
        let ids: Vec<MemoryId> = ids.into_iter().collect();
        observe(
            Operation::GetMemories,
            self.engine.get_memories(&entity.into(), &ids),
        )
        .await
    }

    /// Reads a page of memories, newest first. To read all pages, see
    /// [`list_stream`](Self::list_stream).
    ///
    /// The last few pages of an entity stay in the entity tier until it is written to,
    /// so a repeated list costs a look-up, whatever its size. Callers share the page.
    /// Access counts that another process wrote since may be missing from it.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// let page = memory.list_memories("mira", ListRequest::new(10)).await?;
    /// assert_eq!(page.memories.len(), 1);
    /// assert!(page.next.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the limit; errors of the store.
    pub async fn list_memories(
        &self,
        entity: impl Into<EntityId>,
        request: impl Into<ListRequest>,
    ) -> MemoryResult<Arc<ListPage>> {
        observe(
            Operation::ListMemories,
            self.engine.list_memories(&entity.into(), &request.into()),
        )
        .await
    }

    /// Reads a page of the memories that were live at `as_of`, newest first:
    /// sources that were archived later, and not the summaries that replaced
    /// them. Access counts are 0 where a later access was counted. A memory that
    /// was deleted since is gone, an altered one is as it is today.
    ///
    #[doc = example!()]
    /// for _ in 0..2 {
    ///     memory.retain("mira", MemoryKind::Experience, "Tam sold me a lame horse.").await?;
    /// }
    /// let before = chrono::Utc::now();
    /// memory.consolidate("mira").await?;
    /// let page = memory.list_memories_as_of("mira", before, ListRequest::new(10)).await?;
    /// assert_eq!(page.memories.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the limit; errors of the store.
    pub async fn list_memories_as_of(
        &self,
        entity: impl Into<EntityId>,
        as_of: DateTime<Utc>,
        request: impl Into<ListRequest>,
    ) -> MemoryResult<Arc<ListPage>> {
        observe(
            Operation::ListMemoriesAsOf,
            self.engine
                .list_memories_as_of(&entity.into(), as_of, &request.into()),
        )
        .await
    }

    /// Counts the live memories that match a filter; all of them with
    /// `MemoryFilter::new()`.
    ///
    #[doc = example!()]
    /// memory.retain("mira", MemoryKind::World, "Bread is expensive.").await?;
    /// assert_eq!(memory.count_memories("mira", MemoryFilter::new()).await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the limit; errors of the store.
    pub async fn count_memories(
        &self,
        entity: impl Into<EntityId>,
        filter: impl Into<MemoryFilter>,
    ) -> MemoryResult<u64> {
        observe(
            Operation::CountMemories,
            self.engine.count_memories(&entity.into(), &filter.into()),
        )
        .await
    }

    /// Changes one memory and returns it as it is afterward. New content is
    /// embedded again; memory and vectors change in one transaction.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::Opinion, "Tam is a cheat.").await?;
    /// let patch = MemoryPatch::new().content("Tam is a cheat, but sorry.").importance(0.9);
    /// let altered = memory.alter_memory("mira", id, patch).await?;
    /// assert_eq!(altered.importance, 0.9);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; [`MemoryError::Archived`] for a memory that a
    /// summary represents; [`MemoryError::InvalidInput`] naming the limit;
    /// errors of the embedder and the store.
    pub async fn alter_memory(
        &self,
        entity: impl Into<EntityId>,
        id: MemoryId,
        patch: impl Into<MemoryPatch>,
    ) -> MemoryResult<Arc<Memory>> {
        observe(
            Operation::AlterMemory,
            self.engine.alter_memory(&entity.into(), &id, &patch.into()),
        )
        .await
    }

    /// Removes one memory permanently: its row, its vectors, links to it, and
    /// its cache entries.
    ///
    /// If it is a summary, its sources are live again, as by
    /// [`undo_consolidation`](Self::undo_consolidation). If it is archived, the
    /// summaries above it, which may contain what it said, are removed as well.
    /// [`forget`](Self::forget) also removes the sources of a summary. Returns the ids of all
    /// that was removed.
    ///
    #[doc = example!()]
    /// let id = memory.retain("mira", MemoryKind::Opinion, "Tam is a cheat.").await?;
    /// memory.delete_memory("mira", id).await?;
    /// assert!(memory.get_memory("mira", id).await.is_err());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; errors of the store.
    pub async fn delete_memory(
        &self,
        entity: impl Into<EntityId>,
        id: MemoryId,
    ) -> MemoryResult<Vec<MemoryId>> {
        observe(
            Operation::DeleteMemory,
            self.engine.delete_memory(&entity.into(), &id),
        )
        .await
    }
}
