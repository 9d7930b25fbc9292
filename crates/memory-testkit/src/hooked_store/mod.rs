//! A wrapper around a store with hooks.

mod call;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, BackupOptions, ChangeMarker, ChangeSet, ChangeStream,
    ConsolidateOutcome, EmbeddedMemory, Embedding, EntityId, EntityStats, Fingerprint, Generation,
    GetOutcome, InsertOptions, InsertOutcome, ListPage, ListRequest, MaintenanceReport,
    MaintenanceRequest, MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
    NeighborOutcome, NeighborRequest, RemoveOutcome, ReplaceVectorsOutcome, SearchOutcome,
    SearchRequest, SnapshotPage, SnapshotPages, SnapshotState, Store, StoreCapabilities,
    SummaryGroup, UpdateOutcome,
};

pub use call::{StoreCall, StoreOperation};

/// What a [`HookedStore`] does around each operation. A hook may count, wait,
/// or fail the call. Every method is provided and does nothing.
#[async_trait]
pub trait StoreHooks: Debug + Send + Sync + 'static {
    /// Changes what the store says of itself.
    fn capabilities(&self, capabilities: StoreCapabilities) -> StoreCapabilities {
        capabilities
    }

    /// Whether [`Store::watch`] reaches the store; it answers `None` otherwise.
    fn has_watch(&self) -> bool {
        true
    }

    /// Whether [`Store::record_accesses`] defers the updates of an entity, as if another
    /// writer had locked it.
    fn defers_accesses(&self, entity: &EntityId) -> bool {
        let _ = entity;
        false
    }

    /// Whether [`Store::search`] says how many memories it compared, as a search by an
    /// approximate index does not.
    fn counts_compared(&self) -> bool {
        true
    }

    /// Runs before the operation.
    ///
    /// # Errors
    /// An error is the answer of the call; the operation is not carried out.
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        let _ = call;
        Ok(())
    }

    /// Runs after the operation, with its error if it failed.
    ///
    /// # Errors
    /// An error replaces the answer: the operation was carried out, and its
    /// answer is lost.
    async fn after(
        &self,
        call: StoreCall<'_>,
        result: Result<(), &MemoryError>,
    ) -> MemoryResult<()> {
        let _ = (call, result);
        Ok(())
    }
}

/// Hooks that do nothing.
#[async_trait]
impl StoreHooks for () {}

/// A store that forwards every operation to another one, with hooks around it.
///
/// The one wrapper for tests that count calls, delay them, fail them or lose
/// their answers.
#[derive(Debug, Clone)]
pub struct HookedStore {
    inner: Arc<dyn Store>,
    hooks: Arc<dyn StoreHooks>,
}

impl HookedStore {
    /// Wraps `inner`. Keep a clone of `hooks` to read its counts or to change
    /// what it does.
    pub fn new(inner: Arc<dyn Store>, hooks: Arc<dyn StoreHooks>) -> Self {
        Self { inner, hooks }
    }

    fn without_pages(&self, operation: StoreOperation) -> MemoryError {
        MemoryError::Unsupported {
            operation: operation.as_str(),
            backend: self.inner.capabilities().backend,
        }
    }

    async fn run<T: Send>(
        &self,
        call: StoreCall<'_>,
        operation: impl Future<Output = MemoryResult<T>> + Send,
    ) -> MemoryResult<T> {
        self.hooks.before(call).await?;
        let result = operation.await;
        let failure = result.as_ref().err().cloned();
        self.hooks
            .after(call, failure.as_ref().map_or(Ok(()), Err))
            .await?;
        result
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for HookedStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.hooks.capabilities(self.inner.capabilities())
    }

    async fn insert(&self, batch: &[EmbeddedMemory]) -> MemoryResult<InsertOutcome> {
        let call = StoreCall::new(StoreOperation::Insert);
        self.run(call, self.inner.insert(batch)).await
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        options: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let call = StoreCall::new(StoreOperation::InsertOpts);
        self.run(call, self.inner.insert_opts(batch, options)).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let call = StoreCall::of(StoreOperation::Consolidate, entity);
        self.run(call, self.inner.consolidate(entity, groups, read_at))
            .await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        let call = StoreCall::of(StoreOperation::Get, entity);
        self.run(call, self.inner.get(entity, ids)).await
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        let call = StoreCall::of(StoreOperation::List, entity);
        self.run(call, self.inner.list(entity, request)).await
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        let call = StoreCall::of(StoreOperation::Count, entity);
        self.run(call, self.inner.count(entity, filter)).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let call = StoreCall::of(StoreOperation::Search, entity);
        let mut outcome = self.run(call, self.inner.search(entity, request)).await?;
        outcome.compared = outcome.compared.filter(|_| self.hooks.counts_compared());
        Ok(outcome)
    }

    async fn neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        let call = StoreCall::of(StoreOperation::Neighbors, entity);
        self.run(call, self.inner.neighbors(entity, request)).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let call = StoreCall {
            since: Some(since),
            ..StoreCall::of(StoreOperation::ChangesSince, entity)
        };
        self.run(call, self.inner.changes_since(entity, since, fingerprint))
            .await
    }

    fn snapshot_pages(&self) -> Option<&dyn SnapshotPages> {
        self.inner.snapshot_pages().map(|_| self as _)
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let call = StoreCall::of(StoreOperation::Update, entity);
        self.run(call, self.inner.update(entity, id, patch, embedding))
            .await
    }

    async fn vector_counts(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        let call = StoreCall::of(StoreOperation::VectorCounts, entity);
        self.run(call, self.inner.vector_counts(entity, ids, fingerprint))
            .await
    }

    async fn count_by_model(&self, entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        let call = StoreCall::of(StoreOperation::CountByModel, entity);
        self.run(call, self.inner.count_by_model(entity)).await
    }

    async fn replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        let call = StoreCall::of(StoreOperation::ReplaceVectors, entity);
        let replacing = self.inner.replace_vectors(entity, embeddings, read_at);
        self.run(call, replacing).await
    }

    async fn remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        let call = StoreCall::of(StoreOperation::RemoveOtherVectors, entity);
        let removing = self.inner.remove_other_vectors(entity, ids, fingerprint);
        self.run(call, removing).await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        let call = StoreCall::of(StoreOperation::Delete, entity);
        self.run(call, self.inner.delete(entity, ids)).await
    }

    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        let call = StoreCall::new(StoreOperation::RecordAccesses);
        let (deferred, free): (Vec<AccessUpdate>, Vec<AccessUpdate>) = updates
            .iter()
            .cloned()
            .partition(|update| self.hooks.defers_accesses(&update.entity));
        let recorded = self.run(call, self.inner.record_accesses(&free, max_wait));
        let mut outcome = recorded.await?;
        outcome.deferred.extend(deferred);
        Ok(outcome)
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        let call = StoreCall::of(StoreOperation::EntityStats, entity);
        self.run(call, self.inner.entity_stats(entity)).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        let call = StoreCall::new(StoreOperation::ListEntities);
        self.run(call, self.inner.list_entities(after, limit)).await
    }

    async fn recently_accessed_entities(&self, limit: usize) -> MemoryResult<Vec<EntityId>> {
        let call = StoreCall::new(StoreOperation::RecentlyAccessedEntities);
        self.run(call, self.inner.recently_accessed_entities(limit))
            .await
    }

    fn change_marker(&self) -> Option<ChangeMarker> {
        self.inner.change_marker()
    }

    fn writer_handle(&self) -> Option<Arc<dyn Store>> {
        let inner = self.inner.writer_handle()?;
        Some(Arc::new(Self::new(inner, Arc::clone(&self.hooks))))
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        if !self.hooks.has_watch() {
            return Ok(None);
        }
        let call = StoreCall::new(StoreOperation::Watch);
        self.run(call, self.inner.watch()).await
    }

    async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        let call = StoreCall::new(StoreOperation::Backup);
        self.run(call, self.inner.backup(target, options)).await
    }

    async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        let call = StoreCall::new(StoreOperation::MaintainIndexes);
        self.run(call, self.inner.maintain_indexes(request)).await
    }

    async fn close(&self) -> MemoryResult<()> {
        let call = StoreCall::new(StoreOperation::Close);
        self.run(call, self.inner.close()).await
    }
}

#[async_trait]
impl SnapshotPages for HookedStore {
    async fn read(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<SnapshotState> {
        let call = StoreCall::of(StoreOperation::ReadSnapshotPages, entity);
        let read = async {
            match self.inner.snapshot_pages() {
                Some(pages) => pages.read(entity, fingerprint, format).await,
                None => Err(self.without_pages(call.operation)),
            }
        };
        self.run(call, read).await
    }

    async fn count(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
    ) -> MemoryResult<u64> {
        let call = StoreCall::of(StoreOperation::CountSnapshotPages, entity);
        let count = async {
            match self.inner.snapshot_pages() {
                Some(pages) => pages.count(entity, fingerprint, format).await,
                None => Err(self.without_pages(call.operation)),
            }
        };
        self.run(call, count).await
    }

    async fn write(
        &self,
        entity: &EntityId,
        fingerprint: &Fingerprint,
        format: u64,
        read_at: Generation,
        pages: Vec<SnapshotPage>,
    ) -> MemoryResult<()> {
        let call = StoreCall::of(StoreOperation::WriteSnapshotPages, entity);
        let write = async {
            match self.inner.snapshot_pages() {
                Some(inner) => {
                    let write = inner.write(entity, fingerprint, format, read_at, pages);
                    write.await
                }
                None => Err(self.without_pages(call.operation)),
            }
        };
        self.run(call, write).await
    }
}
