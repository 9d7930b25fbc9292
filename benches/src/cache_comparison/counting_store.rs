//! A store that counts its calls and delays its reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessUpdate, ChangeSet, ChangeStream, ConsolidateOutcome, EmbeddedMemory, Embedding, EntityId,
    EntityStats, Fingerprint, Generation, GetOutcome, InsertOptions, InsertOutcome, ListPage,
    ListRequest, MemoryFilter, MemoryId, MemoryPatch, MemoryResult, RemoveOutcome, SearchOutcome,
    SearchRequest, Store, StoreCapabilities, SummaryGroup, UpdateOutcome,
};
use memory_testkit::InMemoryStore;
use serde::{Deserialize, Serialize};

/// The reference store, counting its calls.
#[derive(Debug)]
pub struct CountingStore {
    inner: InMemoryStore,
    /// The duration of each read.
    delay: Duration,
    reads: AtomicU64,
    writes: AtomicU64,
}

/// The number of calls of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCalls {
    /// Read calls.
    pub reads: u64,
    /// Write calls.
    pub writes: u64,
}

impl CountingStore {
    /// An empty store whose reads take at least `delay`.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self {
            inner: InMemoryStore::new(),
            delay,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> StoreCalls {
        StoreCalls {
            reads: self.reads.load(Ordering::SeqCst),
            writes: self.writes.load(Ordering::SeqCst),
        }
    }

    async fn read(&self) -> &InMemoryStore {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        &self.inner
    }

    fn write(&self) -> &InMemoryStore {
        self.writes.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

#[async_trait]
impl Store for CountingStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.write().insert_opts(batch, room).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        self.write().consolidate(entity, groups, read_at).await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        self.read().await.get(entity, ids).await
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        self.read().await.list(entity, request).await
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        self.read().await.count(entity, filter).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        self.read().await.search(entity, request).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let store = self.read().await;
        store.changes_since(entity, since, fingerprint).await
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        self.write().update(entity, id, patch, embedding).await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        self.write().delete(entity, ids).await
    }

    async fn record_accesses(
        &self,
        entity: &EntityId,
        updates: &[AccessUpdate],
    ) -> MemoryResult<()> {
        self.write().record_accesses(entity, updates).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        self.read().await.entity_stats(entity).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.read().await.list_entities(after, limit).await
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        self.inner.watch().await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.inner.close().await
    }
}
