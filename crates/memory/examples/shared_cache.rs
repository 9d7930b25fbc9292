//! Four processes that ask the same questions: each alone, with a shared cache, and with
//! one in which nothing is shared, which shows what it costs.
//!
//! ```sh
//! cargo run --release -p memory --features postgres,valkey --example shared_cache -- \
//!     SERVER [MEMORIES [DATABASE]]
//! ```
//!
//! SERVER is the URL of a Valkey server without parameters, DATABASE that of a
//! PostgreSQL database; without it, each process opens a copy of one SQLite database.
//! Each process asks 200 questions of an entity in an order of its own, and prints how
//! many vectors its model computed, how many calls of the store it made, and how long
//! its recalls took. The processes run one after the other, so that the times are not
//! those of a busy machine. The vectors of the memories are random: what matters here is
//! not what is found.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and ends where it fails"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory::sqlite::SqliteStore;
use memory::store::Store;
use memory::{MemoryBatchItem, MemoryId, MemoryKind, MemoryResult, MemorySystem};
use memory_testkit::{HookedStore, SeededRng, StoreCall, StoreHooks};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

const PROCESSES: usize = 4;
const QUESTIONS: usize = 200;
const DEFAULT_MEMORIES: usize = 1_000;
const DIMENSIONS: usize = 384;

/// Memories of one batch.
const BATCH: usize = 1_000;

const WHO: [&str; 8] = [
    "miller", "smith", "baker", "guard", "sailor", "monk", "queen", "thief",
];
const WHAT: [&str; 10] = [
    "saw the storm",
    "sold a horse",
    "hid the letter",
    "crossed the bridge",
    "lit the beacon",
    "broke the seal",
    "met the envoy",
    "lost the key",
    "heard the bell",
    "buried the coin",
];
const WHEN: [&str; 13] = [
    "at dawn",
    "in the harvest month",
    "after the siege",
    "on the longest night",
    "last spring",
    "before the wedding",
    "during the flood",
    "at the autumn fair",
    "while the king slept",
    "in the first snow",
    "after the feast",
    "at noon",
    "on the way to the coast",
];

fn sentence(n: usize) -> String {
    let (who, what) = (WHO[n % WHO.len()], WHAT[n % WHAT.len()]);
    format!("the {who} {what} {}", WHEN[n / 7 % WHEN.len()])
}

#[tokio::main]
async fn main() -> MemoryResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", database, entity, number, server] => {
            ask(database, entity, number.parse().unwrap(), server).await
        }
        [server] => compare(server, DEFAULT_MEMORIES, None).await,
        [server, memories] => compare(server, memories.parse().unwrap(), None).await,
        [server, memories, database] => {
            compare(server, memories.parse().unwrap(), Some(database)).await
        }
        _ => {
            println!(
                "usage: shared_cache SERVER [MEMORIES [DATABASE]], such as valkey://localhost"
            );
            Ok(())
        }
    }
}

async fn compare(server: &str, memories: usize, database: Option<&str>) -> MemoryResult<()> {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("memory.db");
    let url = database.map_or_else(|| database_url(&original), str::to_owned);
    // Nothing of an earlier run is in the way.
    let run = MemoryId::new().to_string();
    let memory = MemorySystem::open(&url).await?;
    fill(&memory, &run, memories).await?;
    memory.close().await?;
    println!("| {memories} memories | vectors | calls of the store | first recall | p50 | p95 |");
    println!("|---|---|---|---|---|---|");
    for (name, namespaces) in [
        ("alone", None),
        ("shared", Some([0; PROCESSES])),
        ("nothing shared", Some([1, 2, 3, 4])),
    ] {
        for number in 0..PROCESSES {
            let database = match database {
                Some(database) => database.to_owned(),
                None => {
                    let copy = folder.path().join(format!("{name} {number}.db"));
                    std::fs::copy(&original, &copy).unwrap();
                    database_url(&copy)
                }
            };
            let cache = namespaces.map_or_else(
                || "none".to_owned(),
                |namespaces| format!("{server}?namespace={run}.{}", namespaces[number]),
            );
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["child", &database, &run, &number.to_string(), &cache]);
            let output = child.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let row = String::from_utf8(output.stdout).unwrap();
            println!("| {name}, process {} | {} |", number + 1, row.trim());
        }
    }
    Ok(())
}

/// Retains memories with random vectors.
async fn fill(memory: &MemorySystem, entity: &str, memories: usize) -> MemoryResult<()> {
    let mut rng = SeededRng::new(1);
    let item = |n: usize| {
        let content = format!("{}, story {n}", sentence(n * 3));
        let item = MemoryBatchItem::new(entity, MemoryKind::World, content);
        item.with_embedding(rng.vector(DIMENSIONS))
    };
    let items: Vec<MemoryBatchItem> = (0..memories).map(item).collect();
    for batch in items.chunks(BATCH) {
        memory.retain_batch(batch.to_vec()).await?;
    }
    Ok(())
}

fn database_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

async fn open_store(url: &str) -> MemoryResult<Arc<dyn Store>> {
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres") {
        return Ok(Arc::new(memory::postgres::PgStore::connect(url).await?));
    }
    Ok(Arc::new(SqliteStore::open(url).await?))
}

#[derive(Debug, Default)]
struct CallCounter(AtomicU64);

#[async_trait]
impl StoreHooks for CallCounter {
    async fn before(&self, _: StoreCall<'_>) -> MemoryResult<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// One process: asks the questions, from another one on and with another step.
async fn ask(database: &str, entity: &str, number: usize, cache: &str) -> MemoryResult<()> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let calls = Arc::new(CallCounter::default());
    let store = HookedStore::new(open_store(database).await?, calls.clone());
    let builder = MemorySystem::builder().store(store);
    let builder = match cache {
        "none" => builder,
        url => builder.shared_cache_url(url),
    };
    let memory = builder.build().await?;
    let step = [1, 3, 7, 9][number];
    let mut times = Vec::with_capacity(QUESTIONS);
    for n in 0..QUESTIONS {
        let n = (number + n * step) % QUESTIONS;
        let question = format!("who {}? ({n})", sentence(n));
        let began = Instant::now();
        memory.recall(entity, question).await?;
        times.push(began.elapsed());
    }
    let calls = calls.0.load(Ordering::Relaxed);
    memory.close().await?;
    let first = times[0];
    times.sort_unstable();
    println!(
        "{} | {calls} | {} | {} | {}",
        computed(&snapshotter),
        show(first),
        show(times[QUESTIONS / 2]),
        show(times[QUESTIONS * 95 / 100])
    );
    Ok(())
}

fn computed(snapshotter: &Snapshotter) -> u64 {
    let values = snapshotter.snapshot().into_vec();
    let vectors = values
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) if key.key().name() == "memory.embeddings.generated" => {
                Some(count)
            }
            _ => None,
        });
    vectors.sum()
}

fn show(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
