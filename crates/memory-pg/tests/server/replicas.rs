//! Reads from hot standbys: never stale and never failed, whatever happens to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_core::{AccessUpdate, EntityId, ListRequest, MemoryId, Store};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::store::{Suite, Tolerance};
use memory_testkit::{SeededRng, fixtures};
use sqlx::Row;

use crate::memories;
use crate::server_process::{ServerProcess, with_standby};
use crate::support::{connect, run, with_database, with_name};

/// Far longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

async fn open(primary: &str, replica: &str) -> PgStore {
    let options = PgOptions::new().replicas([replica]);
    options.connect(primary).await.unwrap()
}

/// Whether the standby has run a read of a store, and not only been asked how far it
/// is.
async fn has_served(standby: &str) -> bool {
    let mut connection = connect(standby).await;
    let query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE \
                 application_name = 'memory-pg' AND query LIKE 'SELECT g.generation%') AS served";
    let row = sqlx::query(query).fetch_one(&mut connection).await.unwrap();
    row.get("served")
}

async fn until_served(standby: &str) {
    let start = Instant::now();
    while !has_served(standby).await {
        assert!(start.elapsed() < LIMIT, "the standby served no read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The primary waits for the standby to apply each commit, so that the standby serves
/// what the suite reads right after writing it.
#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_a_replica() {
    with_standby(|primary, standby| async move {
        let (primary, standby) = (primary.url(), standby.url());
        // A machine that fails is not what this is about.
        for url in [&primary, &standby] {
            let mut connection = connect(url).await;
            run(&mut connection, "ALTER SYSTEM SET fsync = off").await;
            run(&mut connection, "SELECT pg_reload_conf()").await;
        }
        let mut connection = connect(&primary).await;
        for setting in [
            "synchronous_standby_names = '*'",
            "synchronous_commit = remote_apply",
        ] {
            run(&mut connection, &format!("ALTER SYSTEM SET {setting}")).await;
        }
        run(&mut connection, "SELECT pg_reload_conf()").await;
        let suite = Suite::new().reopens().tolerance(Tolerance::HALF_PRECISION);
        let open = || PgOptions::new().replicas([&standby]).connect(&primary);
        suite.run(open).await.assert();
        let store = open().await.unwrap();
        let batch = memories("mira", 3);
        store.insert(&batch).await.unwrap();
        store
            .list(&EntityId::from("mira"), &ListRequest::new(10))
            .await
            .unwrap();
        assert!(has_served(&standby).await);
        store.close().await.unwrap();
    })
    .await;
}

/// One process writes and another reads, while the standby lags, hangs, is killed,
/// comes back and is promoted.
#[tokio::test(flavor = "multi_thread")]
async fn reads_under_load_are_neither_stale_nor_failed() {
    with_standby(|primary, standby| async move {
        let load = Load::start(&primary.url(), &standby.url()).await;
        until_served(&standby.url()).await;

        let mut connection = connect(&standby.url()).await;
        run(&mut connection, "SELECT pg_wal_replay_pause()").await;
        load.reads(50).await;
        run(&mut connection, "SELECT pg_wal_replay_resume()").await;
        until_served(&standby.url()).await;

        standby.signal("STOP").await;
        load.reads(50).await;
        standby.signal("CONT").await;

        standby.kill().await;
        load.reads(50).await;
        standby.start().await;
        until_served(&standby.url()).await;

        standby.promote().await;
        diverge(&standby).await;
        load.reads(50).await;
        load.finish().await;
    })
    .await;
}

/// Writes to a promoted standby what nobody may read who asks for the primary's data.
async fn diverge(standby: &ServerProcess) {
    let mut connection = connect(&standby.url()).await;
    run(
        &mut connection,
        "UPDATE entity SET generation = generation + 1000000",
    )
    .await;
}

/// A writer and readers of several entities, in two stores.
struct Load {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(primary: &str, standby: &str) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let writing = open(primary, standby).await;
        let reading = open(primary, standby).await;
        let mut tasks = Vec::new();
        for number in 0..3 {
            let entity = EntityId::from(format!("entity {number}"));
            let generation = Arc::new(AtomicU64::new(0));
            tasks.push(tokio::spawn(write(
                writing.clone(),
                entity.clone(),
                Arc::clone(&generation),
                Arc::clone(&stop),
            )));
            for store in [&writing, &reading] {
                let read = read(
                    store.clone(),
                    entity.clone(),
                    Arc::clone(&generation),
                    Arc::clone(&stop),
                    Arc::clone(&reads),
                );
                tasks.push(tokio::spawn(read));
            }
        }
        Self { stop, reads, tasks }
    }

    /// Waits for some reads more.
    async fn reads(&self, count: u64) {
        let (start, end) = (Instant::now(), self.reads.load(Ordering::SeqCst) + count);
        while self.reads.load(Ordering::SeqCst) < end {
            let failed = self.tasks.iter().any(tokio::task::JoinHandle::is_finished);
            assert!(!failed, "a writer or reader has failed");
            assert!(start.elapsed() < LIMIT, "reads wait for the standby");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Writes with pauses, in which the standby catches up.
async fn write(
    store: PgStore,
    entity: EntityId,
    generation: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    let mut rng = SeededRng::new(5);
    while !stop.load(Ordering::SeqCst) {
        let mut batch = fixtures::varied_memories(&entity, 1, &mut rng);
        batch[0].memory.id = MemoryId::new();
        store.insert(&batch).await.unwrap();
        generation.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20 + rng.below(60) as u64)).await;
    }
}

/// Every acknowledged write is in what is read afterward, and nothing that the primary
/// does not have.
async fn read(
    store: PgStore,
    entity: EntityId,
    generation: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::SeqCst) {
        let acknowledged = generation.load(Ordering::SeqCst);
        let page = store.list(&entity, &ListRequest::new(1_000)).await.unwrap();
        let seen = page.generation.0;
        assert!(seen >= acknowledged, "{seen} before {acknowledged}");
        assert_eq!(page.memories.len() as u64, seen.min(1_000));
        reads.fetch_add(1, Ordering::SeqCst);
    }
}

/// Access counts raise no generation, and are still seen by who wrote them.
#[tokio::test(flavor = "multi_thread")]
async fn own_writes_are_seen_whatever_the_staleness() {
    with_standby(|primary, standby| async move {
        let (primary, standby) = (primary.url(), standby.url());
        let options = PgOptions::new()
            .replicas([&standby])
            .replica_staleness(Duration::from_secs(3_600));
        let store = options.connect(&primary).await.unwrap();
        let (mira, batch) = (EntityId::from("mira"), memories("mira", 2));
        let id = batch[0].memory.id;
        let before = batch[0].memory.access_count;
        store.insert(&batch).await.unwrap();
        // In the hour after this read, the primary need not be asked.
        store.get(&mira, &[id]).await.unwrap();
        let mut connection = connect(&standby).await;
        run(&mut connection, "SELECT pg_wal_replay_pause()").await;
        let accesses = [AccessUpdate::new(mira.clone(), id, 3, fixtures::at(9_000))];
        store
            .record_accesses(&accesses, Duration::ZERO)
            .await
            .unwrap();
        let found = store.get(&mira, &[id]).await.unwrap();
        let memory = found.memories[0].as_ref().unwrap();
        assert_eq!(memory.access_count, before + 3);
        store.delete(&mira, &[id]).await.unwrap();
        let found = store.get(&mira, &[id]).await.unwrap();
        assert!(found.memories[0].is_none());
        store.close().await.unwrap();
    })
    .await;
}

/// What others wrote longer ago than the staleness is seen.
#[tokio::test(flavor = "multi_thread")]
async fn staleness_limits_how_old_an_answer_is() {
    with_standby(|primary, standby| async move {
        let (primary, standby) = (primary.url(), standby.url());
        let staleness = Duration::from_millis(300);
        let options = PgOptions::new().replicas([&standby]);
        let reading = options.replica_staleness(staleness);
        let reading = reading.connect(&primary).await.unwrap();
        let writing = PgStore::connect(&primary).await.unwrap();
        let mira = EntityId::from("mira");
        let list = async || {
            let page = reading.list(&mira, &ListRequest::new(10)).await.unwrap();
            page.memories.len()
        };
        writing.insert(&memories("mira", 1)).await.unwrap();
        let start = Instant::now();
        while !has_served(&standby).await {
            assert!(list().await <= 1);
            assert!(start.elapsed() < LIMIT, "the standby served no read");
            tokio::time::sleep(staleness / 4).await;
        }
        let mut connection = connect(&standby).await;
        run(&mut connection, "SELECT pg_wal_replay_pause()").await;
        let mut second = memories("mira", 2);
        writing.insert(&second.split_off(1)).await.unwrap();
        tokio::time::sleep(staleness * 2).await;
        assert_eq!(list().await, 2);
    })
    .await;
}

/// A URL of another database, or of a server that is no standby of this one.
#[tokio::test(flavor = "multi_thread")]
async fn replica_of_another_database_is_not_used() {
    with_standby(|primary, standby| async move {
        with_database(|elsewhere| async move {
            let mut connection = connect(&primary.url()).await;
            run(&mut connection, "CREATE DATABASE other").await;
            let other = with_name(&primary.url(), "other");
            for url in [&other, &elsewhere] {
                let store = PgStore::connect(url).await.unwrap();
                store.insert(&memories("mira", 5)).await.unwrap();
                store.close().await.unwrap();
            }
            let mira = EntityId::from("mira");
            let wrong = [with_name(&standby.url(), "other"), elsewhere, other];
            for (count, replica) in (1..).zip(wrong) {
                let store = open(&primary.url(), &replica).await;
                let mut rng = SeededRng::new(count);
                let mut batch = fixtures::varied_memories(&mira, 1, &mut rng);
                batch[0].memory.id = MemoryId::new();
                store.insert(&batch).await.unwrap();
                for _ in 0..5 {
                    let page = store.list(&mira, &ListRequest::new(10)).await.unwrap();
                    assert_eq!(page.memories.len() as u64, count);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                store.close().await.unwrap();
            }
        })
        .await;
    })
    .await;
}
