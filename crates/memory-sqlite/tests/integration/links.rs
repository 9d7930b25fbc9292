//! A database that is opened by a symbolic link: its other files are named after the file
//! that the link leads to.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use memory_core::{BackupOptions, ErrorKind, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use tempfile::{TempDir, tempdir};

use crate::common::{create_filled, memories, mira, open, try_open};

/// A database, and a link to it from another folder.
async fn linked() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_filled(&path, 10).await;
    let links = folder.path().join("links");
    std::fs::create_dir(&links).unwrap();
    symlink("../agent.db", links.join("second.db")).unwrap();
    symlink("second.db", links.join("first.db")).unwrap();
    let link = links.join("first.db");
    (folder, path, link)
}

/// Copies by another process: closing a file here would release SQLite's locks on it.
fn copy(from: &str, to: &str) {
    let status = Command::new("cp").args([from, to]).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_marker_is_that_of_the_file_and_not_of_what_is_beside_the_link() {
    let (_folder, path, link) = linked().await;
    let other = open(&path).await;
    other.insert(&memories(1, 2)).await.unwrap();
    // As a process leaves it that is killed before the file is moved and linked.
    let old = format!("{}-shm", link.display());
    copy(&format!("{}-shm", path.display()), &old);
    let store = open(&link).await;
    let handle = store.writer_handle().unwrap();
    let (marker, own) = (store.change_marker(), handle.change_marker());
    assert!(marker.is_some() && own.is_some());
    assert_eq!(marker, other.change_marker());
    other.insert(&memories(1, 3)).await.unwrap();
    assert_ne!(store.change_marker(), marker, "a commit of another store");
    assert_ne!(handle.change_marker(), own, "a commit of another store");
    store.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_never_replaces_a_file_of_the_database() {
    let (folder, path, link) = linked().await;
    let store = open(&link).await;
    store.insert(&memories(3, 2)).await.unwrap();
    let options = BackupOptions::new().overwrite(true);
    for name in [
        "agent.db",
        "agent.db-wal",
        "agent.db-shm",
        "agent.db-journal",
    ] {
        let target = folder.path().join(name);
        let error = store.backup(&target, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}: {error}");
    }
    let error = store.backup(&link, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    store.close().await.unwrap();
    let stats = open(&path).await.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 13);
}

#[tokio::test]
async fn reading_only_finds_what_is_in_the_log() {
    let (folder, path, link) = linked().await;
    let store = open(&path).await;
    store.insert(&memories(3, 2)).await.unwrap();
    // A copy of a database whose process was killed.
    let killed = folder.path().join("killed.db");
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", path.display());
        copy(&from, &format!("{}{suffix}", killed.display()));
    }
    store.close().await.unwrap();
    std::fs::remove_file(&link).unwrap();
    symlink(&killed, &link).unwrap();
    let options = SqliteOptions::new(&link).read_only();
    let store = SqliteStore::open_with(options).await.unwrap();
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.memory_count, 13);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_link_to_no_file_creates_the_file() {
    let folder = tempdir().unwrap();
    let (path, link) = (folder.path().join("new.db"), folder.path().join("link.db"));
    symlink(&path, &link).unwrap();
    let options = SqliteOptions::new(&link).create_if_missing(false);
    let error = SqliteStore::open_with(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let message = error.to_string();
    assert!(
        message.contains("new.db") && message.contains("link.db"),
        "{message}"
    );
    try_open(&link).await.unwrap().close().await.unwrap();
    assert!(path.is_file());
    let loops = folder.path().join("loop.db");
    symlink(&loops, &loops).unwrap();
    let error = try_open(&loops).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
}
