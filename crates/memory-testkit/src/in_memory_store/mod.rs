//! The reference store: in memory, by full scans.

mod archive;
mod bm25;
mod change_channel;
mod entity_table;
mod search;
mod snapshot_pages;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    AccessOutcome, AccessUpdate, ChangeSet, ChangeStream, ConsolidateOutcome,
    DEFAULT_ANN_TARGET_RECALL, EmbeddedMemory, Embedding, EntityId, EntityStats, ErrorKind,
    Fingerprint, Generation, GetOutcome, InsertOptions, InsertOutcome, ListPage, ListRequest,
    MaintenanceReport, MaintenanceRequest, MemoryError, MemoryFilter, MemoryId, MemoryPatch,
    MemoryResult, NeighborOutcome, NeighborRequest, RemoveOutcome, ReplaceVectorsOutcome,
    SearchOutcome, SearchRequest, SnapshotPages, Store, StoreCapabilities, SummaryGroup,
    UpdateOutcome, Writers, limits,
};

use self::change_channel::ChangeChannel;
use self::entity_table::EntityTable;

/// The name in errors and reports.
const BACKEND: &str = "mem";

/// A [`Store`] in memory: the reference that others are compared with, and a
/// store for tests of other parts.
///
/// Everything happens under one lock, in the plainest way: every search scans
/// every row. Clones share the same memories. Nothing survives the last clone.
#[derive(Clone)]
pub struct InMemoryStore {
    state: Arc<Mutex<State>>,
    capabilities: StoreCapabilities,
    keeps_pages: bool,
}

/// All entities, who listens to what is written to them, and whether the store
/// was closed.
#[derive(Default)]
struct State {
    closed: bool,
    entities: BTreeMap<EntityId, EntityTable>,
    news: ChangeChannel,
}

impl InMemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            capabilities: StoreCapabilities::new(BACKEND)
                .durable(false)
                .lexical(true)
                .neighbors(true)
                .closes(true)
                .writers(Writers::Exclusive),
            keeps_pages: false,
        }
    }

    /// An empty store that keeps pages for its readers, of 8 memories each.
    #[must_use]
    pub fn with_snapshot_pages() -> Self {
        Self {
            keeps_pages: true,
            ..Self::new()
        }
    }

    /// An empty store that has no lexical retriever and says so.
    #[must_use]
    pub fn without_lexical() -> Self {
        let mut store = Self::new();
        store.capabilities = store.capabilities.lexical(false);
        store
    }

    /// Breaks the channel of [`Store::watch`]: every listener, also one that
    /// comes later, hears [`StoreEvent::Disconnected`](memory_core::StoreEvent::Disconnected),
    /// and nothing of what is written from here on.
    pub fn disconnect(&self) {
        self.locked().news.lose();
    }

    /// Mends the channel: every listener hears
    /// [`StoreEvent::Reconnected`](memory_core::StoreEvent::Reconnected), and again
    /// what is written from here on.
    pub fn reconnect(&self) {
        self.locked().news.restore();
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic of another test thread leaves no half-made state behind:
        // every write is planned first and carried out infallibly.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the store was closed.
    fn open(&self, operation: &'static str) -> MemoryResult<MutexGuard<'_, State>> {
        let state = self.locked();
        if state.closed {
            let message = "the store was closed";
            return Err(MemoryError::store(ErrorKind::Closed, operation, message));
        }
        Ok(state)
    }
}

impl State {
    /// Reads one entity's table, an empty one where there is none.
    fn read<T>(&self, entity: &EntityId, read: impl FnOnce(&EntityTable) -> T) -> T {
        match self.entities.get(entity) {
            Some(entity_table) => read(entity_table),
            None => read(&EntityTable::default()),
        }
    }

    /// Changes one entity's table, and reports it where that was a write.
    ///
    /// What is done to an entity that has no entity_table is done to an empty one,
    /// which is not kept: only an insert creates an entity.
    fn write<T>(&mut self, entity: &EntityId, write: impl FnOnce(&mut EntityTable) -> T) -> T {
        let mut nothing = EntityTable::default();
        let entity_table = self.entities.get_mut(entity).unwrap_or(&mut nothing);
        let before = entity_table.generation();
        let done = write(entity_table);
        let after = entity_table.generation();
        if after > before {
            entity_table.drop_outdated_pages();
            self.news.written(entity, after);
        }
        done
    }
}

impl Default for InMemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryStore {
    /// Counts only: content must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryStore")
            .field("entities", &self.locked().entities.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for InMemoryStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.capabilities.clone()
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        let mut state = self.open("insert")?;
        EmbeddedMemory::validate_batch(batch, self.capabilities.max_dimensions)?;
        let mut inserted = Vec::with_capacity(batch.len());
        for item in batch {
            inserted.push(state.read(&item.memory.entity_id, |entity_table| {
                entity_table.lacks(item)
            })?);
        }
        let mut new: BTreeMap<&EntityId, Vec<&EmbeddedMemory>> = BTreeMap::new();
        for (item, _) in batch.iter().zip(&inserted).filter(|(_, new)| **new) {
            new.entry(&item.memory.entity_id).or_default().push(item);
        }
        // The whole batch is carried out on copies, which replace the entities
        // when every entity is within its limit.
        let mut evicted = BTreeMap::new();
        let mut changed = Vec::with_capacity(new.len());
        for (entity, items) in new {
            let mut entity_table = state.entities.get(entity).cloned().unwrap_or_default();
            entity_table.raise();
            if let Some(ids) = room.evict.get(entity) {
                evicted.insert(entity.clone(), entity_table.remove(ids));
            }
            items.into_iter().for_each(|item| entity_table.insert(item));
            let count = entity_table.stats().memory_count;
            if let Some(max) = room.max_memories.filter(|max| count > *max) {
                let entity = entity.clone();
                return Err(MemoryError::LimitReached { entity, count, max });
            }
            changed.push((entity.clone(), entity_table));
        }
        evicted.retain(|_, gone: &mut RemoveOutcome| !gone.removed.is_empty());
        for (entity, mut entity_table) in changed {
            entity_table.drop_outdated_pages();
            state.news.written(&entity, entity_table.generation());
            state.entities.insert(entity, entity_table);
        }
        let generations = batch
            .iter()
            .map(|item| &item.memory.entity_id)
            .map(|entity| (entity.clone(), state.read(entity, EntityTable::generation)))
            .collect();
        Ok(InsertOutcome::new(inserted, generations).evicted(evicted))
    }

    async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
        read_at: Generation,
    ) -> MemoryResult<ConsolidateOutcome> {
        let mut state = self.open("consolidate")?;
        SummaryGroup::validate_all(groups, entity, self.capabilities.max_dimensions)?;
        state.write(entity, |entity_table| {
            entity_table.consolidate(entity, groups, read_at)?;
            let generation = entity_table.generation();
            Ok(ConsolidateOutcome::new(generation))
        })
    }

    async fn get(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<GetOutcome> {
        let state = self.open("get")?;
        Ok(state.read(entity, |entity_table| entity_table.get(ids)))
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
        let state = self.open("list")?;
        request.validate()?;
        Ok(state.read(entity, |entity_table| entity_table.list(request)))
    }

    async fn count(&self, entity: &EntityId, filter: &MemoryFilter) -> MemoryResult<u64> {
        let state = self.open("count")?;
        filter.validate()?;
        Ok(state.read(entity, |entity_table| {
            entity_table.admitted(filter).count() as u64
        }))
    }

    async fn search(
        &self,
        entity: &EntityId,
        request: &SearchRequest,
    ) -> MemoryResult<SearchOutcome> {
        let state = self.open("search")?;
        request.validate()?;
        if request.lexical.is_some() && !self.capabilities.lexical {
            return Err(MemoryError::Unsupported {
                operation: "lexical search",
                backend: BACKEND,
            });
        }
        Ok(state.read(entity, |entity_table| search::search(entity_table, request)))
    }

    async fn neighbors(
        &self,
        entity: &EntityId,
        request: &NeighborRequest,
    ) -> MemoryResult<NeighborOutcome> {
        let state = self.open("neighbors")?;
        request.validate()?;
        Ok(state.read(entity, |table| search::neighbors(table, request)))
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let state = self.open("changes_since")?;
        Ok(state.read(entity, |entity_table| {
            entity_table.changes_since(since, fingerprint)
        }))
    }

    fn snapshot_pages(&self) -> Option<&dyn SnapshotPages> {
        self.keeps_pages.then_some(self as _)
    }

    async fn update(
        &self,
        entity: &EntityId,
        id: &MemoryId,
        patch: &MemoryPatch,
        embedding: Option<&Embedding>,
    ) -> MemoryResult<UpdateOutcome> {
        let mut state = self.open("update")?;
        patch.validate_with(id, embedding, self.capabilities.max_dimensions)?;
        state.write(entity, |entity_table| {
            entity_table.update(entity, id, patch, embedding)
        })
    }

    async fn vector_counts(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<Vec<usize>> {
        let state = self.open("vector_counts")?;
        Ok(state.read(entity, |entity_table| {
            entity_table.vector_counts(ids, fingerprint)
        }))
    }

    async fn count_by_model(&self, entity: &EntityId) -> MemoryResult<BTreeMap<Fingerprint, u64>> {
        let state = self.open("count_by_model")?;
        Ok(state.read(entity, EntityTable::count_by_model))
    }

    async fn replace_vectors(
        &self,
        entity: &EntityId,
        embeddings: &[(MemoryId, Embedding)],
        read_at: Generation,
    ) -> MemoryResult<ReplaceVectorsOutcome> {
        let mut state = self.open("replace_vectors")?;
        for (_, embedding) in embeddings {
            embedding.validate(self.capabilities.max_dimensions)?;
        }
        Ok(state.write(entity, |entity_table| {
            entity_table.replace_vectors(embeddings, read_at)
        }))
    }

    async fn remove_other_vectors(
        &self,
        entity: &EntityId,
        ids: &[MemoryId],
        fingerprint: &Fingerprint,
    ) -> MemoryResult<u64> {
        let mut state = self.open("remove_other_vectors")?;
        Ok(state.write(entity, |entity_table| {
            entity_table.remove_other_vectors(ids, fingerprint)
        }))
    }

    async fn delete(&self, entity: &EntityId, ids: &[MemoryId]) -> MemoryResult<RemoveOutcome> {
        let mut state = self.open("delete")?;
        Ok(state.write(entity, |entity_table| entity_table.delete(ids)))
    }

    async fn record_accesses(
        &self,
        updates: &[AccessUpdate],
        _max_wait: Duration,
    ) -> MemoryResult<AccessOutcome> {
        let mut state = self.open("record_accesses")?;
        AccessUpdate::validate_all(updates)?;
        for update in updates {
            if let Some(entity_table) = state.entities.get_mut(&update.entity) {
                entity_table.record_access(update);
            }
        }
        Ok(AccessOutcome::default())
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        let state = self.open("entity_stats")?;
        Ok(state.read(entity, EntityTable::stats))
    }

    async fn list_entities(
        &self,
        after: Option<&EntityId>,
        limit: usize,
    ) -> MemoryResult<Vec<EntityId>> {
        let state = self.open("list_entities")?;
        limits::check_limit(limit)?;
        let beyond = |entity: &EntityId| after.is_none_or(|after| entity > after);
        let holding = state
            .entities
            .iter()
            .filter(|(_, entity_table)| entity_table.holds_any());
        Ok(holding
            .map(|(entity, _)| entity)
            .filter(|entity| beyond(entity))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn recently_accessed_entities(&self, limit: usize) -> MemoryResult<Vec<EntityId>> {
        let state = self.open("recently_accessed_entities")?;
        limits::check_limit(limit)?;
        let accessed = state.entities.iter().filter_map(|(entity, entity_table)| {
            Some((Reverse(entity_table.last_accessed()?), entity))
        });
        let mut accessed: Vec<_> = accessed.collect();
        accessed.sort_unstable();
        let latest = accessed.into_iter().take(limit);
        Ok(latest.map(|(_, entity)| entity.clone()).collect())
    }

    /// There are no indexes: the report has none.
    async fn maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        drop(self.open("maintain_indexes")?);
        request.validate()?;
        let target = request.target_recall.unwrap_or(DEFAULT_ANN_TARGET_RECALL);
        Ok(MaintenanceReport::new(request.dry_run, target))
    }

    async fn watch(&self) -> MemoryResult<Option<Box<dyn ChangeStream>>> {
        let mut state = self.open("watch")?;
        Ok(Some(Box::new(state.news.listen())))
    }

    async fn close(&self) -> MemoryResult<()> {
        let mut state = self.locked();
        state.closed = true;
        state.news.close();
        Ok(())
    }
}
