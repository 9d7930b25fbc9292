//! What operations cost on the server named by `MEMORY_TEST_PG`, compared with the
//! time of `SELECT 1` on the same socket. Makes a schema of its own there and
//! drops it.
//!
//! ```sh
//! cargo xtask pg run -- cargo run --release -p memory-pg --example measure
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_wrap
)]

use std::future::Future;
use std::time::{Duration, Instant};

use memory_core::{
    AccessUpdate, DenseQuery, EmbeddedMemory, EntityId, Generation, ListRequest, MemoryFilter,
    MemoryId, MemoryKind, MemoryTagMode, SearchRequest, Store,
};
use memory_pg::PgOptions;
use memory_testkit::{SeededRng, fixtures};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

const DIMENSIONS: usize = 384;
const RUNS: usize = 30;
const WORDS: usize = 2_000;

#[tokio::main]
async fn main() {
    let url = std::env::var("MEMORY_TEST_PG").expect("MEMORY_TEST_PG names a server");
    let schema = format!("measure_{}", MemoryId::new().as_uuid().simple());
    let options: PgConnectOptions = url.parse().expect("a URL");
    let options = options.options([("search_path", format!("{schema},public"))]);
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    run(&pool, &format!("CREATE SCHEMA {schema}")).await;
    measure(&pool).await;
    run(&pool, &format!("DROP SCHEMA {schema} CASCADE")).await;
}

async fn measure(pool: &PgPool) {
    let store = PgOptions::new().with_pool(pool.clone()).await.unwrap();
    let mut rng = SeededRng::new(1);
    timed("SELECT 1", RUNS, || async {
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
    })
    .await;
    for size in [1, 10, 100, 1_000, 10_000] {
        let runs = if size > 100 { 3 } else { RUNS };
        let mut batches: Vec<_> = (0..runs)
            .map(|run| batch(&format!("insert {size} {run}"), size, &mut rng))
            .collect();
        timed(&format!("insert {size}"), runs, || {
            let batch = batches.pop().unwrap();
            let store = &store;
            async move { drop(store.insert(&batch).await.unwrap()) }
        })
        .await;
    }
    for size in [1_000, 10_000, 100_000] {
        let entity = EntityId::from(format!("entity {size}"));
        let mut all = Vec::with_capacity(size);
        for _ in 0..size / 1_000 {
            let part = batch(entity.as_str(), 1_000, &mut rng);
            store.insert(&part).await.unwrap();
            all.extend(part.into_iter().map(|item| item.memory.id));
        }
        run(pool, "VACUUM ANALYZE memory, memory_embedding, entity").await;
        println!("\none entity of {size} memories");
        operations(&store, &entity, &all, &mut rng).await;
    }
}

async fn operations(store: &impl Store, entity: &EntityId, ids: &[MemoryId], rng: &mut SeededRng) {
    let some = &ids[..10];
    timed("get 1", RUNS, || async {
        drop(store.get(entity, &some[..1]).await.unwrap())
    })
    .await;
    timed("get 10", RUNS, || async {
        drop(store.get(entity, some).await.unwrap())
    })
    .await;
    for limit in [20, 1_000] {
        let request = ListRequest::new(limit);
        timed(&format!("list {limit}"), RUNS, || async {
            drop(store.list(entity, &request).await.unwrap());
        })
        .await;
    }
    let new = MemoryFilter::new;
    let filters = [
        ("", new()),
        (", kind", new().kind(MemoryKind::World)),
        (", tag", new().tags(["tag 3"], MemoryTagMode::AnyStrict)),
        (", tag or none", new().tags(["tag 3"], MemoryTagMode::Any)),
        (
            ", a tenth of the time",
            new().since(fixtures::at(ids.len() as i64 * 9 / 10)),
        ),
        (", metadata", new().metadata("place", "3")),
        (", involved", new().involves("person 3")),
    ];
    for (name, filter) in filters {
        let mut request = SearchRequest {
            sample: 0,
            filter,
            limit: 20,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: fixtures::fingerprint(),
                vector: rng.vector(DIMENSIONS),
            }),
            lexical: None,
        };
        timed(&format!("dense{name}"), RUNS, || async {
            drop(store.search(entity, &request).await.unwrap());
        })
        .await;
        if name.is_empty() {
            request.lexical = Some("word12 word7 word1999 word500".to_owned());
            timed("both retrievers", RUNS, || async {
                drop(store.search(entity, &request).await.unwrap());
            })
            .await;
            request.dense = None;
            timed("lexical", RUNS, || async {
                drop(store.search(entity, &request).await.unwrap());
            })
            .await;
        }
    }
    let stats = store.entity_stats(entity).await.unwrap();
    let model = fixtures::fingerprint();
    let before = Generation(stats.generation.0 - 1);
    timed("changes, the last 1,000", 5, || async {
        drop(store.changes_since(entity, before, &model).await.unwrap());
    })
    .await;
    if ids.len() <= 10_000 {
        timed("changes, all", 3, || async {
            drop(
                store
                    .changes_since(entity, Generation::ZERO, &model)
                    .await
                    .unwrap(),
            );
        })
        .await;
    }
    let updates: Vec<AccessUpdate> = ids[..1_000]
        .iter()
        .map(|&id| AccessUpdate::new(entity.clone(), id, 1, fixtures::at(1)))
        .collect();
    timed("touch 1,000", 5, || async {
        let recorded = store.record_accesses(&updates, Duration::ZERO).await;
        assert!(recorded.unwrap().deferred.is_empty());
    })
    .await;
    let mut rest = ids.iter().copied();
    timed("delete 1", RUNS, || {
        let id = rest.next().unwrap();
        async move { drop(store.delete(entity, &[id]).await.unwrap()) }
    })
    .await;
}

/// Memories of about 20 words, with tags, metadata and an involved entity.
fn batch(entity: &str, size: usize, rng: &mut SeededRng) -> Vec<EmbeddedMemory> {
    let entity = EntityId::from(entity);
    (0..size)
        .map(|number| {
            // Low numbers come often, as words do.
            let word = |rng: &mut SeededRng| {
                let most = 1 + rng.below(WORDS);
                format!("word{}", rng.below(most))
            };
            let words: Vec<String> = (0..20).map(|_| word(rng)).collect();
            let mut item = fixtures::plain(&entity, words.join(" "), rng);
            item.memory.id = MemoryId::new();
            item.memory.kind = *rng.pick(&MemoryKind::ALL);
            item.memory.timestamp = fixtures::at(number as i64);
            item.memory.tags = [format!("tag {}", rng.below(10))].into();
            let place = rng.below(10).to_string();
            item.memory.metadata.insert("place".to_owned(), place);
            let person = format!("person {}", rng.below(10));
            item.memory
                .entities
                .insert(person.into(), "seen".to_owned());
            item.embedding.vectors = vec![rng.vector(DIMENSIONS)];
            item
        })
        .collect()
}

async fn timed<Doing>(name: &str, runs: usize, mut act: impl FnMut() -> Doing)
where
    Doing: Future<Output = ()>,
{
    let mut times: Vec<Duration> = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        act().await;
        times.push(start.elapsed());
    }
    times.sort();
    let millis = |at: usize| times[at].as_secs_f64() * 1e3;
    println!(
        "{name:<28} p50 {:>9.3} ms   min {:>9.3}   max {:>9.3}",
        millis(runs / 2),
        millis(0),
        millis(runs - 1)
    );
}

async fn run(pool: &PgPool, text: &str) {
    let text = sqlx::AssertSqlSafe(text.to_owned());
    sqlx::Executor::execute(pool, sqlx::raw_sql(text))
        .await
        .unwrap();
}
