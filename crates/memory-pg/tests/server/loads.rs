//! Loads of large entities: they take longer than a statement may, end when they are
//! abandoned, and have a limit of their own, on replicas too.
//!
//! The server is made slow where it reads vectors.

use std::error::Error;
use std::time::{Duration, Instant};

use memory_core::{
    EmbeddedMemory, EntityId, ErrorKind, Generation, ListRequest, MemoryError, MemoryId,
    SnapshotPage, SnapshotPart, SnapshotState, Store,
};
use memory_pg::{PgOptions, PgStore, ServerError};
use memory_testkit::{SeededRng, fixtures};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::memories;
use crate::server_process::{ServerProcess, with_standby};
use crate::support::pgbouncer::with_pgbouncer;
use crate::support::{connect, run, with_database};

/// More than are read by one statement.
const MEMORIES: usize = 1_500;
const FORMAT: u64 = u64::MAX - 1;
/// Far longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn mira() -> EntityId {
    EntityId::from("mira")
}

/// An entity with many memories, in order.
async fn populated(url: &str) -> Vec<MemoryId> {
    let store = PgStore::connect(url).await.unwrap();
    let batch = memories("mira", MEMORIES);
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    // As the server does by itself some time later: its plans are those of a large table.
    run(&mut connect(url).await, "VACUUM ANALYZE").await;
    let mut ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    ids.sort_unstable();
    ids
}

/// As [`slow_down`], for about 37 of the memories, however busy the machine is: so much a
/// vector.
async fn slow_down_some(url: &str, seconds: &str) {
    let is_some = "abs(hashtext(id::text)) % 40 = 0";
    slow_down(
        url,
        &format!("CASE WHEN {is_some} THEN {seconds} ELSE 0 END"),
    )
    .await;
}

/// Lets the server wait where it reads a vector: as long as this expression of the
/// memory's `id` says, in seconds.
pub(crate) async fn slow_down(url: &str, seconds: &str) {
    let mut connection = connect(url).await;
    run(
        &mut connection,
        &format!(
            "CREATE FUNCTION wait(id uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
               PERFORM pg_sleep({seconds}); RETURN true; END $$; \
             ALTER TABLE memory_embedding RENAME TO vectors; \
             CREATE VIEW memory_embedding AS SELECT * FROM vectors v WHERE wait(v.memory_id)"
        ),
    )
    .await;
}

pub(crate) async fn changes(store: &PgStore) -> Result<Vec<EmbeddedMemory>, MemoryError> {
    let (mira, model) = (mira(), fixtures::fingerprint());
    let changes = store.changes_since(&mira, Generation::ZERO, &model);
    Ok(changes.await?.written)
}

async fn state(store: &PgStore) -> Result<SnapshotState, MemoryError> {
    let pages = store.snapshot_pages().unwrap();
    pages.read(&mira(), &fixtures::fingerprint(), FORMAT).await
}

/// The sessions of stores that do something, or have a transaction.
async fn busy(connection: &mut PgConnection) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'memory-pg' AND state <> 'idle'";
    let count = sqlx::query_scalar(query).fetch_one(connection).await;
    count.unwrap()
}

pub(crate) async fn until_idle(url: &str, limit: Duration) {
    let (mut connection, start) = (connect(url).await, Instant::now());
    while busy(&mut connection).await > 0 {
        assert!(start.elapsed() < limit, "a session is busy");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Loads that take longer than a statement may have everything, of one moment.
async fn load_slowly(url: &str, direct: &str) {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let ids = populated(direct).await;
    slow_down_some(direct, "0.1").await;
    let options = PgOptions::new().statement_timeout(TIMEOUT);
    let store = options.connect(url).await.unwrap();
    let start = Instant::now();
    let mut written = changes(&store).await.unwrap();
    assert!(start.elapsed() > TIMEOUT, "{:?}", start.elapsed());
    written.sort_unstable_by_key(|item| item.memory.id);
    let of_changes: Vec<MemoryId> = written.iter().map(|item| item.memory.id).collect();
    assert_eq!(of_changes, ids);
    let has_vector = |item: &EmbeddedMemory| !item.embedding.vectors.is_empty();
    assert!(written.iter().all(has_vector));

    let start = Instant::now();
    let read = state(&store).await.unwrap();
    assert!(start.elapsed() > TIMEOUT, "{:?}", start.elapsed());
    let mut of_state = Vec::new();
    for part in read.parts {
        if let SnapshotPart::Memories { memories, .. } = part {
            of_state.extend(memories);
        }
    }
    of_state.sort_unstable_by_key(|item| item.memory.id);
    assert!(of_state == written, "both loads have the same");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_may_take_longer_than_a_statement() {
    with_database(|url| async move { load_slowly(&url, &url).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_may_take_longer_than_a_statement_through_pgbouncer() {
    with_pgbouncer(|pooled, direct| async move {
        load_slowly(&format!("{pooled}&pooler=transaction"), &direct).await;
    })
    .await;
}

/// A large entity with pages: what is in them is not read from rows.
#[tokio::test(flavor = "multi_thread")]
async fn loads_read_pages() {
    with_database(|url| async move {
        let ids = populated(&url).await;
        let store = PgStore::connect(&url).await.unwrap();
        let read = state(&store).await.unwrap();
        let new: Vec<SnapshotPage> = read
            .parts
            .into_iter()
            .filter_map(|part| match part {
                SnapshotPart::Memories {
                    page: Some(number),
                    memories,
                } => {
                    let ids = memories.iter().map(|item| item.memory.id).collect();
                    Some(SnapshotPage::new(number, ids, vec![7; 1_000]))
                }
                _ => None,
            })
            .collect();
        let count = new.len();
        assert!(count > 5, "{count} pages");
        let (model, pages) = (fixtures::fingerprint(), store.snapshot_pages().unwrap());
        pages
            .write(&mira(), &model, FORMAT, read.generation, new)
            .await
            .unwrap();
        let read = state(&store).await.unwrap();
        let (mut found, mut rows) = (0, 0);
        for part in &read.parts {
            match part {
                SnapshotPart::Page(content) => {
                    assert_eq!(content, &[7; 1_000]);
                    found += 1;
                }
                SnapshotPart::Memories { memories, .. } => rows += memories.len(),
            }
        }
        assert_eq!(found, count);
        assert_eq!(rows, ids.len() - count * SnapshotPage::MAX_MEMORIES);
        store.close().await.unwrap();
    })
    .await;
}

/// Only what changed, of which there is much.
#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_loaded() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let batch = memories("mira", 5);
        store.insert(&batch).await.unwrap();
        let mut more = fixtures::varied_memories(&mira(), MEMORIES, &mut SeededRng::new(99));
        more.iter_mut()
            .for_each(|item| item.memory.id = MemoryId::new());
        store.insert(&more).await.unwrap();
        let removed = batch[0].memory.id;
        store.delete(&mira(), &[removed]).await.unwrap();
        let (mira, model) = (mira(), fixtures::fingerprint());
        let changes = store.changes_since(&mira, Generation(1), &model);
        let changes = changes.await.unwrap();
        assert_eq!(changes.removed, [removed]);
        assert_eq!((changes.generation, changes.reset), (Generation(3), false));
        let ids = |items: &[EmbeddedMemory]| {
            let mut ids: Vec<MemoryId> = items.iter().map(|item| item.memory.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&changes.written), ids(&more));
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_named_by_their_errors() {
    with_database(|url| async move {
        let ids = populated(&url).await;
        slow_down(
            &url,
            &format!("CASE WHEN id = '{}' THEN 5 ELSE 0 END", ids[MEMORIES / 2]),
        )
        .await;
        let limit = Duration::from_millis(500);
        let store = PgOptions::new().load_timeout(limit).connect(&url).await;
        let store = store.unwrap();
        for refused in [
            changes(&store).await.unwrap_err(),
            state(&store).await.unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
            let message = refused.to_string();
            assert!(message.contains("load_timeout (500ms)"), "{message}");
            assert!(message.contains("PgOptions::load_timeout"), "{message}");
        }
        let page = store.list(&mira(), &ListRequest::new(10)).await.unwrap();
        assert_eq!(page.memories.len(), 10);
        store.close().await.unwrap();

        // One portion that takes longer than a statement may.
        let limit = Duration::from_secs(1);
        let options = PgOptions::new().statement_timeout(limit);
        let store = options.connect(&url).await.unwrap();
        let refused = changes(&store).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        let message = refused.to_string();
        assert!(message.contains("statement_timeout (1s)"), "{message}");
        assert!(
            message.contains("PgOptions::statement_timeout"),
            "{message}"
        );
        let source = refused.source().and_then(|source| source.downcast_ref());
        let code = source.map(|error: &ServerError| error.code.as_str());
        assert_eq!(code, Some("57014"));
        store.close().await.unwrap();
    })
    .await;
}

/// Neither by its caller nor by its limit.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_loads_leave_nothing_running() {
    with_database(|url| async move {
        populated(&url).await;
        slow_down_some(&url, "0.4").await;
        let store = PgStore::connect(&url).await.unwrap();
        let loading = tokio::time::timeout(Duration::from_secs(2), changes(&store));
        assert!(loading.await.is_err(), "it takes 15 seconds");
        until_idle(&url, Duration::from_secs(8)).await;
        store.close().await.unwrap();
        let options = PgOptions::new().load_timeout(Duration::from_secs(2));
        let store = options.connect(&url).await.unwrap();
        changes(&store).await.unwrap_err();
        until_idle(&url, Duration::from_secs(8)).await;
        store.close().await.unwrap();
    })
    .await;
}

/// On the standby alone.
pub(crate) async fn slow_down_standby(
    primary: &ServerProcess,
    standby: &ServerProcess,
    is_slow: &str,
) {
    let seconds = format!("CASE WHEN pg_is_in_recovery() AND {is_slow} ELSE 0 END");
    slow_down(&primary.url(), &seconds).await;
    let (mut connection, start) = (connect(&standby.url()).await, Instant::now());
    loop {
        let query = "SELECT to_regclass('vectors') IS NOT NULL";
        let there = sqlx::query_scalar(query).fetch_one(&mut connection).await;
        if there.unwrap() {
            return;
        }
        assert!(start.elapsed() < LIMIT, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn with_replica(
    primary: &ServerProcess,
    standby: &ServerProcess,
    options: PgOptions,
) -> PgStore {
    let options = options.replicas([standby.url()]);
    options.connect(&primary.url()).await.unwrap()
}

/// Waits until the standby serves short reads, which it does soon after it did not answer
/// in time on a busy machine.
pub(crate) async fn until_serves(store: &PgStore, standby: &ServerProcess) {
    let start = Instant::now();
    while !serves(store, standby).await {
        assert!(start.elapsed() < LIMIT, "the standby serves no read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the standby serves a short read.
pub(crate) async fn serves(store: &PgStore, standby: &ServerProcess) -> bool {
    let mut connection = connect(&standby.url()).await;
    let now: String = sqlx::query_scalar("SELECT clock_timestamp()::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    store.list(&mira(), &ListRequest::new(10)).await.unwrap();
    let query = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'memory-pg' \
         AND query LIKE 'SELECT g.generation%' AND query_start > '{now}'::timestamptz)"
    );
    let served = sqlx::query_scalar(AssertSqlSafe(query));
    served.fetch_one(&mut connection).await.unwrap()
}

/// A statement that takes longer than a read of a replica may, of a standby that is alive.
#[tokio::test(flavor = "multi_thread")]
async fn slow_replica_serves_a_load() {
    with_standby(|primary, standby| async move {
        let ids = populated(&primary.url()).await;
        let slow = format!("id = '{}' THEN 8", ids[MEMORIES / 2]);
        slow_down_standby(&primary, &standby, &slow).await;
        let store = with_replica(&primary, &standby, PgOptions::new()).await;
        for _ in 0..2 {
            until_serves(&store, &standby).await;
            let start = Instant::now();
            assert_eq!(changes(&store).await.unwrap().len(), MEMORIES);
            let took = start.elapsed();
            assert!(took > Duration::from_secs(7), "by the primary: {took:?}");
        }
        until_serves(&store, &standby).await;
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn primary_serves_a_load_of_a_replica_that_stops() {
    with_standby(|primary, standby| async move {
        populated(&primary.url()).await;
        let slow = "abs(hashtext(id::text)) % 40 = 0 THEN 0.8";
        slow_down_standby(&primary, &standby, slow).await;
        let store = with_replica(&primary, &standby, PgOptions::new()).await;
        until_serves(&store, &standby).await;
        let (loading, start) = (store.clone(), Instant::now());
        let loading = tokio::spawn(async move { changes(&loading).await });
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!loading.is_finished());
        standby.signal("STOP").await;
        let loaded = tokio::time::timeout(LIMIT, loading).await;
        standby.signal("CONT").await;
        assert_eq!(loaded.unwrap().unwrap().unwrap().len(), MEMORIES);
        let took = start.elapsed();
        // It would have taken 30 seconds.
        assert!(took < Duration::from_secs(25), "{took:?}");
        store.close().await.unwrap();
    })
    .await;
}

/// It serves other reads all the same.
#[tokio::test(flavor = "multi_thread")]
async fn replica_whose_loads_fail_is_asked_for_none() {
    const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
    with_standby(|primary, standby| async move {
        populated(&primary.url()).await;
        let slow = "abs(hashtext(id::text)) % 40 = 0 THEN 0.8";
        slow_down_standby(&primary, &standby, slow).await;
        let options = PgOptions::new().load_timeout(LOAD_TIMEOUT);
        let store = with_replica(&primary, &standby, options).await;
        for number in 0..5 {
            until_serves(&store, &standby).await;
            let start = Instant::now();
            assert_eq!(changes(&store).await.unwrap().len(), MEMORIES);
            let has_tried = start.elapsed() >= LOAD_TIMEOUT;
            assert_eq!(has_tried, number < 3, "load {number}");
        }
        until_serves(&store, &standby).await;
        store.close().await.unwrap();
    })
    .await;
}
