//! `list_memories`: a page, from the entity tier or the store.

use std::sync::Arc;

use memory_core::{EntityId, ListPage, ListRequest, MemoryResult};

use crate::engine::Engine;

impl Engine {
    /// Reads a page of memories, newest first.
    pub async fn list_memories(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<Arc<ListPage>> {
        entity.validate()?;
        request.validate()?;
        self.inner.reader.page(entity, request).await
    }

    /// Reads a page from the store and caches nothing: for a scan of all pages, each
    /// of which is read once.
    pub async fn scan_page(
        &self,
        entity: &EntityId,
        request: &ListRequest,
    ) -> MemoryResult<ListPage> {
        entity.validate()?;
        request.validate()?;
        self.inner.store.list(entity, request).await
    }
}
