//! A store that breaks one promise.

mod archive;
mod consolidate;
mod fault;
mod notes;
mod reads;
mod room;
mod undo;
mod watch;
mod writes;

use std::sync::Mutex;

use async_trait::async_trait;
use memory_core::{
    Candidates, Changes, ConsolidateOutcome, Consolidation, Embedding, EntityId, EntityStats,
    ErrorKind, Fetched, Fingerprint, Generation, InsertOutcome, ListPage, ListRequest, MemoryError,
    MemoryFilter, MemoryId, MemoryPatch, MemoryResult, PreparedMemory, RemoveOutcome, Room,
    SearchRequest, Store, StoreCapabilities, StoreWatch, Touch, UpdateOutcome,
};

pub use self::fault::StoreFault;

use self::notes::Notes;
use self::watch::BrokenWatch;
use crate::mem_store::MemStore;

/// A [`MemStore`] with one fault.
#[derive(Debug)]
pub struct BrokenStore {
    inner: MemStore,
    fault: StoreFault,
    notes: Mutex<Notes>,
}

impl BrokenStore {
    /// An empty store with this fault.
    #[must_use]
    pub fn new(fault: StoreFault) -> Self {
        Self {
            inner: MemStore::new(),
            fault,
            notes: Mutex::default(),
        }
    }

    fn has(&self, fault: StoreFault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for BrokenStore {
    fn capabilities(&self) -> StoreCapabilities {
        let lexical = !self.has(StoreFault::DeniesAnArmItHas);
        self.inner.capabilities().lexical(lexical)
    }

    async fn insert(&self, batch: &[PreparedMemory]) -> MemoryResult<InsertOutcome> {
        self.insert_within(batch, &Room::unlimited()).await
    }

    async fn insert_within(
        &self,
        batch: &[PreparedMemory],
        room: &Room,
    ) -> MemoryResult<InsertOutcome> {
        self.note_written(batch);
        let mut outcome = self.squeeze_brokenly(batch, room).await?;
        for (entity, generation) in &mut outcome.generations {
            *generation = self.shown(entity, *generation);
        }
        Ok(outcome)
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[Consolidation],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let read_at = self.meant(entity, read_at);
        let mut outcome = self.consolidate_brokenly(entity, groups, read_at).await?;
        outcome.generation = self.shown(entity, outcome.generation);
        Ok(outcome)
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<Fetched> {
        let mut fetched = self.get_brokenly(entity, ids).await?;
        self.spoil_archived(entity, &mut fetched.memories);
        fetched.generation = self.shown(entity, fetched.generation);
        Ok(fetched)
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        let mut page = self.list_scope_brokenly(entity, request).await?;
        page.generation = self.shown(entity, page.generation);
        Ok(page)
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        self.count_brokenly(entity, filter).await
    }

    async fn search(&self, entity: &EntityId, request: &SearchRequest) -> MemoryResult<Candidates> {
        let mut found = self.search_archive_brokenly(entity, request).await?;
        found.generation = self.shown(entity, found.generation);
        Ok(found)
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Changes> {
        let since = self.meant(entity, since);
        let mut changes = self.changes_brokenly(entity, since, fingerprint).await?;
        self.spoil_changes(entity, &mut changes).await?;
        changes.generation = self.shown(entity, changes.generation);
        Ok(changes)
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let mut outcome = self.link_brokenly(entity, id, patch, embedding).await?;
        outcome.generation = self.shown(entity, outcome.generation);
        Ok(outcome)
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        let mut outcome = self.remove_brokenly(entity, ids).await?;
        outcome.generation = self.shown(entity, outcome.generation);
        Ok(outcome)
    }

    async fn touch(&self, entity: &EntityId, touches: &[Touch]) -> MemoryResult<()> {
        let touches = self.touchable(entity, touches).await?;
        self.touch_brokenly(entity, &touches).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        let mut stats = self.inner.entity_stats(entity).await?;
        stats.generation = self.shown(entity, stats.generation);
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
        self.list_entities_brokenly(after, limit).await
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn StoreWatch>>> {
        let watch = self.inner.watch().await?;
        Ok(watch.map(|inner| -> Box<dyn StoreWatch> {
            let fault = self.fault;
            Box::new(BrokenWatch { inner, fault })
        }))
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
