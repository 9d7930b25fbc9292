//! A wrapper around a store without the provided methods.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, ChangeSet, ConsolidateOutcome, EmbeddedMemory, Embedding,
    EntityId, Fingerprint, Generation, GetOutcome, InsertOptions, InsertOutcome, ListPage,
    ListRequest, MemoryId, MemoryPatch, MemoryResult, RemoveOutcome, Store, StoreCapabilities,
    SummaryGroup, UpdateOutcome,
};

/// A store that forwards the required methods of [`Store`] to another one and
/// leaves the others as they are provided.
#[derive(Debug, Clone)]
pub struct MinimalStore {
    inner: Arc<dyn Store>,
}

impl MinimalStore {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl Store for MinimalStore {
    fn capabilities(&self) -> StoreCapabilities {
        let capabilities = self.inner.capabilities().lexical(false);
        capabilities.samples(true).neighbors(false).closes(false)
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        options: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.inner.insert_opts(batch, options).await
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        self.inner.consolidate(entity, groups, read_at).await
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        self.inner.get(entity, ids).await
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        self.inner.list(entity, request).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        self.inner.changes_since(entity, since, fingerprint).await
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        self.inner.update(entity, id, patch, embedding).await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        self.inner.delete(entity, ids).await
    }

    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        self.inner.record_accesses(updates, max_wait).await
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.inner.list_entities(after, limit).await
    }
}
