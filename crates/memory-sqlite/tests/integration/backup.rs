//! Backups: consistent, complete, private, and never over the database itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use memory_core::{BackupOptions, EntityId, ErrorKind, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::fixtures::varied_memories;
use memory_testkit::{SeededRng, wait_until};
use sqlx::Connection;
use tempfile::tempdir;

use crate::common::{connect, contents, create_filled, ids, memories, mira, open};

async fn backup(store: &SqliteStore, target: &Path) -> Result<(), ErrorKind> {
    let done = store.backup(target, &BackupOptions::new()).await;
    done.map_err(|error| {
        assert_eq!(error.operation(), Some("backup"), "{error}");
        error.kind()
    })
}

async fn assert_intact(path: &Path) {
    let mut conn = connect(path).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    let words = "INSERT INTO memory_words (memory_words) VALUES ('integrity-check')";
    sqlx::raw_sql(words).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_consistent_while_others_write() {
    let folder = tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("agent.db")).await);
    let first = memories(50, 1);
    store.insert(&first).await.unwrap();
    let writers: Vec<_> = (0..3u64)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let entity = EntityId::from(format!("writer{number}"));
                let mut rng = SeededRng::new(number);
                for _ in 0..20 {
                    let batch = varied_memories(&entity, 5, &mut rng);
                    store.insert(&batch).await.unwrap();
                    store.delete(&entity, &ids(&batch[..2])).await.unwrap();
                }
            })
        })
        .collect();
    let mut copies = Vec::new();
    for number in 0..4 {
        let copy = folder.path().join(format!("copy{number}.db"));
        backup(&store, &copy).await.unwrap();
        copies.push(copy);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for copy in copies {
        let restored = open(&copy).await;
        let got = restored.get(&mira(), &ids(&first)).await.unwrap();
        for (got, wanted) in got.memories.into_iter().zip(&first) {
            assert_eq!(got.as_ref(), Some(&wanted.memory));
        }
        for number in 0..3 {
            let entity = EntityId::from(format!("writer{number}"));
            let stats = restored.entity_stats(&entity).await.unwrap();
            // Each insert adds five, each delete removes two.
            let generation = stats.generation.0;
            let wanted = (generation / 2) * 3 + (generation % 2) * 5;
            assert_eq!(stats.memory_count, wanted, "whole transactions");
        }
        restored.insert(&memories(1, 99)).await.unwrap();
        restored.close().await.unwrap();
        assert_intact(&copy).await;
    }
}

#[tokio::test]
async fn a_backup_is_one_private_file_without_deleted_content() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    let mut batch = memories(30, 1);
    batch[0].memory.content = "They hid the zqsecretxk under the mill.".to_owned();
    store.insert(&batch).await.unwrap();
    store.delete(&mira(), &[batch[0].memory.id]).await.unwrap();
    let copies = tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    backup(&store, &copy).await.unwrap();
    let files = contents(copies.path());
    assert_eq!(files.keys().collect::<Vec<_>>(), [&copy]);
    let found = files[&copy].windows(10).any(|bytes| bytes == b"zqsecretxk");
    assert!(!found, "deleted content");
    #[cfg(unix)]
    assert_eq!(crate::file_modes::mode(&copy), 0o600);
}

#[tokio::test]
async fn every_kind_of_store_can_be_backed_up() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 20).await;
    let reader = SqliteStore::open_with(SqliteOptions::new(&path).read_only())
        .await
        .unwrap();
    let in_memory = SqliteStore::open("sqlite::memory:").await.unwrap();
    in_memory.insert(&memories(20, 1)).await.unwrap();
    for (name, store) in [("reader.db", reader), ("memory.db", in_memory)] {
        let copy = folder.path().join(name);
        backup(&store, &copy).await.unwrap();
        let stats = open(&copy).await.entity_stats(&mira()).await.unwrap();
        assert_eq!(stats.memory_count, 20, "{name}");
        store.close().await.unwrap();
        let again = folder.path().join("again.db");
        assert_eq!(backup(&store, &again).await, Err(ErrorKind::Closed));
        assert!(!again.exists());
    }
}

/// The names and contents of files, without the shared memory, which changes
/// with every reader.
fn stable_contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = contents(folder);
    files.retain(|path, _| !path.to_string_lossy().ends_with("-shm"));
    files
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_of_a_database_are_never_overwritten() {
    use std::os::unix::fs::symlink;

    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = open(&path).await;
    store.insert(&memories(20, 1)).await.unwrap();
    // Reading files of an open database here would release SQLite's locks, so
    // its content is compared through the store.
    let linked = folder.path().join("linked.db");
    symlink(&path, &linked).unwrap();
    let hard = folder.path().join("hard.db");
    fs::hard_link(&path, &hard).unwrap();
    let dangling = folder.path().join("dangling.db");
    symlink("agent.db-journal", &dangling).unwrap();
    let other_folder = folder.path().join("other");
    symlink(folder.path(), &other_folder).unwrap();
    let used = folder.path().join("used.db");
    let user = open(&used).await;
    user.insert(&memories(3, 1)).await.unwrap();
    for target in [
        path.clone(),
        folder.path().join("agent.db-wal"),
        folder.path().join("agent.db-shm"),
        folder.path().join("agent.db-journal"),
        linked,
        hard,
        dangling,
        other_folder.join("agent.db"),
        folder.path().join("./other/agent.db-journal"),
        used,
        folder.path().to_owned(),
    ] {
        for options in [BackupOptions::new(), BackupOptions::new().overwrite(true)] {
            let error = store.backup(&target, &options).await.unwrap_err();
            let shown = target.display();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{shown}: {error}");
        }
    }
    assert_eq!(store.entity_stats(&mira()).await.unwrap().memory_count, 20);
    assert_eq!(user.entity_stats(&mira()).await.unwrap().memory_count, 3);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(names.into_iter().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_string_lossy().ends_with(".tmp")
    }));
}

#[tokio::test]
async fn an_existing_file_is_replaced_only_when_asked() {
    let folder = tempdir().unwrap();
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    store.insert(&memories(20, 1)).await.unwrap();
    let target = folder.path().join("copy.db");
    fs::write(&target, "precious").unwrap();
    let before = stable_contents(folder.path());
    assert_eq!(backup(&store, &target).await, Err(ErrorKind::Configuration));
    let nowhere = folder.path().join("no/such/copy.db");
    assert_eq!(backup(&store, &nowhere).await, Err(ErrorKind::Missing));
    assert!(before == stable_contents(folder.path()), "changed");
    let options = BackupOptions::new().overwrite(true);
    store.backup(&target, &options).await.unwrap();
    store.backup(&target, &options).await.unwrap();
    let stats = open(&target).await.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 20);
}

/// A copy whose caller is canceled stops, and leaves no file.
#[tokio::test]
async fn a_cancelled_backup_leaves_nothing() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("agent.db")).await;
    store.insert(&memories(1_000, 1)).await.unwrap();
    let copy = folder.path().join("copy.db");
    let options = BackupOptions::new();
    let mut running = store.backup(&copy, &options);
    let pending = (&mut running).now_or_never().is_none();
    assert!(pending, "it has begun");
    drop(running);
    // Closing waits for the connection that copies.
    store.close().await.unwrap();
    let names = || {
        let names = fs::read_dir(folder.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    let is_temporary = |name: &OsString| name.to_string_lossy().contains(".tmp");
    wait_until("the incomplete copy is removed", async || {
        !names().iter().any(is_temporary)
    })
    .await;
    assert_eq!(names(), ["agent.db"]);
}
