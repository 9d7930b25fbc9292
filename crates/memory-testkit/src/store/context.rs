//! The context of a check: a store and a namespace of its own in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    AccessUpdate, ChangeSet, EmbeddedMemory, EntityId, Generation, InsertOutcome, ListPage,
    ListRequest, ListScope, Memory, MemoryFilter, MemoryId, Store, SummaryGroup,
};

use super::Tolerance;
use crate::check::{At, CheckFailure, CheckResult, ensure};
use crate::fixtures;
use crate::seeded_rng::SeededRng;

/// How long a store may wait for an entity that its own background work has locked.
pub(crate) const MAX_LOCK_WAIT: Duration = Duration::from_secs(30);

/// An event comes sooner or later; this is later than any test machine.
const WATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What a check is given: the store, and a namespace that no other check uses,
/// so that one database serves every check and every run.
#[derive(Debug)]
pub struct CheckContext {
    store: Arc<dyn Store>,
    namespace: String,
    tolerance: Tolerance,
    /// Whether it is required that the store defers accesses.
    pub(super) defers_accesses: bool,
    /// How long an event may take.
    pub(super) watch_timeout: Duration,
    /// The store, opened once more.
    pub(super) second: Option<Arc<dyn Store>>,
    /// Whether it is required that both are of one database.
    pub(super) reopens: bool,
}

impl CheckContext {
    /// A fresh namespace in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, tolerance: Tolerance) -> Self {
        Self {
            store,
            // Of a fixed length and without any name's prefix in it, so that
            // the entities of a namespace are adjacent in their order.
            namespace: format!("testkit-{}", MemoryId::new()),
            tolerance,
            defers_accesses: false,
            watch_timeout: WATCH_TIMEOUT,
            second: None,
            reopens: false,
        }
    }

    /// The store under test.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What every entity's name here begins with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// An entity of this namespace.
    #[must_use]
    pub fn entity(&self, name: &str) -> EntityId {
        EntityId::from(format!("{}/{name}", self.namespace))
    }

    /// How far numbers may be off.
    #[must_use]
    pub const fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Whether the store must defer updates of an entity that another caller writes to.
    #[must_use]
    pub const fn defers_accesses(&self) -> bool {
        self.defers_accesses
    }

    /// The same namespace in the store as it was opened once more.
    pub(crate) fn second(&self) -> Option<Self> {
        let mut other = Self::new(self.second.clone()?, self.tolerance);
        other.namespace.clone_from(&self.namespace);
        other.watch_timeout = self.watch_timeout;
        Some(other)
    }

    /// Whether the store must give the same database each time it is opened.
    #[must_use]
    pub const fn reopens(&self) -> bool {
        self.reopens
    }

    /// How long an event of [`Store::watch`] may take.
    #[must_use]
    pub const fn watch_timeout(&self) -> Duration {
        self.watch_timeout
    }

    /// A generator for this check's data: the same in every run and at every
    /// call.
    #[must_use]
    pub const fn rng(&self) -> SeededRng {
        SeededRng::new(0x5eed)
    }

    /// Inserts a batch that must succeed.
    pub(crate) async fn insert(
        &self,
        batch: &[EmbeddedMemory],
    ) -> Result<InsertOutcome, CheckFailure> {
        self.store.insert(batch).await.at("insert")
    }

    /// Inserts a varied fixtures and returns it.
    pub(crate) async fn populate(
        &self,
        entity: &EntityId,
        size: usize,
        rng: &mut SeededRng,
    ) -> Result<Vec<EmbeddedMemory>, CheckFailure> {
        let people = fixtures::varied_memories(entity, size, rng);
        self.insert(&people).await?;
        Ok(people)
    }

    /// Archives memories as they are now, which must succeed.
    pub(crate) async fn consolidate(
        &self,
        entity: &EntityId,
        groups: &[SummaryGroup],
    ) -> Result<Generation, CheckFailure> {
        let read_at = self.generation(entity).await?;
        let outcome = self.store.consolidate(entity, groups, read_at).await;
        Ok(outcome.at("consolidate")?.generation)
    }

    /// Records accesses of entities that nobody else writes to, which must succeed.
    pub(crate) async fn record_accesses(&self, updates: &[AccessUpdate]) -> CheckResult {
        let recorded = self.store.record_accesses(updates, MAX_LOCK_WAIT).await;
        let deferred = recorded.at("record_accesses")?.deferred.len();
        ensure!(deferred == 0, "{deferred} updates were deferred");
        Ok(())
    }

    /// One memory, `None` where the entity has none.
    pub(crate) async fn get(
        &self,
        entity: &EntityId,
        id: MemoryId,
    ) -> Result<Option<Memory>, CheckFailure> {
        let fetched = self.store.get(entity, &[id]).await.at("get")?;
        ensure!(
            fetched.memories.len() == 1,
            "get of 1 id gave {} results",
            fetched.memories.len()
        );
        Ok(fetched.memories.into_iter().next().flatten())
    }

    /// Whether the entity has this memory.
    pub(crate) async fn has(&self, entity: &EntityId, id: MemoryId) -> Result<bool, CheckFailure> {
        Ok(self.get(entity, id).await?.is_some())
    }

    /// The entity's generation, by its statistics.
    pub(crate) async fn generation(&self, entity: &EntityId) -> Result<Generation, CheckFailure> {
        let stats = self.store.entity_stats(entity).await.at("entity_stats")?;
        Ok(stats.generation)
    }

    /// Every memory of an entity.
    pub(crate) async fn count(&self, entity: &EntityId) -> Result<u64, CheckFailure> {
        let all = MemoryFilter::new();
        self.store.count(entity, &all).await.at("count")
    }

    /// What changed, with the vectors of the kit's own fingerprint.
    pub(crate) async fn changes(
        &self,
        entity: &EntityId,
        since: Generation,
    ) -> Result<ChangeSet, CheckFailure> {
        self.store
            .changes_since(entity, since, &fixtures::fingerprint())
            .await
            .at("changes_since")
    }

    /// Turns all pages of a list of live memories.
    pub(crate) async fn pages(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
        limit: usize,
    ) -> Result<Vec<ListPage>, CheckFailure> {
        let request = ListRequest::new(limit).filter(filter.clone());
        self.pages_of(entity, request).await
    }

    /// Turns all pages of a list, from the one asked for on.
    async fn pages_of(
        &self,
        entity: &EntityId,
        mut request: ListRequest,
    ) -> Result<Vec<ListPage>, CheckFailure> {
        /// More than any check has to turn: an endless list ends here.
        const MAX_PAGES: usize = 2_000;
        let limit = request.limit;
        let mut pages = Vec::new();
        while pages.len() < MAX_PAGES {
            let page = self.store.list(entity, &request).await.at("list")?;
            let next = page.next;
            pages.push(page);
            match next {
                Some(cursor) => request.after = Some(cursor),
                None => return Ok(pages),
            }
        }
        Err(CheckFailure::failed(format!(
            "list does not end: {MAX_PAGES} pages of {limit} and still a next one"
        )))
    }

    /// Every memory of a scope that a filter lists, over all pages.
    pub(crate) async fn listed_in(
        &self,
        scope: ListScope,
        entity: &EntityId,
        filter: &MemoryFilter,
        limit: usize,
    ) -> Result<Vec<Memory>, CheckFailure> {
        let request = ListRequest::new(limit).filter(filter.clone()).scope(scope);
        let pages = self.pages_of(entity, request).await?;
        Ok(pages.into_iter().flat_map(|page| page.memories).collect())
    }

    /// Every live memory that a filter lists, over all pages.
    pub(crate) async fn listed(
        &self,
        entity: &EntityId,
        filter: &MemoryFilter,
        limit: usize,
    ) -> Result<Vec<Memory>, CheckFailure> {
        let pages = self.pages(entity, filter, limit).await?;
        Ok(pages.into_iter().flat_map(|page| page.memories).collect())
    }
}

/// The ids of `items`, in their order.
pub(crate) fn ids(items: &[EmbeddedMemory]) -> Vec<MemoryId> {
    items.iter().map(|item| item.memory.id).collect()
}

/// Ids in any order, each of which must occur once.
pub(crate) fn distinct(
    ids: impl IntoIterator<Item = MemoryId>,
) -> Result<BTreeSet<MemoryId>, CheckFailure> {
    let mut seen = BTreeSet::new();
    for id in ids {
        ensure!(seen.insert(id), "id {id} occurs twice");
    }
    Ok(seen)
}

/// The memories of `items` that a filter admits, in the order of a list.
pub(crate) fn in_list_order(items: &[EmbeddedMemory], filter: &MemoryFilter) -> Vec<Memory> {
    let mut admitted: Vec<Memory> = items
        .iter()
        .map(|item| &item.memory)
        .filter(|memory| filter.matches(memory))
        .cloned()
        .collect();
    admitted.sort_by_key(|memory| std::cmp::Reverse((memory.timestamp, memory.id)));
    admitted
}
