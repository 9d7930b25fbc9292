//! A store that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    AccessUpdate, ChangeSet, ChangeStream, ConsolidateOutcome, EmbeddedMemory, Embedding, EntityId,
    EntityStats, ErrorKind, Fingerprint, Generation, GetOutcome, InsertOptions, InsertOutcome,
    ListPage, ListRequest, MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
    RemoveOutcome, SearchOutcome, SearchRequest, Store, StoreCapabilities, SummaryGroup,
    UpdateOutcome,
};

/// Any store, with faults.
#[derive(Debug)]
pub(crate) struct Flaky {
    pub(crate) inner: Arc<dyn Store>,
    /// The next read fails.
    pub(crate) fail_next_read: AtomicBool,
    /// The next write is carried out and its answer is lost.
    pub(crate) lose_next_answer: AtomicBool,
    /// Writes under way.
    writing: AtomicU64,
}

impl Flaky {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fail_next_read: AtomicBool::default(),
            lose_next_answer: AtomicBool::default(),
            writing: AtomicU64::default(),
        })
    }

    pub(crate) fn behave(&self) {
        self.fail_next_read.store(false, Ordering::SeqCst);
        self.lose_next_answer.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::SeqCst) > 0
    }

    fn read(&self) -> MemoryResult<()> {
        if self.fail_next_read.swap(false, Ordering::SeqCst) {
            return Err(MemoryError::store(
                ErrorKind::Unavailable,
                "read",
                "told to fail",
            ));
        }
        Ok(())
    }

    async fn write<T>(
        &self,
        write: impl Future<Output = MemoryResult<T>> + Send,
    ) -> MemoryResult<T> {
        self.writing.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let outcome = write.await;
        tokio::task::yield_now().await;
        self.writing.fetch_sub(1, Ordering::SeqCst);
        if self.lose_next_answer.swap(false, Ordering::SeqCst) {
            return Err(MemoryError::store(
                ErrorKind::OutcomeUnknown,
                "write",
                "told to",
            ));
        }
        outcome
    }
}

#[async_trait]
impl Store for Flaky {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.write(self.inner.insert_opts(batch, room)).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        self.write(self.inner.consolidate(entity, groups, read_at))
            .await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        self.read()?;
        let fetched = self.inner.get(entity, ids).await;
        tokio::task::yield_now().await;
        fetched
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        self.read()?;
        self.inner.list(entity, request).await
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        self.inner.count(entity, filter).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        self.read()?;
        self.inner.search(entity, request).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        self.read()?;
        let changes = self.inner.changes_since(entity, since, fingerprint).await;
        tokio::task::yield_now().await;
        changes
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        self.write(self.inner.update(entity, id, patch, embedding))
            .await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        self.write(self.inner.delete(entity, ids)).await
    }

    async fn record_accesses(
        &self,
        entity: &EntityId,
        updates: &[AccessUpdate],
    ) -> MemoryResult<()> {
        self.inner.record_accesses(entity, updates).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        self.read()?;
        self.inner.entity_stats(entity).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.inner.list_entities(after, limit).await
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        self.inner.watch().await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.inner.close().await
    }
}
