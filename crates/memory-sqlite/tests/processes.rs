//! Several processes on one file, and one that may not write to it.
//!
//! A test that needs another process runs itself again as that process.

#![allow(clippy::unwrap_used)]

mod common;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{memories, mira, open};
use memory_core::{Generation, Store};
use tempfile::tempdir;

/// Tells a process of a test that it is the other one, and where.
const OTHER: &str = "MEMORY_SQLITE_OTHER_PROCESS";

fn other() -> Option<PathBuf> {
    env::var_os(OTHER).map(PathBuf::from)
}

/// This program again, to run one test as the other process.
fn again(program: &Path, test: &str, path: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test]).env(OTHER, path);
    command
}

const BATCHES: u64 = 30;

async fn write_batches(path: &Path, seed: u64) {
    let store = open(path).await;
    let mut last = Generation::ZERO;
    for round in 0..BATCHES {
        let batch = memories(5, seed + round);
        let outcome = store.insert(&batch).await.unwrap();
        let generation = outcome.generations[&mira()];
        assert!(generation > last, "{generation} after {last}");
        last = generation;
        let stats = store.entity_stats(&mira()).await.unwrap();
        assert!(stats.generation >= generation);
        assert_eq!(stats.memory_count, stats.generation.0 * 5, "whole batches");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_processes_write_to_one_file() {
    if let Some(path) = other() {
        return write_batches(&path, 1_000).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let program = env::current_exe().unwrap();
    let mut child = again(
        &program,
        "two_processes_write_to_one_file",
        path.as_os_str(),
    )
    .spawn()
    .unwrap();
    write_batches(&path, 2_000).await;
    assert!(child.wait().unwrap().success());
    let stats = open(&path).await.entity_stats(&mira()).await.unwrap();
    assert_eq!(stats.generation, Generation(2 * BATCHES));
    assert_eq!(stats.memory_count, 2 * BATCHES * 5);
}

/// Permission bits mean nothing to root, so there the test runs as nobody.
#[cfg(unix)]
mod permissions {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;

    use memory_core::ErrorKind;
    use memory_sqlite::{SqliteOptions, SqliteStore};

    use super::*;
    use crate::common::{contents, filled, ids, try_open};

    const NOBODY: u32 = 65_534;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_may_not_be_written() {
        if let Some(folder) = other() {
            return check(&folder).await;
        }
        let folder = tempdir().unwrap();
        if fs::metadata(folder.path()).unwrap().uid() != 0 {
            return check(folder.path()).await;
        }
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        // Where this program lies, nobody may not look.
        let program = folder.path().join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        allow(folder.path(), 0o755);
        let test = "permissions::a_file_that_may_not_be_written";
        let status = again(&program, test, home.as_os_str())
            .uid(NOBODY)
            .gid(NOBODY)
            .status();
        assert!(status.unwrap().success());
    }

    async fn check(folder: &Path) {
        let path = folder.join("agent.db");
        let batch = filled(&path, 10).await;
        allow(&path, 0o444);
        let before = contents(folder);

        let store = open(&path).await;
        let got = store.get(&mira(), &ids(&batch)).await.unwrap();
        assert_eq!(got.memories.iter().flatten().count(), 10);
        let error = store.insert(&memories(1, 9)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        store.close().await.unwrap();
        drop(store);
        assert!(before[&path] == fs::read(&path).unwrap());
        for left in ["agent.db-wal", "agent.db-shm"] {
            let _ = fs::remove_file(folder.join(left));
        }

        allow(folder, 0o555);
        let error = try_open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        let error = try_open(&folder.join("new.db")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        let options = SqliteOptions::new(&path).read_only();
        let store = SqliteStore::open_with(options).await.unwrap();
        let got = store.get(&mira(), &ids(&batch)).await.unwrap();
        assert_eq!(got.memories.iter().flatten().count(), 10);
        store.close().await.unwrap();
        assert!(before == contents(folder), "something changed");
        allow(folder, 0o755);
    }
}
