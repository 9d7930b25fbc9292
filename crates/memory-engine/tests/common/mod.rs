//! An engine on the reference store, with a gate behind the store's methods.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by several test files"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    AccessUpdate, ChangeSet, ChangeStream, Clock, ConsolidateOutcome, EmbeddedMemory, Embedding,
    EntityId, EntityStats, ErrorKind, Fingerprint, Generation, GetOutcome, InsertOptions,
    InsertOutcome, ListPage, ListRequest, MemoryBatchItem, MemoryConfig, MemoryError, MemoryFilter,
    MemoryId, MemoryKind, MemoryPatch, MemoryResult, RemoveOutcome, SearchOutcome, SearchRequest,
    Store, StoreCapabilities, SummaryGroup, SystemClock, UpdateOutcome,
};
use memory_engine::Engine;
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore};
use tokio::sync::{Notify, Semaphore};

/// A store that counts its calls, can be held up after it read, and can fail.
#[derive(Debug)]
pub(crate) struct GatedStore {
    pub(crate) inner: InMemoryStore,
    pub(crate) gets: AtomicU64,
    pub(crate) inserts: AtomicU64,
    pub(crate) searches: AtomicU64,
    pub(crate) full_loads: AtomicU64,
    pub(crate) deltas: AtomicU64,
    pub(crate) stats: AtomicU64,
    /// Where calls wait that are held, with their result already in hand.
    gate: Semaphore,
    reads_wait: AtomicBool,
    writes_wait: AtomicBool,
    pub(crate) reached: Notify,
    /// There is no channel of news.
    pub(crate) deaf: AtomicBool,
    /// The next insert commits and then says that it cannot tell.
    pub(crate) lose_next_answer: AtomicBool,
}

impl GatedStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: InMemoryStore::new(),
            gets: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
            searches: AtomicU64::new(0),
            full_loads: AtomicU64::new(0),
            deltas: AtomicU64::new(0),
            stats: AtomicU64::new(0),
            gate: Semaphore::new(0),
            reads_wait: AtomicBool::new(false),
            writes_wait: AtomicBool::new(false),
            reached: Notify::new(),
            deaf: AtomicBool::new(false),
            lose_next_answer: AtomicBool::new(false),
        })
    }

    pub(crate) fn hold_reads(&self) {
        self.reads_wait.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hold_writes(&self) {
        self.writes_wait.store(true, Ordering::SeqCst);
    }

    /// Lets through all that wait and all that come.
    pub(crate) fn release(&self) {
        self.reads_wait.store(false, Ordering::SeqCst);
        self.writes_wait.store(false, Ordering::SeqCst);
        self.gate.add_permits(1_000);
    }

    /// Calls that read, of any kind.
    pub(crate) fn reads(&self) -> u64 {
        let counters = [
            &self.gets,
            &self.searches,
            &self.full_loads,
            &self.deltas,
            &self.stats,
        ];
        counters.into_iter().map(Self::count).sum()
    }

    pub(crate) fn count(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }

    async fn pass(&self, waits: &AtomicBool) {
        if waits.load(Ordering::SeqCst) {
            self.reached.notify_one();
            self.gate.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait]
impl Store for GatedStore {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn insert_opts(
        &self,
        batch: &[EmbeddedMemory],
        room: &InsertOptions,
    ) -> MemoryResult<InsertOutcome> {
        self.inserts.fetch_add(1, Ordering::SeqCst);
        let outcome = self.inner.insert_opts(batch, room).await;
        self.pass(&self.writes_wait).await;
        if self.lose_next_answer.swap(false, Ordering::SeqCst) {
            return Err(MemoryError::store(
                ErrorKind::OutcomeUnknown,
                "insert",
                "cut off",
            ));
        }
        outcome
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
        self.gets.fetch_add(1, Ordering::SeqCst);
        let fetched = self.inner.get(entity, ids).await;
        self.pass(&self.reads_wait).await;
        fetched
    }

    async fn list(&self, entity: &EntityId, request: &ListRequest) -> MemoryResult<ListPage> {
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
        self.searches.fetch_add(1, Ordering::SeqCst);
        self.inner.search(entity, request).await
    }

    async fn changes_since(
        &self,
        entity: &EntityId,
        since: Generation,
        fingerprint: &Fingerprint,
    ) -> MemoryResult<ChangeSet> {
        let counter = if since == Generation::ZERO {
            &self.full_loads
        } else {
            &self.deltas
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let changes = self.inner.changes_since(entity, since, fingerprint).await;
        self.pass(&self.reads_wait).await;
        changes
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
        entity: &EntityId,
        updates: &[AccessUpdate],
    ) -> MemoryResult<()> {
        self.inner.record_accesses(entity, updates).await
    }

    async fn entity_stats(&self, entity: &EntityId) -> MemoryResult<EntityStats> {
        self.stats.fetch_add(1, Ordering::SeqCst);
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
        if self.deaf.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.inner.watch().await
    }

    async fn close(&self) -> MemoryResult<()> {
        self.inner.close().await
    }
}

/// An engine, and the parts to look into.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<GatedStore>,
    pub(crate) embedder: Arc<HashEmbedder>,
}

pub(crate) fn bench() -> Bench {
    bench_with(MemoryConfig::default())
}

pub(crate) fn bench_with(config: MemoryConfig) -> Bench {
    bench_on(GatedStore::new(), config)
}

/// Another system on a store that is there already.
pub(crate) fn bench_on(store: Arc<GatedStore>, config: MemoryConfig) -> Bench {
    bench_at(store, config, Arc::new(SystemClock))
}

/// Another system on a store that is there already, by a clock of its own.
pub(crate) fn bench_at(
    store: Arc<GatedStore>,
    config: MemoryConfig,
    clock: Arc<dyn Clock>,
) -> Bench {
    let embedder = Arc::new(HashEmbedder::new());
    let engine = Engine::builder(MokaBackend)
        .config(config)
        .clock(clock)
        .build(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&embedder) as Arc<dyn memory_core::Embedder>,
        )
        .unwrap();
    Bench {
        engine,
        store,
        embedder,
    }
}

pub(crate) fn mira() -> EntityId {
    EntityId::from("mira")
}

pub(crate) fn item(content: &str) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::Experience, content)
}
