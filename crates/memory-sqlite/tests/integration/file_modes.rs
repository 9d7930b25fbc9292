//! The files of a database: private when they are created, and the main file
//! complete by itself soon after each write.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use memory_core::{AccessUpdate, ErrorKind, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::fixtures::at;
use sqlx::Executor;
use tempfile::tempdir;

use crate::common::{connect, create_filled, memories, mira, open};

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn new_databases_are_private_and_existing_ones_keep_their_mode() {
    let folder = tempdir().unwrap();
    for (name, existing, wanted) in [
        ("new.db", None, 0o600),
        ("shared.db", Some(0o644), 0o644),
        ("group.db", Some(0o660), 0o660),
    ] {
        let path = folder.path().join(name);
        if let Some(mode) = existing {
            create_filled(&path, 1).await;
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        let store = open(&path).await;
        store.insert(&memories(5, 9)).await.unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let file = folder.path().join(format!("{name}{suffix}"));
            assert_eq!(mode(&file), wanted, "{}", file.display());
        }
        store.close().await.unwrap();
        assert_eq!(mode(&path), wanted, "{name} after closing");
    }
}

/// How many memories a copy of the main file alone holds. Another process
/// copies: closing the file here would release SQLite's locks on it.
async fn count_in_copy(path: &Path) -> u64 {
    let folder = tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let copied = Command::new("cp").arg(path).arg(&copy).status();
    assert!(copied.unwrap().success());
    let options = SqliteOptions::new(&copy).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    store.entity_stats(&mira()).await.unwrap().memory_count
}

async fn wait_for_copy(path: &Path, wanted: u64) {
    let started = Instant::now();
    while count_in_copy(path).await != wanted {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the main file never holds {wanted} memories"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_main_file_follows_every_write() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    assert_eq!(count_in_copy(&path).await, 0, "a new file has its schema");
    for round in 1..=4 {
        store.insert(&memories(5, round)).await.unwrap();
        wait_for_copy(&path, round * 5).await;
    }
}

#[tokio::test]
async fn closing_completes_the_main_file_where_another_store_keeps_it_open() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let (store, other) = (open(&path).await, open(&path).await);
    store.insert(&memories(5, 1)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(count_in_copy(&path).await, 5);
    other.close().await.unwrap();
}

/// Access counts are written by reads, which must not wait for a lock: neither
/// for the busy timeout here, which is ten minutes.
#[tokio::test]
async fn access_counts_do_not_wait_for_a_locked_database() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 10).await;
    let options = SqliteOptions::new(&path).busy_timeout(Duration::from_secs(600));
    let store = SqliteStore::open_with(options).await.unwrap();
    let mut other = connect(&path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let limit = Duration::from_secs(60);
    let updates = [AccessUpdate::new(mira(), batch[0].memory.id, 1, at(0))];
    let recorded = store.record_accesses(&updates, Duration::ZERO);
    let error = tokio::time::timeout(limit, recorded).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);

    // Other writes wait as before.
    let fresh = memories(1, 5);
    let waiting = store.insert(&fresh);
    let short = tokio::time::timeout(Duration::from_millis(400), waiting);
    assert!(short.await.is_err(), "an insert gave up early");
    other.execute("ROLLBACK").await.unwrap();
    tokio::time::timeout(limit, store.close())
        .await
        .unwrap()
        .unwrap();
    let stats = open(&path).await.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 11);
}
