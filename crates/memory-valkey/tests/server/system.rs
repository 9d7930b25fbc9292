//! Systems that share a server, as processes would.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{EntityId, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, SharedCache};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore};

use crate::process::ValkeyProcess;
use crate::watched_cache::{Calls, WatchedCache};

/// Long enough for a busy machine.
const BUDGET: Duration = Duration::from_millis(400);

pub(crate) struct System {
    engine: Engine,
    embedder: Arc<HashEmbedder>,
    pub(crate) calls: Arc<Calls>,
}

impl System {
    /// A system of its own process, as far as its caches are concerned, that shares a
    /// server.
    pub(crate) fn new(store: &InMemoryStore, server: &ValkeyProcess) -> Self {
        Self::at(store, &server.url("namespace=game"))
    }

    /// As [`new`](Self::new), at this URL.
    pub(crate) fn at(store: &InMemoryStore, url: &str) -> Self {
        let (cache, calls) = WatchedCache::open(url);
        let (engine, embedder) = build(store, Some(cache));
        Self {
            engine,
            embedder,
            calls,
        }
    }

    pub(crate) async fn retain(&self, content: &str) -> MemoryId {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, content);
        self.engine.retain_batch(vec![item]).await.unwrap()[0]
    }

    /// The contents of the memories that a question finds.
    pub(crate) async fn recall(&self, text: &str) -> Vec<String> {
        recall(&self.engine, text).await
    }

    pub(crate) async fn forget(&self, id: MemoryId) {
        let mira = EntityId::from("mira");
        self.engine.forget(&mira, &id).await.unwrap();
    }

    /// Texts that were embedded, one by one.
    pub(crate) fn embedded(&self) -> u64 {
        self.embedder.texts()
    }

    /// Asks many new questions; each answer must be that of a system that shares
    /// nothing.
    pub(crate) async fn assert_right(&self, store: &InMemoryStore, from: usize, what: &str) {
        let (alone, _) = build(store, None);
        for n in from..from + 20 {
            let expected = recall(&alone, &question(n)).await;
            assert_eq!(self.recall(&question(n)).await, expected, "{what}");
        }
    }
}

fn build(store: &InMemoryStore, cache: Option<Arc<WatchedCache>>) -> (Engine, Arc<HashEmbedder>) {
    let embedder = Arc::new(HashEmbedder::new());
    let mut builder = Engine::builder(MokaBackend).shared_cache_budget(BUDGET);
    if let Some(cache) = cache {
        builder = builder.shared_cache(cache as Arc<dyn SharedCache>);
    }
    // Vectors only in the shared cache: every look-up is one there.
    let config = MemoryConfig {
        embedding_cache_capacity: 1,
        ..MemoryConfig::default()
    };
    let engine = builder.config(config);
    let engine = engine.build(Arc::new(store.clone()), embedder.clone());
    (engine.unwrap(), embedder)
}

async fn recall(engine: &Engine, text: &str) -> Vec<String> {
    let mira = EntityId::from("mira");
    let hits = engine.recall(&mira, &RecallRequest::new(text)).await;
    let hits = hits.unwrap().into_iter();
    hits.map(|hit| hit.memory.content.clone()).collect()
}

/// A question that nobody has asked before.
pub(crate) fn question(n: usize) -> String {
    format!("who saw the mill number {n} at night")
}

/// Waits until one system uses what another one puts.
pub(crate) async fn wait_until_shared(from: &System, to: &System, mut n: usize) {
    let began = Instant::now();
    loop {
        from.recall(&question(n)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = to.embedded();
        to.recall(&question(n)).await;
        if to.embedded() == before {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not used again");
        n += 1;
    }
}

/// Whether a new system computes the vector of a passage.
pub(crate) async fn is_computed(store: &InMemoryStore, server: &ValkeyProcess, text: &str) -> bool {
    let system = System::new(store, server);
    let texts = [text.to_owned()];
    let embedded = system.engine.generate_embeddings_batch(&texts).await;
    embedded.unwrap();
    assert_eq!(system.calls.answered(), 1, "the server answers");
    system.embedded() == 1
}
