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

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start may panic"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use memory::store::Store;
use memory::{EntityId, ListRequest, MemoryFilter, MemoryId, MemoryKind, MemoryTagMode};
use memory_core::{DenseQuery, EmbeddedMemory, Generation, SearchRequest};
use memory_pg::{PgOptions, PgPool};
use memory_sqlite::SqliteStore;
use memory_testkit::{SeededRng, fixtures};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;

const DIMENSIONS: usize = 384;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// The size of the entity for filters and the other operations.
const MIDDLE: usize = SIZES[1];
const BATCH: usize = 1_000;
const LIMIT: usize = 20;

type AnyStore = Arc<dyn Store>;

fn stores(c: &mut Criterion) {
    let Ok(url) = std::env::var("MEMORY_TEST_PG") else {
        println!(
            "stores: a PostgreSQL server is required: cargo xtask pg run -- cargo bench --bench stores"
        );
        return;
    };
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("stores.db").display());
    let sqlite: AnyStore = Arc::new(runtime.block_on(SqliteStore::open(&sqlite)).unwrap());
    let server = runtime.block_on(Server::open(&url));
    baselines(c, &runtime, &server, &url);
    for (name, store) in [("sqlite", &sqlite), ("postgres", &server.store)] {
        let ids = runtime.block_on(fill(store));
        if name == "postgres" {
            runtime.block_on(server.run("VACUUM (ANALYZE) memory, memory_embedding, entity"));
        }
        reads(c, &runtime, name, store, &ids);
        searches(c, &runtime, name, store);
        writes(c, &runtime, name, store);
        runtime.block_on(store.close()).unwrap();
    }
    runtime.block_on(server.remove());
}

/// A separate schema on the test server.
struct Server {
    pool: PgPool,
    schema: String,
    store: AnyStore,
}

impl Server {
    async fn open(url: &str) -> Self {
        let schema = format!("stores_{}", MemoryId::new().as_uuid().simple());
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options.options([("search_path", format!("{schema},public"))]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        for text in [
            "CREATE EXTENSION IF NOT EXISTS vector".to_owned(),
            "CREATE EXTENSION IF NOT EXISTS btree_gin".to_owned(),
            format!("CREATE SCHEMA {schema}"),
        ] {
            run(&pool, text).await;
        }
        let store = PgOptions::new().with_pool(pool.clone()).await.unwrap();
        Self {
            pool,
            schema,
            store: Arc::new(store),
        }
    }

    async fn run(&self, text: &str) {
        run(&self.pool, text.to_owned()).await;
    }

    async fn remove(self) {
        self.run(&format!("DROP SCHEMA {} CASCADE", self.schema))
            .await;
        self.pool.close().await;
    }
}

async fn run(pool: &PgPool, text: String) {
    let text = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
    sqlx::Executor::execute(pool, text).await.unwrap();
}

/// Baselines: the shortest round trip on this server.
fn baselines(c: &mut Criterion, runtime: &Runtime, server: &Server, url: &str) {
    let mut group = group(c, "baseline");
    group.bench_function("SELECT 1/postgres", |b| {
        b.to_async(runtime).iter(|| async {
            sqlx::query("SELECT 1").execute(&server.pool).await.unwrap();
        });
    });
    group.finish();
    println!(
        "baseline/pgbench -S: {}",
        runtime.block_on(pgbench(server, url))
    );
}

/// The latency that pgbench reports for its simple select, on one connection.
async fn pgbench(server: &Server, url: &str) -> String {
    let folder: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(format!("{folder}/pgbench"));
        let output = program.args(arguments).arg(url).output();
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
    };
    let figures = run(&["--initialize", "--quiet"])
        .and_then(|_| run(&["--select-only", "--time=2", "--protocol=prepared"]));
    let figures = figures.unwrap_or_else(|error| error.to_string());
    let latency = figures.lines().find(|line| line.contains("latency"));
    latency.unwrap_or("not available").to_owned()
}

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    group
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

fn reads(c: &mut Criterion, runtime: &Runtime, backend: &str, store: &AnyStore, ids: &[MemoryId]) {
    let entity = name(MIDDLE);
    let mut group = group(c, "read");
    let mut next = ids.iter().cycle();
    group.bench_function(format!("get by id/{backend}"), |b| {
        b.to_async(runtime).iter(|| {
            let id = *next.next().unwrap();
            let (store, entity) = (store, &entity);
            async move { store.get(entity, &[id]).await.unwrap() }
        });
    });
    let page = ListRequest::new(1_000);
    group.bench_function(format!("list 1,000/{backend}"), |b| {
        b.to_async(runtime)
            .iter(|| async { store.list(&entity, &page).await.unwrap() });
    });
    let written = runtime.block_on(store.entity_stats(&entity)).unwrap();
    let since = Generation(written.generation.0 - 1);
    let model = fixtures::fingerprint();
    group.bench_function(format!("changes_since, 1,000 written/{backend}"), |b| {
        b.to_async(runtime)
            .iter(|| async { store.changes_since(&entity, since, &model).await.unwrap() });
    });
    group.finish();
}

fn searches(c: &mut Criterion, runtime: &Runtime, backend: &str, store: &AnyStore) {
    let mut group = group(c, "search");
    let mut rng = SeededRng::new(2);
    let mut bench = |what: &str, size: usize, filter: MemoryFilter| {
        let entity = name(size);
        let request = SearchRequest {
            filter,
            limit: LIMIT,
            dense: Some(DenseQuery {
                fingerprint: fixtures::fingerprint(),
                vector: rng.vector(DIMENSIONS),
            }),
            lexical: None,
        };
        group.bench_function(format!("{what}/{size}/{backend}"), |b| {
            b.to_async(runtime)
                .iter(|| async { store.search(&entity, &request).await.unwrap() });
        });
    };
    let new = MemoryFilter::new;
    for size in SIZES {
        bench("exact", size, new());
    }
    bench("kind", MIDDLE, new().kind(MemoryKind::World));
    for (mode, name) in [
        (MemoryTagMode::Any, "tags any"),
        (MemoryTagMode::All, "tags all"),
        (MemoryTagMode::AnyStrict, "tags any strict"),
        (MemoryTagMode::AllStrict, "tags all strict"),
    ] {
        bench(name, MIDDLE, new().tags(["tag 3", "tag 4"], mode));
    }
    let tenth = i64::try_from(MIDDLE / 10 * 9).unwrap();
    bench(
        "last tenth of the time range",
        MIDDLE,
        new().since(fixtures::at(tenth)),
    );
    bench("metadata", MIDDLE, new().metadata("place", "3"));
    group.finish();
}

fn writes(c: &mut Criterion, runtime: &Runtime, backend: &str, store: &AnyStore) {
    let mut group = group(c, "write");
    let entity = EntityId::from("written");
    let entity = &entity;
    for size in [10, 100, 1_000] {
        group.bench_function(format!("insert/{size}/{backend}"), |b| {
            b.to_async(runtime).iter_custom(|iterations| async move {
                let mut rng = SeededRng::new(3);
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    let batch = batch(entity, 0, size, &mut rng);
                    let start = Instant::now();
                    store.insert(&batch).await.unwrap();
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
    group.bench_function(format!("delete/1/{backend}"), |b| {
        b.to_async(runtime).iter_custom(|iterations| async move {
            let mut rng = SeededRng::new(4);
            let count = usize::try_from(iterations).unwrap();
            let to_delete = batch(entity, 0, count, &mut rng);
            store.insert(&to_delete).await.unwrap();
            let start = Instant::now();
            for item in &to_delete {
                store.delete(entity, &[item.memory.id]).await.unwrap();
            }
            start.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, stores);
criterion_main!(benches);
