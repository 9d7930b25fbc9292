//! Systems that share a server, and the server's faults: answers stay right, and a
//! call costs at most the budget, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{EntityId, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore};
use memory_valkey::ValkeyCache;

use crate::process::ValkeyProcess;

/// Long enough for a busy machine, and easily told from a call that waits for it.
const BUDGET: Duration = Duration::from_millis(400);

struct System {
    engine: Engine,
    embedder: Arc<HashEmbedder>,
}

/// A system of its own process, as far as its caches are concerned.
fn system(store: &InMemoryStore, server: Option<&ValkeyProcess>) -> System {
    let embedder = Arc::new(HashEmbedder::new());
    let mut builder = Engine::builder(MokaBackend).shared_cache_budget(BUDGET);
    if let Some(server) = server {
        let cache = ValkeyCache::open(&server.url("namespace=game")).unwrap();
        builder = builder.shared_cache(Arc::new(cache));
    }
    // Vectors only in the shared cache: every look-up is one there.
    let config = MemoryConfig {
        embedding_cache_capacity: 1,
        ..MemoryConfig::default()
    };
    let engine = builder.config(config);
    let engine = engine
        .build(Arc::new(store.clone()), embedder.clone())
        .unwrap();
    System { engine, embedder }
}

impl System {
    async fn retain(&self, content: &str) -> MemoryId {
        let item = MemoryBatchItem::new("mira", MemoryKind::World, content);
        self.engine.retain_batch(vec![item]).await.unwrap()[0]
    }

    /// The contents of the memories that a question finds.
    async fn recall(&self, text: &str) -> Vec<String> {
        let mira = EntityId::from("mira");
        let hits = self.engine.recall(&mira, &RecallRequest::new(text)).await;
        let hits = hits.unwrap().into_iter();
        hits.map(|hit| hit.memory.content.clone()).collect()
    }

    async fn forget(&self, id: MemoryId) {
        let mira = EntityId::from("mira");
        self.engine.forget(&mira, &id).await.unwrap();
    }

    /// Texts that were embedded, one by one.
    fn embedded(&self) -> u64 {
        self.embedder.texts()
    }
}

/// A question that nobody has asked before.
fn question(n: usize) -> String {
    format!("who saw the mill number {n} at night")
}

/// Waits until the server has this many values: the engine puts them in the background.
async fn wait_for_keys(server: &ValkeyProcess, keys: u64) {
    let began = Instant::now();
    while server.run::<u64>(&["DBSIZE"]) < keys {
        assert!(began.elapsed() < Duration::from_secs(30), "no {keys} keys");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until one system uses what another one puts.
async fn wait_until_shared(from: &System, to: &System, mut n: usize) {
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
async fn is_computed(store: &InMemoryStore, server: &ValkeyProcess, text: &str) -> bool {
    let system = system(store, Some(server));
    let texts = [text.to_owned()];
    system
        .engine
        .generate_embeddings_batch(&texts)
        .await
        .unwrap();
    system.embedded() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn four_systems_embed_a_text_once() {
    const QUESTIONS: usize = 25;
    let (store, server) = (InMemoryStore::new(), ValkeyProcess::start());
    let alone = system(&store, None);
    alone.retain("the miller saw the mill at night").await;
    let mut embedded = 0;
    for _ in 0..4 {
        let system = system(&store, Some(&server));
        for n in 0..QUESTIONS {
            let shared = system.recall(&question(n)).await;
            assert_eq!(shared, alone.recall(&question(n)).await);
        }
        wait_for_keys(&server, QUESTIONS as u64).await;
        embedded += system.embedded();
    }
    assert_eq!(embedded, QUESTIONS as u64, "each text once, by one of four");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_removed_before_the_answer_or_before_the_server_is_used_again() {
    const TEXT: &str = "the miller hides the key under the stone";
    let (store, server) = (InMemoryStore::new(), ValkeyProcess::start());
    let system = system(&store, Some(&server));
    let id = system.retain(TEXT).await;
    wait_for_keys(&server, 1).await;
    assert!(!is_computed(&store, &server, TEXT).await, "it is shared");
    system.forget(id).await;
    assert!(is_computed(&store, &server, TEXT).await, "it was removed");

    // The last line has put it again. While it is forgotten, the server is silent.
    let id = system.retain(TEXT).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        !is_computed(&store, &server, TEXT).await,
        "it is shared again"
    );
    server.signal("STOP");
    system.forget(id).await;
    server.signal("CONT");
    let other = self::system(&store, Some(&server));
    wait_until_shared(&system, &other, 0).await;
    assert!(
        is_computed(&store, &server, TEXT).await,
        "it was removed later"
    );
}

/// Asks many new questions while the server is in this state; each answer must be
/// that of a system without it, and all of them together cost one budget.
async fn assert_right_and_quick(store: &InMemoryStore, shared: &System, from: usize, what: &str) {
    let alone = system(store, None);
    let mut waited = Duration::ZERO;
    for n in from..from + 20 {
        let expected = alone.recall(&question(n)).await;
        let began = Instant::now();
        let answer = shared.recall(&question(n)).await;
        waited += began.elapsed();
        assert_eq!(answer, expected, "{what}");
    }
    assert!(waited < 2 * BUDGET, "{what}: 20 recalls took {waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_change_no_answer_and_cost_one_budget_at_most() {
    let (store, mut server) = (InMemoryStore::new(), ValkeyProcess::start());
    let shared = system(&store, Some(&server));
    let other = system(&store, Some(&server));
    shared.retain("the miller saw the mill at night").await;
    wait_until_shared(&shared, &other, 10_000).await;
    let _: String = server.run(&["SAVE"]);
    let forgotten = shared.retain("the smith saw the mill too").await;

    server.signal("STOP");
    assert_right_and_quick(&store, &shared, 100, "silent").await;
    shared.forget(forgotten).await;
    assert_right_and_quick(&store, &shared, 200, "silent, after a write").await;
    server.signal("CONT");
    wait_until_shared(&shared, &other, 20_000).await;

    let _: String = server.run(&["FLUSHALL"]);
    assert_right_and_quick(&store, &shared, 300, "flushed").await;
    wait_until_shared(&shared, &other, 30_000).await;

    let _: String = server.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let _: String = server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_right_and_quick(&store, &shared, 400, "full").await;
    let _: String = server.run(&["CONFIG", "SET", "maxmemory", "64mb"]);
    wait_until_shared(&shared, &other, 40_000).await;

    server.kill();
    assert_right_and_quick(&store, &shared, 500, "dead").await;
    let started_while_dead = system(&store, Some(&server));
    assert_right_and_quick(&store, &started_while_dead, 600, "dead at the start").await;
    server.restart();
    assert_right_and_quick(&store, &shared, 700, "with old data").await;
    wait_until_shared(&shared, &other, 50_000).await;
    wait_until_shared(&shared, &started_while_dead, 60_000).await;
}
