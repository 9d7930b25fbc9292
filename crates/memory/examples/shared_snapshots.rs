//! What would a shared cache save that held snapshots and memories as well as vectors?
//!
//! ```sh
//! cargo run --release -p memory --features postgres,valkey --example shared_snapshots -- \
//!     SERVER DATABASE [MEMORIES...]
//! ```
//!
//! SERVER is the URL of a Valkey server without parameters, DATABASE that of an empty
//! PostgreSQL database, whose user may run `CHECKPOINT` (a superuser, or a member of
//! `pg_checkpoint`). An entity has 512 memories or more, as smaller ones have no pages.
//!
//! For entities of several sizes, this measures the load of a snapshot by a system that was
//! just opened, and how much of it the database takes for the content of the
//! [pages](../../../docs/adr/0024-snapshot-pages.md). Then it reads the same bytes from the
//! server, a few pages at a time, so that a call ends within the budget that a caller has
//! for it, and computes how long the load would take with those. For one memory, it compares
//! reading it by its id with the question that a checked read would still ask the database.
//! Everything that is compared is measured in turn, in one process.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and ends where it fails"
)]

#[path = "shared_cache/paged_entity.rs"]
mod paged_entity;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory::cache::{SharedCache, SharedEntry, SharedGroup, SharedKey};
use memory::postgres::PgStore;
use memory::store::Store;
use memory::valkey::ValkeyCache;
use memory::{ByteSize, EntityId, MemoryConfig, MemoryId, MemoryResult, MemorySystem};
use memory_testkit::{HashEmbedder, HookedStore, SeededRng, StoreCall, StoreHooks, StoreOperation};
use paged_entity::{DIMENSIONS, MIN_PAGED, Outcome, connect, milliseconds};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// How often each size is measured; the medians are printed.
const ROUNDS: usize = 9;

/// Pages of one call: the largest number of which most calls end within [`BUDGET`].
const PAGES_PER_CALL: usize = 2;

/// How long a caller waits for one call by default.
const BUDGET: Duration = Duration::from_millis(5);

/// How often it is looked whether a snapshot is loaded.
const POLL: Duration = Duration::from_micros(200);

/// How often one memory is read.
const READS: i64 = 500;

/// When the load of a snapshot asks the store for its pages, and how long the store takes.
#[derive(Debug, Default)]
struct PageRead(Mutex<Option<(Instant, Duration)>>);

#[async_trait]
impl StoreHooks for PageRead {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation == StoreOperation::ReadSnapshotPages {
            *self.0.lock().unwrap() = Some((Instant::now(), Duration::ZERO));
        }
        Ok(())
    }

    async fn after(
        &self,
        call: StoreCall<'_>,
        _: Result<(), &memory::MemoryError>,
    ) -> MemoryResult<()> {
        if call.operation == StoreOperation::ReadSnapshotPages
            && let Some((began, took)) = &mut *self.0.lock().unwrap()
        {
            *took = began.elapsed();
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, database, sizes @ ..] = &arguments[..] else {
        println!("usage: shared_snapshots SERVER DATABASE [MEMORIES...]");
        return Ok(());
    };
    let sizes = paged_entity::parse_sizes(sizes)?;
    if let Some(size) = sizes.iter().find(|size| **size < MIN_PAGED) {
        let message =
            format!("an entity of {size} memories has no snapshot pages; name {MIN_PAGED} or more");
        return Err(message.into());
    }
    let run = MemoryId::new().to_string();
    let server = format!("{server}?namespace={run}");
    println!("Times in milliseconds, medians of {ROUNDS}.");
    println!();
    println!(
        "| memories | load | the store's part | pages from the database | the same without their content | pages from the server, compressed and not | its calls, and those above {} ms | load with the server's | ratio | ratio, if the server took no time |",
        BUDGET.as_millis()
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut last = String::new();
    for size in sizes {
        last = format!("{run}.{size}");
        fill(database, &last, size).await?;
        compare_loads(&server, database, &last, size).await?;
    }
    println!();
    compare_memory(&server, database, &last).await
}

/// A system on a connection of its own that loads the entity used last.
async fn open(database: &str, warm: u64, hooks: Arc<dyn StoreHooks>) -> Outcome<MemorySystem> {
    let store: Arc<dyn Store> = Arc::new(PgStore::connect(database).await?);
    let config = MemoryConfig {
        warm_entities: warm,
        entity_cache_max_bytes: ByteSize::mebibytes(2_048),
        ..MemoryConfig::default()
    };
    let builder = MemorySystem::builder()
        .config(config)
        .embedder(Arc::new(HashEmbedder::new().with_dimensions(DIMENSIONS)))
        .store(HookedStore::new(store, hooks));
    Ok(builder.build().await?)
}

/// Makes an entity with snapshot pages.
async fn fill(database: &str, entity: &str, size: usize) -> Outcome {
    let memory = open(database, 0, Arc::new(())).await?;
    paged_entity::fill(&memory, entity, size, content).await?;
    let mut connection = connect(database).await?;
    sqlx::query("ANALYZE").execute(&mut connection).await?;
    let count = async || paged_entity::count_pages(database, entity).await;
    paged_entity::make_pages(&memory, entity, size, count).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    connection.close().await?;
    Ok(memory.close().await?)
}

fn content(n: usize) -> String {
    let words = [
        "horse", "market", "river", "mill", "winter", "bread", "song", "bridge", "letter",
        "harbor", "candle",
    ];
    let word = |step: usize| words[(n * step + step + n / words.len()) % words.len()];
    format!(
        "On day {n} the {} stood by the {} and nobody had seen the {} since the {} of the year \
         before, said {} to the {}.",
        word(1),
        word(3),
        word(5),
        word(7),
        ["Anna", "Otto", "Mira", "Jonas", "Edda"][n % 5],
        word(2),
    )
}

async fn compare_loads(server: &str, database: &str, entity: &str, size: usize) -> Outcome {
    let mut connection = connect(database).await?;
    let cache = ValkeyCache::open(server)?;
    let stored = put_pages(&cache, &mut connection, entity, size).await?;
    let [mut loads, mut reads, mut pages, mut heads] = [(); 4].map(|()| Vec::new());
    let mut cached = [(); 2].map(|()| Vec::new());
    let (mut calls, mut late_calls) = (0, 0);
    for _ in 0..ROUNDS {
        let (load, read) = load(database).await?;
        loads.push(load);
        reads.push(read);
        let columns = "first_id, last_id, checksum, content";
        pages.push(select(&mut connection, columns, entity).await?);
        let columns = "first_id, last_id, checksum";
        heads.push(select(&mut connection, columns, entity).await?);
        for (keys, cached) in stored.iter().zip(&mut cached) {
            let began = Instant::now();
            for keys in keys.chunks(PAGES_PER_CALL) {
                let began = Instant::now();
                let lookups = cache.get_many(keys).await?;
                calls += 1;
                late_calls += usize::from(began.elapsed() > BUDGET);
                assert!(lookups.iter().all(|lookup| lookup.value.is_some()));
            }
            cached.push(began.elapsed());
        }
    }
    cache.close().await?;
    connection.close().await?;
    let [load, read, pages, heads] =
        [loads, reads, pages, heads].map(|times| milliseconds(median(times)));
    let [compressed, plain] = cached.map(|times| milliseconds(median(times)));
    let least = load - (pages - heads);
    let with_server = least + compressed.min(plain);
    println!(
        "| {size} | {load:.2} | {read:.2} | {pages:.2} | {heads:.2} | {compressed:.2}, {plain:.2} | {}, {:.1} % | {with_server:.2} | {:.2} | {:.2} |",
        stored[0].len().div_ceil(PAGES_PER_CALL),
        share(late_calls, calls),
        load / with_server,
        load / least,
    );
    Ok(())
}

/// Opens a system that loads the snapshot of the entity that was used last. Returns how long
/// the load took, and how long the store took for its part.
async fn load(database: &str) -> Outcome<(Duration, Duration)> {
    let hooks = Arc::new(PageRead::default());
    let memory = open(database, 1, hooks.clone()).await?;
    while memory.cache_stats().entity.entries == 0 {
        tokio::time::sleep(POLL).await;
    }
    let (began, read) = hooks.0.lock().unwrap().unwrap();
    let load = began.elapsed();
    memory.close().await?;
    Ok((load, read))
}

async fn select(connection: &mut PgConnection, columns: &str, entity: &str) -> Outcome<Duration> {
    let sql = format!("SELECT {columns} FROM snapshot_page WHERE entity_id = $1");
    let began = Instant::now();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(entity);
    let rows = rows.fetch_all(connection).await?;
    let took = began.elapsed();
    assert!(!rows.is_empty());
    Ok(took)
}

/// Puts the entity's pages into the cache, and as many bytes that do not compress. Returns
/// the keys of each.
async fn put_pages(
    cache: &ValkeyCache,
    connection: &mut PgConnection,
    entity: &str,
    size: usize,
) -> Outcome<[Vec<SharedKey>; 2]> {
    let sql = "SELECT content FROM snapshot_page WHERE entity_id = $1 ORDER BY last_id";
    let contents = sqlx::query_scalar::<_, Vec<u8>>(sql).bind(entity);
    let contents = contents.fetch_all(connection).await?;
    let mut rng = SeededRng::new(1);
    let (mut compressed, mut plain) = (Vec::new(), Vec::new());
    for (n, content) in contents.into_iter().enumerate() {
        let bytes = (0..content.len()).map(|_| rng.bits().to_le_bytes()[0]);
        let bytes = bytes.collect();
        for (keys, kind, bytes) in [(&mut compressed, 1, content), (&mut plain, 2, bytes)] {
            let group = SharedGroup(((size * 4 + kind) as u128).to_le_bytes());
            let key = SharedKey::new(group, (n as u128).to_le_bytes());
            put(cache, key, bytes).await?;
            keys.push(key);
        }
    }
    Ok([compressed, plain])
}

async fn put(cache: &ValkeyCache, key: SharedKey, bytes: Vec<u8>) -> Outcome {
    let lookups = cache.get_many(&[key]).await?;
    let entry = SharedEntry {
        key,
        version: 0,
        as_of: lookups[0].now,
        bytes,
        ttl: Duration::from_secs(3_600),
    };
    assert_eq!(
        cache.put_many(&[entry]).await?,
        [true],
        "the server is full"
    );
    Ok(())
}

async fn compare_memory(server: &str, database: &str, entity: &str) -> Outcome {
    let store = PgStore::connect(database).await?;
    let cache = ValkeyCache::open(server)?;
    let entity = EntityId::from(entity);
    let sql = "SELECT memory_id FROM memory WHERE entity_id = $1 LIMIT $2";
    let mut connection = connect(database).await?;
    let ids = sqlx::query_scalar(sql).bind(entity.as_str()).bind(READS);
    let ids: Vec<uuid::Uuid> = ids.fetch_all(&mut connection).await?;
    connection.close().await?;
    let mut keys = Vec::with_capacity(ids.len());
    for id in &ids {
        let found = store.get(&entity, &[MemoryId::from(*id)]).await?;
        let key = SharedKey::new(SharedGroup([0; 16]), *id.as_bytes());
        put(&cache, key, serde_json::to_vec(&found.memories)?).await?;
        keys.push(key);
    }
    let [mut gets, mut checks, mut cached] = [(); 3].map(|()| Vec::new());
    for (id, key) in ids.iter().zip(&keys) {
        let id = MemoryId::from(*id);
        gets.push(timed(store.get(&entity, &[id])).await?);
        checks.push(timed(store.entity_stats(&entity)).await?);
        cached.push(timed(cache.get_many(&[*key])).await?);
    }
    let [get, check, cached] = [gets, checks, cached].map(|times| milliseconds(median(times)));
    println!(
        "| one memory by its id | ms, median of {} | ratio |",
        ids.len()
    );
    println!("|---|---:|---:|");
    println!("| from the database | {get:.3} | 1 |");
    let rows = [
        ("the entity's generation from the database", check),
        ("the memory from the server", cached),
        ("both, one after the other", check + cached),
        ("both at once, at best", check.max(cached)),
    ];
    for (name, time) in rows {
        println!("| {name} | {time:.3} | {:.2} |", time / get);
    }
    cache.close().await?;
    Ok(store.close().await?)
}

async fn timed<T>(call: impl Future<Output = MemoryResult<T>>) -> MemoryResult<Duration> {
    let began = Instant::now();
    call.await?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a share for a table")]
fn share(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}
