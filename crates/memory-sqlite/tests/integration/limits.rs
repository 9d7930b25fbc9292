//! A full database, a held lock, a read-only file: typed errors, nothing
//! written, and a store that works again once the cause is gone.

use std::time::Duration;

use futures_util::future::{join, join_all};
use memory_core::{AccessUpdate, ByteSize, ErrorKind, Generation, MemoryPatch, Store};
use memory_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use memory_testkit::SeededRng;
use memory_testkit::fixtures::{at, varied_memories};
use sqlx::Executor;
use tempfile::tempdir;
use tokio::time::timeout;

use crate::common::{connect, contents, create_filled, ids, memories, mira, open};

#[tokio::test]
async fn a_full_database_refuses_whole_batches_until_space_is_freed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let options = SqliteOptions::new(&path).max_size(ByteSize(600_000));
    let store = SqliteStore::open_with(options).await.unwrap();
    let (mut written, mut round) = (Vec::new(), 0);
    let refused = loop {
        round += 1;
        let batch = memories(40, round);
        match store.insert(&batch).await {
            Ok(_) => written.extend(batch),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(!error.is_retryable());
                break batch;
            }
        }
    };
    assert!(written.len() >= 80, "{} written", written.len());
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, written.len() as u64);
    assert_eq!(stats.generation, Generation(round - 1));
    let got = store.get(&mira(), &ids(&refused)).await.unwrap();
    assert!(got.memories.iter().all(Option::is_none));

    store.delete(&mira(), &ids(&written[..80])).await.unwrap();
    store.insert(&refused).await.unwrap();
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, written.len() as u64 - 40);
    store.close().await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() <= 600_000);
}

#[tokio::test]
async fn a_held_lock_makes_writes_unavailable_but_not_reads() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 10).await;
    let options = SqliteOptions::new(&path).busy_timeout(Duration::from_millis(50));
    let store = SqliteStore::open_with(options.clone()).await.unwrap();
    let mut other = connect(&path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let fresh = varied_memories(&mira(), 5, &mut SeededRng::new(2));
    let error = store.insert(&fresh).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
    assert_eq!(error.operation(), Some("insert"));
    assert_eq!(store.entity_stats(&mira()).await.unwrap().memory_count, 10);
    // Opening a database with a current schema needs no lock.
    let second = SqliteStore::open_with(options).await.unwrap();
    assert!(second.get(&mira(), &ids(&batch)).await.is_ok());

    other.execute("ROLLBACK").await.unwrap();
    store.insert(&fresh).await.unwrap();
    assert_eq!(second.entity_stats(&mira()).await.unwrap().memory_count, 15);
}

/// Each waits about once, and not for all before it.
#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_together_for_a_lock_fail_together() {
    const WRITES: u64 = 40;
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 10).await;
    let options = SqliteOptions::new(&path).busy_timeout(Duration::from_secs(1));
    let store = SqliteStore::open_with(options).await.unwrap();
    let mut other = connect(&path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let batches: Vec<_> = (0..WRITES).map(|n| memories(1, 100 + n)).collect();
    let inserts = batches.iter().map(|batch| store.insert(batch));
    let (mira, patch) = (mira(), MemoryPatch::new().importance(0.5));
    let updates = batch.iter();
    let updates = updates.map(|one| store.update(&mira, &one.memory.id, &patch, None));
    let all = join(join_all(inserts), join_all(updates));
    let (inserts, updates) = timeout(Duration::from_secs(15), all).await.unwrap();
    let inserts = inserts.into_iter().map(|insert| insert.map(drop));
    let updates = updates.into_iter().map(|update| update.map(drop));
    for outcome in inserts.chain(updates) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.is_retryable());
    }
    other.execute("ROLLBACK").await.unwrap();
    for batch in &batches {
        store.insert(batch).await.unwrap();
    }
    let stats = store.entity_stats(&mira).await.unwrap();
    assert_eq!(stats.memory_count, 10 + WRITES);
}

#[tokio::test]
async fn an_exclusive_lock_makes_opening_unavailable() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 10).await;
    let mut other = connect(&path).await;
    let sql = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE";
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    let options = SqliteOptions::new(&path).busy_timeout(Duration::from_millis(50));
    let error = SqliteStore::open_with(options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    other.execute("ROLLBACK").await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    SqliteStore::open_with(options).await.unwrap();
}

#[tokio::test]
async fn a_read_only_store_reads_and_refuses_every_write() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let batch = create_filled(&path, 10).await;
    let before = std::fs::read(&path).unwrap();
    let options = SqliteOptions::new(&path).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let got = store.get(&mira(), &ids(&batch)).await.unwrap();
    assert_eq!(got.memories.iter().flatten().count(), 10);
    let id = batch[0].memory.id;
    let patch = MemoryPatch::new().importance(0.1);
    let update = AccessUpdate::new(mira(), id, 1, at(0));
    for error in [
        store.insert(&memories(1, 9)).await.unwrap_err(),
        store.update(&mira(), &id, &patch, None).await.unwrap_err(),
        store.delete(&mira(), &[id]).await.unwrap_err(),
        store
            .record_accesses(&[update], Duration::ZERO)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    }
    store.close().await.unwrap();
    let error = store.delete(&mira(), &[id]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(before == std::fs::read(&path).unwrap(), "the file changed");
}

#[tokio::test]
async fn a_read_only_store_sees_writes_of_another_store() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let writer = open(&path).await;
    let options = SqliteOptions::new(&path).read_only();
    let reader = SqliteStore::open_with(options).await.unwrap();
    for round in 1..4 {
        writer.insert(&memories(3, round)).await.unwrap();
        let stats = reader.entity_stats(&mira()).await.unwrap();
        assert_eq!((stats.generation.0, stats.memory_count), (round, round * 3));
    }
}

#[tokio::test]
async fn a_store_with_relaxed_options_works() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let options = SqliteOptions::new(&path)
        .synchronous(Synchronous::Normal)
        .cache_size(ByteSize::mebibytes(1))
        .max_readers(std::num::NonZeroU32::MIN);
    let store = SqliteStore::open_with(options).await.unwrap();
    store.insert(&memories(300, 1)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(contents(folder.path()).len(), 1);
    let stats = open(&path).await.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 300);
}
