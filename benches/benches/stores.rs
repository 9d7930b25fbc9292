//! Compares the operations of the two stores, without the layers above them,
//! with two baselines of PostgreSQL: `SELECT 1` on the same pool, and pgbench's
//! simple select.
//!
//! ```sh
//! cargo xtask pg run -- cargo bench -p memory-benches --bench stores
//! ```
//!
//! Vectors are random with 384 dimensions, like the default model's: an exact
//! search compares all of them regardless of their values.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark whose operations fail has no result"
)]

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use memory::store::Store;
use memory::{EntityId, ListRequest, MemoryFilter, MemoryId, MemoryKind, MemoryTagMode};
use memory_benches::recorded_criterion::{Case, RecordedCriterion};
use memory_benches::test_schema::{TestSchema, URL_ENV};
use memory_core::{DenseQuery, EmbeddedMemory, Generation, SearchRequest};
use memory_pg::PgOptions;
use memory_sqlite::SqliteStore;
use memory_testkit::{SeededRng, fixtures};

const DIMENSIONS: usize = 384;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// The size of the entity for filters and the other operations.
const MIDDLE: usize = SIZES[1];
const BATCH: usize = 1_000;
const LIMIT: usize = 20;

type AnyStore = Arc<dyn Store>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    if std::env::var_os(URL_ENV).is_none() {
        println!("stores: a server is required: cargo xtask pg run -- cargo bench --bench stores");
        return Ok(());
    }
    let criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    let mut bench = RecordedCriterion::start("stores", criterion)?;
    let Some(schema) = bench.runtime().block_on(TestSchema::create())? else {
        return Ok(());
    };
    baselines(&mut bench, &schema)?;

    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("stores.db").display());
    let sqlite: AnyStore = Arc::new(bench.runtime().block_on(SqliteStore::open(&url))?);
    operations(&mut bench, "sqlite", &sqlite, None)?;
    let postgres = PgOptions::new().with_pool(schema.pool.clone());
    let postgres: AnyStore = Arc::new(bench.runtime().block_on(postgres)?);
    operations(&mut bench, "postgres", &postgres, Some(&schema))?;
    bench.runtime().block_on(schema.remove())?;
    bench.finish()
}

fn operations(
    bench: &mut RecordedCriterion,
    backend: &str,
    store: &AnyStore,
    schema: Option<&TestSchema>,
) -> Outcome {
    let ids = bench.runtime().block_on(fill(store));
    if let Some(schema) = schema {
        bench.runtime().block_on(schema.analyze())?;
    }
    reads(bench, backend, store, &ids)?;
    searches(bench, backend, store)?;
    writes(bench, backend, store)?;
    Ok(bench.runtime().block_on(store.close())?)
}

/// Baselines: the shortest round trip on this server.
fn baselines(bench: &mut RecordedCriterion, schema: &TestSchema) -> Outcome {
    bench.bench(case("baseline/SELECT 1", "postgres", 1), async || {
        timed(sqlx::query("SELECT 1").execute(&schema.pool)).await
    })?;
    let latency = bench.runtime().block_on(pgbench(schema));
    println!("baseline/pgbench -S: {latency}");
    Ok(())
}

/// The latency that pgbench reports for its simple select, on one connection.
async fn pgbench(schema: &TestSchema) -> String {
    let folder: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        .fetch_one(&schema.pool)
        .await
        .unwrap();
    let url = std::env::var(URL_ENV).unwrap_or_default();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(format!("{folder}/pgbench"));
        let output = program.args(arguments).arg(&url).output();
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
    };
    let output = run(&["--initialize", "--quiet"])
        .and_then(|_| run(&["--select-only", "--time=2", "--protocol=prepared"]));
    let output = output.unwrap_or_else(|error| error.to_string());
    let latency = output.lines().find(|line| line.contains("latency"));
    latency.unwrap_or("not available").to_owned()
}

fn case<'a>(operation: &'a str, subject: &'a str, size: usize) -> Case<'a> {
    Case {
        operation,
        subject,
        size: size as u64,
        elements: 1,
    }
}

/// The duration of a future that succeeds.
async fn timed<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> Duration {
    let start = Instant::now();
    let outcome = future.await;
    let duration = start.elapsed();
    outcome.unwrap();
    duration
}

/// An entity of each size; the ids of the middle one.
async fn fill(store: &AnyStore) -> Vec<MemoryId> {
    let mut rng = SeededRng::new(1);
    let mut ids = Vec::new();
    for size in SIZES {
        for first in (0..size).step_by(BATCH) {
            let batch = batch(&name(size), first, BATCH, &mut rng);
            store.insert(&batch).await.unwrap();
            if size == MIDDLE {
                ids.extend(batch.iter().map(|item| item.memory.id));
            }
        }
    }
    ids
}

fn name(size: usize) -> EntityId {
    EntityId::from(format!("{size} memories"))
}

fn batch(entity: &EntityId, first: usize, size: usize, rng: &mut SeededRng) -> Vec<EmbeddedMemory> {
    let memory = |number: usize| {
        let words: Vec<String> = (0..20)
            .map(|_| {
                // Low numbers are frequent, like common words.
                let limit = 1 + rng.below(2_000);
                format!("word{}", rng.below(limit))
            })
            .collect();
        let mut item = fixtures::plain(entity, words.join(" "), rng);
        item.memory.id = MemoryId::new();
        item.memory.kind = *rng.pick(&MemoryKind::ALL);
        item.memory.timestamp = fixtures::at(i64::try_from(number).unwrap());
        // A tenth has no tags.
        item.memory.tags = match rng.below(10) {
            0 => [].into(),
            tag => [format!("tag {tag}"), format!("tag {}", rng.below(10))].into(),
        };
        let place = rng.below(10).to_string();
        item.memory.metadata.insert("place".to_owned(), place);
        item.embedding.vectors = vec![rng.vector(DIMENSIONS)];
        item
    };
    (first..first + size).map(memory).collect()
}

fn reads(
    bench: &mut RecordedCriterion,
    backend: &str,
    store: &AnyStore,
    ids: &[MemoryId],
) -> Outcome {
    let entity = name(MIDDLE);
    let mut next = ids.iter().cycle();
    bench.bench(case("read/get by id", backend, 1), async || {
        timed(store.get(&entity, &[*next.next().unwrap()])).await
    })?;
    let page = ListRequest::new(1_000);
    bench.bench(case("read/list", backend, 1_000), async || {
        timed(store.list(&entity, &page)).await
    })?;
    let written = bench.runtime().block_on(store.entity_stats(&entity))?;
    let since = Generation(written.generation.0 - 1);
    let model = fixtures::fingerprint();
    bench.bench(case("read/changes_since", backend, 1_000), async || {
        timed(store.changes_since(&entity, since, &model)).await
    })
}

fn searches(bench: &mut RecordedCriterion, backend: &str, store: &AnyStore) -> Outcome {
    let mut rng = SeededRng::new(2);
    let mut search = |what: &str, size: usize, filter: MemoryFilter| {
        let entity = name(size);
        let request = SearchRequest {
            sample: 0,
            filter,
            limit: LIMIT,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: fixtures::fingerprint(),
                vector: rng.vector(DIMENSIONS),
            }),
            lexical: None,
        };
        let operation = format!("search/{what}");
        bench.bench(case(&operation, backend, size), async || {
            timed(store.search(&entity, &request)).await
        })
    };
    let new = MemoryFilter::new;
    for size in SIZES {
        search("exact", size, new())?;
    }
    search("one kind of four", MIDDLE, new().kind(MemoryKind::World))?;
    for (mode, name) in [
        (MemoryTagMode::Any, "two tags, any"),
        (MemoryTagMode::All, "two tags, all"),
        (MemoryTagMode::AnyStrict, "two tags, any strict"),
        (MemoryTagMode::AllStrict, "two tags, all strict"),
    ] {
        search(name, MIDDLE, new().tags(["tag 3", "tag 4"], mode))?;
    }
    let tenth = i64::try_from(MIDDLE / 10 * 9)?;
    let last_tenth = new().since(fixtures::at(tenth));
    search("last tenth of the time", MIDDLE, last_tenth)?;
    search(
        "one value of metadata",
        MIDDLE,
        new().metadata("place", "3"),
    )
}

fn writes(bench: &mut RecordedCriterion, backend: &str, store: &AnyStore) -> Outcome {
    let entity = EntityId::from("written");
    let mut rng = SeededRng::new(3);
    for size in [10, 100, 1_000] {
        bench.bench(case("write/insert", backend, size), async || {
            let batch = batch(&entity, 0, size, &mut rng);
            timed(store.insert(&batch)).await
        })?;
    }
    bench.bench(case("write/delete", backend, 1), async || {
        let to_delete = batch(&entity, 0, 1, &mut rng);
        store.insert(&to_delete).await.unwrap();
        timed(store.delete(&entity, &[to_delete[0].memory.id])).await
    })
}
