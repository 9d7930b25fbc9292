//! Opening: memory databases are opened, other files stay unchanged.

use std::fs;
use std::path::Path;

use memory_core::{ErrorKind, Generation, MemoryError, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, contents, create_filled, ids, mira, open, run_sql, try_open};

/// Opening must fail with `kind` and change no file of the folder.
async fn assert_refused_unchanged(path: &Path, kind: ErrorKind) {
    let folder = path.parent().unwrap();
    let before = contents(folder);
    for options in [
        SqliteOptions::new(path),
        SqliteOptions::new(path).create_if_missing(false),
        SqliteOptions::new(path).read_only(),
    ] {
        let error = SqliteStore::open_with(options).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.is_retryable());
        assert_eq!(error.operation(), Some("open"));
        let after = contents(folder);
        assert!(
            before == after,
            "changed or left behind: {:?}",
            after.keys()
        );
    }
}

#[tokio::test]
async fn written_memories_are_there_after_reopening() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 30).await;
    assert_eq!(contents(folder.path()).len(), 1, "one file after closing");
    let store = open(&path).await;
    let got = store.get(&mira(), &ids(&batch)).await.unwrap();
    assert_eq!(got.generation, Generation(1));
    for (got, wanted) in got.memories.into_iter().zip(batch) {
        assert_eq!(got.unwrap(), wanted.memory);
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    for content in ["x", "a diary\n", &"long text ".repeat(2_000)] {
        fs::write(&path, content).unwrap();
        assert_refused_unchanged(&path, ErrorKind::ForeignData).await;
    }
}

#[tokio::test]
async fn a_database_of_another_application_is_refused() {
    let folder = tempdir().unwrap();
    for (name, sql) in [
        ("tables", "CREATE TABLE recipe (name TEXT)"),
        ("mark", "PRAGMA application_id = 42"),
        (
            "both",
            "PRAGMA application_id = 42; CREATE TABLE memory (memory_key INTEGER)",
        ),
        (
            "wal",
            "PRAGMA journal_mode = WAL; CREATE TABLE recipe (name TEXT)",
        ),
    ] {
        let path = folder.path().join(name);
        run_sql(&path, sql).await;
        assert_refused_unchanged(&path, ErrorKind::ForeignData).await;
    }
}

#[tokio::test]
async fn a_database_open_in_another_application_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let mut other = connect(&path).await;
    let sql = "PRAGMA journal_mode = WAL; CREATE TABLE recipe (name TEXT)";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    // Everything is still in the write-ahead log.
    let log = folder.path().join("agent.db-wal");
    let before = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let error = try_open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignData);
    assert!(before == (fs::read(&path).unwrap(), fs::read(&log).unwrap()));
    other.close().await.unwrap();
}

/// A hot journal of another application is for that application to roll back.
#[tokio::test]
async fn an_interrupted_write_of_another_application_is_refused() {
    let folder = tempdir().unwrap();
    let theirs = folder.path().join("recipes.db");
    let mut other = connect(&theirs).await;
    let sql = "PRAGMA synchronous = OFF; CREATE TABLE recipe (text);
        PRAGMA cache_size = 1; BEGIN;
        INSERT INTO recipe SELECT hex(randomblob(900)) FROM json_each(json_array(1, 2, 3, 4, 5));
        INSERT INTO recipe SELECT a.text FROM recipe AS a, recipe AS b, recipe AS c";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    let left = folder.path().join("left");
    fs::create_dir(&left).unwrap();
    let path = left.join("agent.db");
    fs::copy(&theirs, &path).unwrap();
    fs::copy(
        folder.path().join("recipes.db-journal"),
        left.join("agent.db-journal"),
    )
    .unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 100_000);
    assert_refused_unchanged(&path, ErrorKind::ForeignData).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 3).await;
    run_sql(&path, "PRAGMA user_version = 99").await;
    assert_refused_unchanged(&path, ErrorKind::NewerSchema).await;
    let error = try_open(&path).await.unwrap_err();
    assert!(error.to_string().contains("schema 99"), "{error}");
}

#[tokio::test]
async fn other_migrations_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 3).await;
    run_sql(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let error = try_open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    let unknown = "INSERT INTO _sqlx_migrations VALUES (99, 'later', 0, true, x'00', 0)";
    run_sql(&path, unknown).await;
    run_sql(&path, "DELETE FROM _sqlx_migrations WHERE version < 99").await;
    let error = try_open(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerSchema, "{error}");
}

#[tokio::test]
async fn empty_files_and_empty_databases_are_claimed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("empty");
    fs::write(&path, "").unwrap();
    create_filled(&path, 3).await;
    let path = folder.path().join("no tables");
    run_sql(&path, "CREATE TABLE t (a); DROP TABLE t").await;
    assert!(fs::metadata(&path).unwrap().len() > 0);
    create_filled(&path, 3).await;
}

#[tokio::test]
async fn missing_files_and_folders_are_named() {
    let folder = tempdir().unwrap();
    let nowhere = folder.path().join("no/such/folder/agent.db");
    let nothing = folder.path().join("agent.db");
    for options in [
        SqliteOptions::new(&nowhere),
        SqliteOptions::new(&nothing).create_if_missing(false),
        SqliteOptions::new(&nothing).read_only(),
    ] {
        let error = SqliteStore::open_with(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
        let path = folder.path().display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
    }
    fs::write(&nothing, "").unwrap();
    let empty = SqliteOptions::new(&nothing).read_only();
    let error = SqliteStore::open_with(empty).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    let error = try_open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(contents(folder.path()).len(), 1, "nothing was created");
}

#[tokio::test]
async fn unusual_file_names_work() {
    let folder = tempdir().unwrap();
    for name in ["file:x?mode=memory", ":memory:", "a b#c%20?d.db", "記憶.db"] {
        let path = folder.path().join(name);
        let batch = create_filled(&path, 2).await;
        assert!(path.is_file(), "{name}");
        let encoded = name.replace('%', "%25").replace('?', "%3F");
        let url = format!("sqlite://{}/{encoded}?mode=ro", folder.path().display());
        let store = SqliteStore::open(&url).await.unwrap();
        assert_eq!(store.entity_stats(&mira()).await.unwrap().memory_count, 2);
        assert!(store.delete(&mira(), &ids(&batch)).await.is_err());
    }
}

#[tokio::test]
async fn many_stores_open_a_new_file_at_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let opening: Vec<_> = (0..8)
        .map(|seed| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(&path).await;
                let batch = crate::common::memories(5, seed);
                store.insert(&batch).await.unwrap();
                store.close().await.unwrap();
            })
        })
        .collect();
    for task in opening {
        task.await.unwrap();
    }
    let stats = open(&path).await.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.generation, stats.memory_count), (Generation(8), 40));
}

#[tokio::test]
async fn a_closed_store_closes_its_files_and_refuses_operations() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    store.insert(&crate::common::memories(3, 1)).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(
        contents(folder.path()).len(),
        1,
        "no write-ahead log remains"
    );
    let error = store.insert(&[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = store.entity_stats(&mira()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn opening_outside_of_a_runtime_is_an_error() {
    let opening = SqliteStore::open("sqlite::memory:");
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    let mut opening = std::pin::pin!(opening);
    match opening.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(MemoryError::Configuration { message })) => {
            assert!(message.contains("Tokio"), "{message}");
        }
        other => panic!("expected an error, got {other:?}"),
    }
}

/// The driver takes no other names; a file that it then refuses would be left behind.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn names_that_the_driver_refuses_leave_no_file() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempdir().unwrap();
    for name in [&b"caf\xe9.db"[..], b"a\0b.db"] {
        let path = folder.path().join(OsStr::from_bytes(name));
        let error = try_open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    assert!(contents(folder.path()).is_empty());
}
