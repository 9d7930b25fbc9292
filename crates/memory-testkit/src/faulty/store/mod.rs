//! A store with one fault.

mod archive;
mod consolidation;
mod fault;
mod fault_state;
mod index_maintenance;
mod limits;
mod ranking;
mod reads;
mod snapshot_pages;
mod vectors;
mod writes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, BackupOptions, ChangeMarker, ChangeSet, ChangeStream,
    ConsolidateOutcome, EmbeddedMemory, Embedding, EntityId, EntityStats, ErrorKind, Fingerprint,
    Generation, GetOutcome, InsertOptions, InsertOutcome, ListPage, ListRequest, MaintenanceReport,
    MaintenanceRequest, MemoryError, MemoryFilter, MemoryId, MemoryPatch, MemoryResult,
    NeighborOutcome, NeighborRequest, RemoveOutcome, ReplaceVectorsOutcome, SearchOutcome,
    SearchRequest, SnapshotPages, Store, StoreCapabilities, SummaryGroup, UpdateOutcome, Writers,
};

pub use self::fault::StoreFault;

use self::fault_state::FaultState;
use self::reads::FaultyChangeStream;
use crate::in_memory_store::InMemoryStore;

/// A [`InMemoryStore`] with one fault.
#[derive(Debug)]
pub struct FaultyStore {
    inner: InMemoryStore,
    fault: StoreFault,
    fault_state: Mutex<FaultState>,
}

impl FaultyStore {
    /// An empty store with this fault.
    #[must_use]
    pub fn new(fault: StoreFault) -> Self {
        Self {
            inner: InMemoryStore::with_snapshot_pages(),
            fault,
            fault_state: Mutex::default(),
        }
    }

    /// Another store with this fault on the same memories, as another process opens one.
    #[must_use]
    pub fn connect(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            fault: self.fault,
            fault_state: Mutex::default(),
        }
    }

    fn has(&self, fault: StoreFault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for FaultyStore {
    fn capabilities(&self) -> StoreCapabilities {
        let lexical = !self.has(StoreFault::DeniesItsLexicalRetriever);
        let closes = !self.has(StoreFault::DeniesThatItCloses);
        let neighbors = !self.has(StoreFault::DeniesItsNeighbors);
        let writers = match self.fault {
            StoreFault::DeniesOtherWriters => Writers::Exclusive,
            _ => Writers::Shared,
        };
        let capabilities = self.inner.capabilities().writers(writers);
        let capabilities = capabilities.lexical(lexical).closes(closes);
        capabilities.neighbors(neighbors)
    }

    async fn insert(&self, batch: &[EmbeddedMemory]) -> MemoryResult<InsertOutcome> {
        self.insert_opts(batch, &InsertOptions::unlimited()).await
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.note_own_write();
        self.note_written(batch);
        let mut outcome = self.faulty_squeeze(batch, room).await?;
        for (entity, generation) in &mut outcome.generations {
            *generation = self.visible_generation(entity, *generation);
        }
        Ok(outcome)
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let read_at = self.meant(entity, read_at);
        self.note_own_write();
        let mut outcome = self.faulty_consolidate(entity, groups, read_at).await?;
        outcome.generation = self.visible_generation(entity, outcome.generation);
        Ok(outcome)
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        let mut fetched = self.faulty_get(entity, ids).await?;
        self.spoil_archived(entity, &mut fetched.memories);
        fetched.generation = self.visible_generation(entity, fetched.generation);
        Ok(fetched)
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        let mut page = self.faulty_list_scope(entity, request).await?;
        page.generation = self.visible_generation(entity, page.generation);
        Ok(page)
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        self.faulty_count(entity, filter).await
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        if self.has(StoreFault::BreaksOffSearches) && self.closes_meanwhile().await {
            let message = "the search was broken off";
            return Err(MemoryError::store(
                ErrorKind::Unavailable,
                "search",
                message,
            ));
        }
        let mut found = self.faulty_search_archive(entity, request).await?;
        self.miss_nearest(&mut found);
        self.spoil_statistics(entity, request, &mut found).await?;
        found.generation = self.visible_generation(entity, found.generation);
        Ok(found)
    }

    async fn neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        let mut found = self.faulty_neighbors(entity, request).await?;
        found.generation = self.visible_generation(entity, found.generation);
        Ok(found)
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let since = self.meant(entity, since);
        let mut changes = self.faulty_changes(entity, since, fingerprint).await?;
        self.spoil_changes(entity, &mut changes).await?;
        changes.generation = self.visible_generation(entity, changes.generation);
        Ok(changes)
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
        self.note_own_write();
        let mut outcome = self.faulty_link(entity, id, patch, embedding).await?;
        outcome.generation = self.visible_generation(entity, outcome.generation);
        Ok(outcome)
    }

    async fn vector_counts(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        let counts = self.inner.vector_counts(entity, ids, fingerprint).await?;
        Ok(match self.fault {
            StoreFault::CountsVectorsAsOne => {
                counts.into_iter().map(|count| count.min(1)).collect()
            }
            _ => counts,
        })
    }

    async fn count_by_model(&self, entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        self.faulty_count_by_model(entity).await
    }

    async fn replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        let read_at = self.meant(entity, read_at);
        let replacing = self.faulty_replace_vectors(entity, embeddings, read_at);
        let mut outcome = replacing.await?;
        outcome.generation = self.visible_generation(entity, outcome.generation);
        Ok(outcome)
    }

    async fn remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        self.faulty_remove_other_vectors(entity, ids, fingerprint)
            .await
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        self.note_own_write();
        if self.has(StoreFault::DelaysDeletes) {
            let generation = self.inner.entity_stats(entity).await?.generation.next();
            return Ok(RemoveOutcome::new(generation, ids.to_vec()));
        }
        let mut outcome = self.faulty_remove(entity, ids).await?;
        outcome.generation = self.visible_generation(entity, outcome.generation);
        Ok(outcome)
    }

    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        self.note_own_write();
        let updates = self.touchable(updates).await?;
        self.faulty_record_accesses(updates, max_wait).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        let mut stats = self.inner.entity_stats(entity).await?;
        stats.generation = self.visible_generation(entity, stats.generation);
        if self.has(StoreFault::StartsAtOne) {
            stats.generation = stats.generation.max(Generation(1));
        }
        Ok(stats)
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        self.faulty_list_entities(after, limit).await
    }

    async fn recently_accessed_entities(&self, limit: usize) -> MemoryResult<Vec<EntityId>> {
        self.faulty_recently_accessed_entities(limit).await
    }

    fn change_marker(&self) -> Option<ChangeMarker> {
        if self.has(StoreFault::KeepsItsChangeMarker) {
            return Some(ChangeMarker::new([1; 6]));
        }
        if self.has(StoreFault::CountsOwnWritesInItsMarker) {
            return Some(ChangeMarker::new([self.fault_state().own_writes; 6]));
        }
        self.inner.change_marker()
    }

    fn writer_handle(&self) -> Option<Arc<dyn Store>> {
        self.has(StoreFault::KeepsTheMarkerOfItsHandles)
            .then(|| Arc::new(Self::new(StoreFault::KeepsItsChangeMarker)) as Arc<dyn Store>)
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        if self.has(StoreFault::ReportsOwnWritesOnly) {
            // Another store of no writes.
            return InMemoryStore::new().watch().await;
        }
        let watch = self.inner.watch().await?;
        Ok(watch.map(|inner| -> Box<dyn ChangeStream> {
            let fault = self.fault;
            Box::new(FaultyChangeStream { inner, fault })
        }))
    }

    async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        self.inner.backup(target, options).await
    }

    async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        self.faulty_maintain_indexes(request).await
    }

    async fn close(&self) -> MemoryResult<()> {
        let closed_before = self.note_close();
        match self.fault {
            StoreFault::NeverCloses => Ok(()),
            StoreFault::ClosesOnceOnly if closed_before => {
                let message = "the store was closed";
                Err(MemoryError::store(ErrorKind::Closed, "close", message))
            }
            _ => self.inner.close().await,
        }
    }
}
