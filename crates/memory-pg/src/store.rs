//! [`PgStore`]: each operation is in the module of its name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, ChangeSet, ChangeStream, ConsolidateOutcome, EmbeddedMemory,
    Embedding, EntityId, EntityStats, Fingerprint, Generation, GetOutcome, InsertOptions,
    InsertOutcome, ListPage, ListRequest, MaintenanceReport, MaintenanceRequest, MemoryFilter,
    MemoryId, MemoryPatch, MemoryResult, NeighborOutcome, NeighborRequest, RemoveOutcome,
    ReplaceVectorsOutcome, SearchOutcome, SearchRequest, SnapshotPages, Store, StoreCapabilities,
    SummaryGroup, UpdateOutcome, VectorPrecision, Writers,
};
use sqlx::PgPool;

use crate::ann::ann_index::AnnIndex;
use crate::ann::maintenance;
use crate::connections::database::Database;
use crate::operations::changes;
use crate::operations::consolidate;
use crate::operations::delete;
use crate::operations::get;
use crate::operations::insert;
use crate::operations::list;
use crate::operations::neighbors;
use crate::operations::record_accesses;
use crate::operations::replace_vectors;
use crate::operations::stats;
use crate::operations::update;
use crate::operations::watch;
use crate::options::{PgOptions, Precision};
use crate::reindex;
use crate::schema;
use crate::search;

/// The name in errors and reports.
const BACKEND: &str = "postgres";

/// Memories in PostgreSQL. Clones share the pool.
#[derive(Clone)]
pub struct PgStore {
    database: Arc<Database>,
}

impl PgStore {
    /// Opens a store with a pool of its own and the default
    /// [options](PgOptions), and migrates its schema.
    ///
    /// # Errors
    /// As [`PgOptions::connect`].
    pub async fn connect(url: &str) -> MemoryResult<Self> {
        PgOptions::new().connect(url).await
    }

    /// Opens a store on a pool that the application shares, with the default
    /// options. Closing the store leaves the pool open.
    ///
    /// # Errors
    /// As [`PgOptions::with_pool`].
    pub async fn with_pool(pool: PgPool) -> MemoryResult<Self> {
        PgOptions::new().with_pool(pool).await
    }

    pub(crate) async fn open(
        pool: PgPool,
        replicas: Vec<PgPool>,
        options: PgOptions,
        owns_pool: bool,
    ) -> MemoryResult<Self> {
        let mut database = Database::new(pool, replicas, options, owns_pool);
        let prepared = schema::prepare(&mut database).await;
        if prepared.is_err() {
            database.close().await;
        }
        prepared?;
        if database.options.ann_index != AnnIndex::None {
            database.load_index_catalog().await?;
        }
        let database = Arc::new(database);
        reindex::start(&database).await?;
        Ok(Self { database })
    }
}

impl PgStore {
    /// Whether the server was a hot standby, which only reads, when it was last asked:
    /// on opening, and by each write until it was promoted.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.database.is_standby()
    }

    pub(crate) const fn database(&self) -> &Arc<Database> {
        &self.database
    }
}

impl fmt::Debug for PgStore {
    /// Settings only: neither the address nor content may get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore")
            .field("options", &self.database.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PgStore {
    fn capabilities(&self) -> StoreCapabilities {
        let precision = match self.database.options.precision {
            Precision::Half => VectorPrecision::Half,
            Precision::Single => VectorPrecision::Single,
        };
        // Any number of processes may write to the database.
        StoreCapabilities::new(BACKEND)
            .lexical(true)
            .neighbors(true)
            .closes(true)
            .precision(precision)
            .writers(Writers::Shared)
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        options: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let max_dimensions = self.capabilities().max_dimensions;
        insert::insert(&self.database, batch, options, max_dimensions).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let max_dimensions = self.capabilities().max_dimensions;
        let consolidated =
            consolidate::consolidate(&self.database, entity, groups, read_at, max_dimensions);
        consolidated.await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        get::get(&self.database, entity, ids).await
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        list::list(&self.database, entity, request).await
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        list::count(&self.database, entity, filter).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        search::search(&self.database, entity, request).await
    }

    async fn neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        neighbors::neighbors(&self.database, entity, request).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        changes::changes_since(&self.database, entity, since, fingerprint).await
    }

    fn snapshot_pages(&self) -> Option<&dyn SnapshotPages> {
        Some(self)
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let max_dimensions = self.capabilities().max_dimensions;
        update::update(
            &self.database,
            entity,
            *id,
            patch,
            embedding,
            max_dimensions,
        )
        .await
    }

    async fn vector_counts(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        replace_vectors::vector_counts(&self.database, entity, ids, fingerprint).await
    }

    async fn count_by_model(&self, entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        replace_vectors::count_by_model(&self.database, entity).await
    }

    async fn replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        let max_dimensions = self.capabilities().max_dimensions;
        let database = &self.database;
        replace_vectors::replace_vectors(database, entity, embeddings, read_at, max_dimensions)
            .await
    }

    async fn remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        replace_vectors::remove_other_vectors(&self.database, entity, ids, fingerprint).await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        delete::delete(&self.database, entity, ids).await
    }

    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        record_accesses::record_accesses(&self.database, updates, max_wait).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        stats::entity_stats(&self.database, entity).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        stats::list_entities(&self.database, after, limit).await
    }

    async fn recently_accessed_entities(&self, limit: usize) -> MemoryResult<Vec<EntityId>> {
        stats::recently_accessed_entities(&self.database, limit).await
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        watch::watch(&self.database).await
    }

    /// For a periodic job of a role that owns the tables; a dry run needs only `SELECT`.
    /// It uses one connection outside the pool, and no transaction lasts longer than a
    /// statement. Building takes minutes for each 100,000 vectors. If the future is
    /// dropped, an incomplete index remains, which no search uses and the next run drops.
    ///
    /// Unsupported through a transaction pooler and under row-level security.
    async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        maintenance::maintain_indexes(&self.database, request).await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.database.close().await;
        Ok(())
    }
}
