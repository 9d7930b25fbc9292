//! Random operations through three systems on one store, which share a server that is
//! stopped, flushed, killed, started again with old data and cut off from any of them:
//! every read is checked against the model, and every similarity against the embedder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{
    Consistency, EmbedRole, Embedder, EntityId, MemoryBatchItem, MemoryKind, SharedCache, cosine,
};
use memory_engine::{Engine, RecallRequest};
use memory_moka::MokaBackend;
use memory_testkit::{HashEmbedder, InMemoryStore, MapBackend};
use proptest::prelude::*;

use crate::forwarder::{Forwarder, Network};
use crate::process::ValkeyProcess;
use crate::watched_cache::{Calls, WatchedCache};
use crate::world::{Operation, SETTINGS, Setting, World, step};

const SYSTEMS: usize = 3;

/// Each vector is looked up in the shared cache, as no other cache keeps it for long.
const SETTING: Setting = Setting {
    consistencies: &[
        Consistency::Checked,
        Consistency::Bounded(Duration::from_secs(60)),
        Consistency::Checked,
    ],
    embedding_cache_capacity: 1,
    ..SETTINGS[2]
};

/// What a silent server costs each system, once.
const BUDGET: Duration = Duration::from_millis(50);

/// How far a similarity is from one in single precision, at most.
const TOLERANCE: f32 = 0.001;

#[derive(Debug, Clone)]
enum Step {
    Operation(usize, Operation),
    Fault(Fault),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The server says nothing.
    Stop,
    Kill,
    /// It answers again; where it was killed, with the data of the last save.
    Recover,
    Save,
    Flush,
    /// The network between one system and the server.
    Network(usize, Network),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let operation = step().prop_map(|(_, operation)| match operation {
        // A call that its caller gave up is not one that failed.
        Operation::Cancelled(operation, _) => *operation,
        operation => operation,
    });
    let networks = [Network::Connected, Network::Silent, Network::Closed];
    let fault = prop_oneof![
        2 => Just(Fault::Stop),
        2 => Just(Fault::Kill),
        4 => Just(Fault::Recover),
        2 => Just(Fault::Save),
        1 => Just(Fault::Flush),
        2 => (0..SYSTEMS, prop::sample::select(networks.to_vec()))
            .prop_map(|(system, network)| Fault::Network(system, network)),
    ];
    let step = prop_oneof![
        6 => (0..SYSTEMS, operation).prop_map(|(by, operation)| Step::Operation(by, operation)),
        1 => fault.prop_map(Step::Fault),
    ];
    prop::collection::vec(step, 20..80)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerState {
    Running,
    Stopped,
    Dead,
}

/// The server, and the network between it and each system.
struct Server {
    process: ValkeyProcess,
    state: ServerState,
    networks: Vec<Forwarder>,
}

impl Server {
    async fn start() -> Self {
        let process = ValkeyProcess::start();
        let mut networks = Vec::new();
        for _ in 0..SYSTEMS {
            networks.push(Forwarder::start(process.socket()).await);
        }
        Self {
            process,
            state: ServerState::Running,
            networks,
        }
    }

    fn suffer(&mut self, fault: Fault) {
        use ServerState::{Dead, Running, Stopped};
        match (fault, self.state) {
            (Fault::Network(system, network), _) => self.networks[system].set(network),
            (Fault::Stop, Running) => {
                self.process.signal("STOP");
                self.state = Stopped;
            }
            (Fault::Kill, Running | Stopped) => {
                self.process.kill();
                self.state = Dead;
            }
            (Fault::Recover, Stopped) => {
                self.process.signal("CONT");
                self.state = Running;
            }
            (Fault::Recover, Dead) => {
                self.process.restart();
                self.state = Running;
            }
            (Fault::Save, Running) => {
                let _: String = self.process.run(&["SAVE"]);
            }
            (Fault::Flush, Running) => {
                let _: String = self.process.run(&["FLUSHALL"]);
            }
            _ => {}
        }
    }

    fn recover(&mut self) {
        self.suffer(Fault::Recover);
        for system in 0..SYSTEMS {
            self.suffer(Fault::Network(system, Network::Connected));
        }
    }
}

fn embedder() -> Arc<HashEmbedder> {
    Arc::new(HashEmbedder::new().with_dimensions(64))
}

/// Each similarity is that of the vectors that the embedder itself computes: no system
/// has taken another text's vector from the server.
async fn assert_similarities(engine: &Engine, entity: &EntityId, content: u8) {
    let embedder = embedder();
    let vector = async |text: &str, role| embedder.embed(&[text], role).await.unwrap().remove(0);
    let question = format!("content number {content}");
    let request = RecallRequest::new(&*question).limit(1_000);
    let query = vector(&question, EmbedRole::Query).await;
    for hit in engine.recall(entity, &request).await.unwrap() {
        let passage = vector(&hit.memory.content, EmbedRole::Passage).await;
        let (similarity, expected) = (hit.similarity.unwrap(), cosine(&query, &passage));
        assert!(
            (similarity - expected).abs() < TOLERANCE,
            "{similarity} of {:?} and {question:?} is {expected}",
            hit.memory.content
        );
    }
}

/// Waits until a system uses the server again, and so has removed there what was to be
/// removed.
async fn wait_until_used(engine: &Engine, calls: &Calls) {
    let (began, answered) = (Instant::now(), calls.answered());
    for number in 0.. {
        let texts = [format!("a text that is new: {answered} {number}")];
        engine.generate_embeddings_batch(&texts).await.unwrap();
        if calls.answered() > answered {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not used again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a new system finds the vector of a passage on the server.
async fn is_shared(store: &InMemoryStore, server: &Server, text: &str) -> bool {
    loop {
        let (cache, calls) = WatchedCache::open(&server.process.url(""));
        let embedder = embedder();
        let engine = Engine::builder(MapBackend)
            .shared_cache(cache)
            .shared_cache_budget(BUDGET)
            .build(Arc::new(store.clone()), embedder.clone())
            .unwrap();
        let texts = [text.to_owned()];
        engine.generate_embeddings_batch(&texts).await.unwrap();
        // On a busy machine it may be given up.
        if calls.answered() > 0 {
            return embedder.texts() == 0;
        }
    }
}

/// Each system forgets a text while the server says nothing: none is left on it when
/// all of them use it again.
async fn assert_forgotten(
    world: &World<MokaBackend>,
    store: &InMemoryStore,
    server: &mut Server,
    calls: &[Arc<Calls>],
) {
    let entity = world.entity(9);
    let text = |by| format!("what system {by} forgets");
    let mut ids = Vec::new();
    for (by, calls) in calls.iter().enumerate() {
        wait_until_used(world.engine(by), calls).await;
        let item = MemoryBatchItem::new(entity.clone(), MemoryKind::World, text(by));
        let retained = world.engine(by).retain_batch(vec![item]).await;
        ids.push(retained.unwrap()[0]);
    }
    server.suffer(Fault::Stop);
    for (by, id) in ids.iter().enumerate() {
        world.engine(by).forget(&entity, id).await.unwrap();
    }
    server.recover();
    for (by, calls) in calls.iter().enumerate() {
        wait_until_used(world.engine(by), calls).await;
    }
    for by in 0..SYSTEMS {
        assert!(!is_shared(store, server, &text(by)).await, "{by}");
    }
}

async fn run(steps: Vec<Step>) {
    let store = InMemoryStore::new();
    let mut server = Server::start().await;
    let urls = server.networks.iter().map(|network| network.url(""));
    let (caches, calls): (Vec<_>, Vec<_>) = urls.map(|url| WatchedCache::open(&url)).unzip();
    let events = store.clone();
    let channel = Box::new(move |connected| match connected {
        true => events.reconnect(),
        false => events.disconnect(),
    });
    let shared = Arc::new(store.clone());
    let mut world = World::with_builders(
        shared,
        channel,
        || MokaBackend,
        SETTING,
        |system, builder| {
            let cache = Arc::clone(&caches[system]) as Arc<dyn SharedCache>;
            builder.shared_cache(cache).shared_cache_budget(BUDGET)
        },
    );
    for step in steps {
        match step {
            Step::Fault(fault) => server.suffer(fault),
            Step::Operation(by, operation) => {
                world.step(by, operation.clone()).await;
                if let Operation::Recall { entity, content } = operation {
                    let entity = world.entity(entity);
                    assert_similarities(world.engine(by), &entity, content).await;
                }
            }
        }
    }
    world.read_everything().await;
    server.recover();
    assert_forgotten(&world, &store, &mut server, &calls).await;
    world.read_everything().await;
    for (by, calls) in calls.iter().enumerate() {
        for entity in 0..2 {
            assert_similarities(world.engine(by), &world.entity(entity), 0).await;
        }
        calls.assert_none_while_away();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6,
        max_shrink_iters: 50,
        ..ProptestConfig::default()
    })]

    #[test]
    fn three_systems_and_a_server_that_fails(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(run(steps));
    }
}
