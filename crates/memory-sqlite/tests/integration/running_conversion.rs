//! Conversions of the lexical index that run while the file is used, and how they end.

use std::path::Path;

use memory_core::{ByteSize, EntityId, MemoryPatch, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::{SeededRng, TraceLog, fixtures, wait_until};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::tempdir;

use crate::common::{connect, ids, lexical, memory, mira, open, run_sql};
use crate::reindex::{
    WRONG_ENTRIES, index, open_and_convert, search_some, state, wait_for_conversion,
};
use crate::search_pages::create;

/// How often a test converts a file that has to be in the middle, or be written to, before the
/// conversion ends. It takes some transactions only, so that a busy machine may miss it.
const ATTEMPTS: usize = 20;

/// Marks the conversion as begun, as opening does.
const BEGIN: &str = "UPDATE text_analysis SET version = -7, converted_key = 0, conversion = 1";

/// The lock of writers: no conversion gets further.
pub(crate) struct HeldConversion(SqliteConnection);

impl HeldConversion {
    pub(crate) async fn hold(path: &Path) -> Self {
        let mut conn = connect(path).await;
        conn.execute("BEGIN IMMEDIATE").await.unwrap();
        Self(conn)
    }

    /// Returns the state until then.
    pub(crate) async fn release(mut self) -> (i64, i64, i64) {
        let state = read_state(&mut self.0).await;
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
        state
    }
}

pub(crate) async fn read_state(conn: &mut SqliteConnection) -> (i64, i64, i64) {
    let state = sqlx::query_as("SELECT version, converted_key, conversion FROM text_analysis");
    state.fetch_one(conn).await.unwrap()
}

/// Writes during a conversion are of the current version, wherever it has come to.
#[tokio::test(flavor = "multi_thread")]
async fn several_stores_convert_one_file_while_they_write() {
    for _ in 0..ATTEMPTS {
        if convert_while_they_write().await > 0 {
            return;
        }
    }
    panic!("no write came before the end");
}

/// Returns after how many rounds of writes the conversion was running.
async fn convert_while_they_write() -> u32 {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    let other = EntityId::from("otto");
    run_sql(&path, WRONG_ENTRIES).await;
    run_sql(&path, BEGIN).await;
    let held = HeldConversion::hold(&path).await;
    let (first, second) = tokio::join!(open(&path), open(&path));
    let mut rng = SeededRng::new(12);
    let ids = ids(&batch);
    // Writes before the first memory is converted.
    let early = [memory("early", &mut rng), memory("mill", &mut rng)];
    let (inserted, held) = tokio::join!(first.insert(&early), held.release());
    inserted.unwrap();
    assert!(held.0 < 0);
    let mut overlapping = 0;
    for (number, store) in [&first, &second].into_iter().cycle().take(40).enumerate() {
        let text = format!("bridge {number}");
        let new = [memory(&text, &mut rng), memory("mill", &mut rng)];
        store.insert(&new).await.unwrap();
        let patch = MemoryPatch::new().content(format!("tower {number}"));
        store
            .update(&mira(), &ids[number * 60], &patch, Some(&new[0].embedding))
            .await
            .unwrap();
        store
            .delete(&mira(), &[ids[number * 60 + 1]])
            .await
            .unwrap();
        overlapping += u32::from(state(&path).await.0 < 0);
        let mut theirs = new[0].clone();
        theirs.memory.entity_id = other.clone();
        theirs.memory.id = memory_core::MemoryId::new();
        store.insert(&[theirs]).await.unwrap();
        for (text, count) in [("bridge", number + 1), ("tower", number + 1)] {
            let found = store.search(&mira(), &lexical(text)).await.unwrap();
            assert_eq!(found.candidates.len(), count, "{text}");
        }
    }
    wait_for_conversion(&path).await;
    for store in [first, second] {
        store.close().await.unwrap();
    }
    // As if every entry had been made at once.
    let converted = index(&path).await;
    let expected = search_some(&path).await;
    run_sql(&path, WRONG_ENTRIES).await;
    open_and_convert(&path).await.close().await.unwrap();
    assert_eq!(index(&path).await, converted);
    assert_eq!(search_some(&path).await, expected);
    let counts = "SELECT count(*) FROM entity AS e WHERE word_count <> (
        SELECT sum(word_count) FROM memory AS m WHERE m.entity_key = e.entity_key)";
    let mut conn = connect(&path).await;
    let wrong: i64 = sqlx::query_scalar(counts)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(wrong, 0);
    overlapping
}

/// Closing and dropping a store end its conversion, before it has begun and in the middle;
/// the next one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_ends_with_its_store_and_is_continued() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create(&path).await;
    let (expected, _, current) = index(&path).await;
    run_sql(&path, WRONG_ENTRIES).await;
    for is_closed in [true, false] {
        run_sql(&path, BEGIN).await;
        let held = HeldConversion::hold(&path).await;
        let store = open(&path).await;
        let (_, after) = end(store, is_closed, held, &path).await;
        // One that is dropped may have been waiting for the lock.
        assert_eq!((after.0, after.2), (-current, 1), "{is_closed}");
        assert!(after.1 == 0 || !is_closed, "it went on after the close");

        let (held, after) = end_in_the_middle(is_closed, after, &path).await;
        assert!(held.0 == -current && held.1 > 0, "it was not in the middle");
        assert_eq!((after.0, after.2), (-current, 1), "{is_closed}");
        assert!(
            after.1 == held.1 || !is_closed,
            "it went on after the close"
        );
    }
    open_and_convert(&path).await.close().await.unwrap();
    assert_eq!(index(&path).await.0, expected);
}

/// As [`end`], of a store that has converted some memories after this state, but not all, in
/// one of the attempts.
async fn end_in_the_middle(
    is_closed: bool,
    mut before: (i64, i64, i64),
    path: &Path,
) -> ((i64, i64, i64), (i64, i64, i64)) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let store = open(path).await;
        wait_until("some are converted", async || {
            let now = state(path).await;
            now.0 > 0 || now.1 > before.1
        })
        .await;
        let held = HeldConversion::hold(path).await;
        let (held, after) = end(store, is_closed, held, path).await;
        // One that is dropped may have been waiting for the lock.
        if (held.0 < 0 && after.0 < 0) || attempts == ATTEMPTS {
            return (held, after);
        }
        // Entries that are right already would take less time.
        run_sql(path, WRONG_ENTRIES).await;
        run_sql(path, BEGIN).await;
        before.1 = 0;
    }
}

/// Ends a store whose conversion is held. Returns the state until then, and the one after the
/// conversion has ended: nothing has the file open.
async fn end(
    store: SqliteStore,
    is_closed: bool,
    held: HeldConversion,
    path: &Path,
) -> ((i64, i64, i64), (i64, i64, i64)) {
    if is_closed {
        store.close().await.unwrap();
    }
    drop(store);
    let before = held.release().await;
    wait_until("the file is closed", async || is_closed_file(path).await).await;
    (before, state(path).await)
}

/// Whether no other connection has a file open: the mode of its journal can be changed then.
async fn is_closed_file(path: &Path) -> bool {
    let mut conn = connect(path).await;
    let mut modes = Vec::new();
    for change in ["PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL"] {
        let mode = sqlx::query_scalar::<_, String>(change);
        modes.extend(mode.fetch_one(&mut conn).await);
    }
    conn.close().await.unwrap();
    modes == ["delete", "wal"]
}

/// The share is of all memories, by their keys.
#[tokio::test]
async fn the_progress_of_a_conversion_is_a_share_of_the_memories() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    assert_eq!(store.conversion_progress().await.unwrap(), None);
    let mut rng = SeededRng::new(3);
    for (entity, size) in [("anna", 100), ("mira", 60), ("otto", 40)] {
        let plain = |number| fixtures::plain(&entity.into(), format!("mill {number}"), &mut rng);
        let batch: Vec<_> = (0..size).map(plain).collect();
        store.insert(&batch).await.unwrap();
    }
    assert_eq!(store.conversion_progress().await.unwrap(), None);
    store.close().await.unwrap();
    let current = state(&path).await.0;
    for (version, key, expected, share) in [
        // What was converted for another version is not.
        (4, (2i64 << 32) + 4, (false, 0), 0.0),
        (1 - current, (2 << 32) + 4, (false, 0), 0.0),
        (-current, 0, (true, 0), 0.0),
        (-current, (1 << 32) + 24, (true, 25), 0.125),
        (-current, (2 << 32) + 29, (true, 130), 0.65),
        (-current, (3 << 32) + 39, (true, 200), 1.0),
    ] {
        let mark = format!("UPDATE text_analysis SET version = {version}, converted_key = {key}");
        run_sql(&path, AssertSqlSafe(mark)).await;
        for options in [
            SqliteOptions::new(&path).read_only(),
            SqliteOptions::new(&path).migrate(false),
        ] {
            let store = SqliteStore::open_with(options).await.unwrap();
            let progress = store.conversion_progress().await.unwrap().unwrap();
            assert_eq!((progress.has_begun, progress.converted), expected);
            assert_eq!(progress.memories, 200);
            let difference: f64 = progress.share() - share;
            assert!(difference.abs() < 1e-9);
            store.close().await.unwrap();
            assert_eq!(state(&path).await.0, version, "nothing is converted");
        }
    }
    let store = open_and_convert(&path).await;
    assert_eq!(store.conversion_progress().await.unwrap(), None);
    store.close().await.unwrap();
}

/// A conversion that needs more space than there is goes on when some is freed.
#[tokio::test]
async fn a_conversion_waits_while_the_database_is_full() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create(&path).await;
    run_sql(&path, WRONG_ENTRIES).await;
    run_sql(&path, "UPDATE memory_words SET words = '1_wrong'").await;
    run_sql(&path, "DELETE FROM word_page").await;
    run_sql(&path, "VACUUM").await;
    let size = std::fs::metadata(&path).unwrap().len();
    let options = SqliteOptions::new(&path).max_size(ByteSize(size));
    // The task of the conversion runs in this thread.
    let log = TraceLog::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let store = SqliteStore::open_with(options).await.unwrap();
    wait_until("the conversion needs more space", async || {
        let log = log.since(0);
        let mut lines = log.lines();
        lines.any(|line| {
            line.contains("conversion of words is interrupted") && line.contains("Full")
        })
    })
    .await;
    assert!(state(&path).await.0 < 0, "it has more space than it needs");
    store.delete(&mira(), &ids(&batch)[..1_000]).await.unwrap();
    wait_for_conversion(&path).await;
    store.close().await.unwrap();
}
