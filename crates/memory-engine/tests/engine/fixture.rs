//! An engine on the reference store, with a gate behind the store's methods.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by several test files"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::{
    Clock, EntityId, ErrorKind, Generation, MemoryBatchItem, MemoryConfig, MemoryError, MemoryKind,
    MemoryResult, Store, SystemClock,
};
use memory_engine::Engine;
use memory_moka::MokaBackend;
use memory_testkit::{
    HashEmbedder, HookedStore, InMemoryStore, StoreCall, StoreHooks, StoreOperation,
};
use tokio::sync::{Notify, Semaphore};

/// Counts the calls of a store, can hold them after they read, and can lose the
/// response of a write.
#[derive(Debug)]
pub(crate) struct StoreGate {
    pub(crate) inner: InMemoryStore,
    pub(crate) gets: AtomicU64,
    pub(crate) inserts: AtomicU64,
    pub(crate) searches: AtomicU64,
    pub(crate) full_loads: AtomicU64,
    pub(crate) deltas: AtomicU64,
    pub(crate) stats: AtomicU64,
    pub(crate) lists: AtomicU64,
    /// Held calls wait here, after they have read or written.
    gate: Semaphore,
    reads_wait: AtomicBool,
    loads_wait: AtomicBool,
    writes_wait: AtomicBool,
    /// Loads of a whole entity fail before they read.
    pub(crate) loads_fail: AtomicBool,
    pub(crate) reached: Notify,
    /// The store has no change events.
    pub(crate) no_watch: AtomicBool,
    /// Searches do not count what they compare.
    pub(crate) is_approximate: AtomicBool,
    /// The next insert or deletion commits and then reports an unknown outcome.
    pub(crate) lose_next_response: AtomicBool,
    /// The next insert fails so, before it writes anything.
    pub(crate) fail_next_insert: Mutex<Option<ErrorKind>>,
}

impl StoreGate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: InMemoryStore::new(),
            gets: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
            searches: AtomicU64::new(0),
            full_loads: AtomicU64::new(0),
            deltas: AtomicU64::new(0),
            stats: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            gate: Semaphore::new(0),
            reads_wait: AtomicBool::new(false),
            loads_wait: AtomicBool::new(false),
            loads_fail: AtomicBool::new(false),
            writes_wait: AtomicBool::new(false),
            reached: Notify::new(),
            no_watch: AtomicBool::new(false),
            is_approximate: AtomicBool::new(false),
            lose_next_response: AtomicBool::new(false),
            fail_next_insert: Mutex::new(None),
        })
    }

    /// The store behind this gate.
    pub(crate) fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        let hooks = Arc::clone(self);
        Arc::new(HookedStore::new(Arc::new(self.inner.clone()), hooks))
    }

    pub(crate) fn hold_reads(&self) {
        self.reads_wait.store(true, Ordering::SeqCst);
    }

    /// Loads of a whole entity, and no other reads.
    pub(crate) fn hold_loads(&self) {
        self.loads_wait.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hold_writes(&self) {
        self.writes_wait.store(true, Ordering::SeqCst);
    }

    /// Releases all held calls and holds no further ones.
    pub(crate) fn release(&self) {
        self.reads_wait.store(false, Ordering::SeqCst);
        self.loads_wait.store(false, Ordering::SeqCst);
        self.writes_wait.store(false, Ordering::SeqCst);
        self.gate.add_permits(1_000);
    }

    /// Reads of any kind.
    pub(crate) fn reads(&self) -> u64 {
        let counters = [
            &self.gets,
            &self.searches,
            &self.full_loads,
            &self.deltas,
            &self.stats,
            &self.lists,
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
impl StoreHooks for StoreGate {
    fn has_watch(&self) -> bool {
        !self.no_watch.load(Ordering::SeqCst)
    }

    fn counts_compared(&self) -> bool {
        !self.is_approximate.load(Ordering::SeqCst)
    }

    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        let counter = match call.operation {
            StoreOperation::Insert | StoreOperation::InsertOpts => &self.inserts,
            StoreOperation::Get => &self.gets,
            StoreOperation::Search => &self.searches,
            StoreOperation::EntityStats => &self.stats,
            StoreOperation::List => &self.lists,
            StoreOperation::ChangesSince if is_load(&call) => &self.full_loads,
            StoreOperation::ChangesSince => &self.deltas,
            _ => return Ok(()),
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let is_insert = call.operation == StoreOperation::InsertOpts;
        if is_insert && let Some(kind) = self.fail_next_insert.lock().unwrap().take() {
            return Err(MemoryError::store(kind, "insert", "refused"));
        }
        if is_load(&call) && self.loads_fail.load(Ordering::SeqCst) {
            return Err(MemoryError::store(ErrorKind::Unavailable, "load", ""));
        }
        Ok(())
    }

    async fn after(&self, call: StoreCall<'_>, _: Result<(), &MemoryError>) -> MemoryResult<()> {
        match call.operation {
            StoreOperation::ChangesSince
                if is_load(&call) && self.loads_wait.load(Ordering::SeqCst) =>
            {
                self.pass(&self.loads_wait).await;
            }
            StoreOperation::Get | StoreOperation::List | StoreOperation::ChangesSince => {
                self.pass(&self.reads_wait).await;
            }
            StoreOperation::Insert | StoreOperation::InsertOpts => {
                self.pass(&self.writes_wait).await;
                if self.lose_next_response.swap(false, Ordering::SeqCst) {
                    return Err(MemoryError::store(
                        ErrorKind::OutcomeUnknown,
                        "insert",
                        "cut off",
                    ));
                }
            }
            StoreOperation::Update => self.pass(&self.writes_wait).await,
            StoreOperation::Delete => {
                self.pass(&self.writes_wait).await;
                if self.lose_next_response.swap(false, Ordering::SeqCst) {
                    return Err(MemoryError::store(
                        ErrorKind::OutcomeUnknown,
                        "delete",
                        "cut off",
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_load(call: &StoreCall<'_>) -> bool {
    call.operation == StoreOperation::ChangesSince && call.since == Some(Generation::ZERO)
}

/// An engine, and its parts to inspect.
pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<StoreGate>,
    pub(crate) embedder: Arc<HashEmbedder>,
}

pub(crate) fn fixture() -> Fixture {
    fixture_with(MemoryConfig::default())
}

pub(crate) fn fixture_with(config: MemoryConfig) -> Fixture {
    fixture_on(StoreGate::new(), config)
}

/// Another system on an existing store.
pub(crate) fn fixture_on(store: Arc<StoreGate>, config: MemoryConfig) -> Fixture {
    fixture_at(store, config, Arc::new(SystemClock))
}

/// Another system on an existing store, with its own clock.
pub(crate) fn fixture_at(
    store: Arc<StoreGate>,
    config: MemoryConfig,
    clock: Arc<dyn Clock>,
) -> Fixture {
    let embedder = Arc::new(HashEmbedder::new());
    let engine = Engine::builder(MokaBackend)
        .config(config)
        .clock(clock)
        .build(
            store.store(),
            Arc::clone(&embedder) as Arc<dyn memory_core::Embedder>,
        )
        .unwrap();
    Fixture {
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
