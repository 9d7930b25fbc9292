//! Several processes on one file, and a process without write permission.
//!
//! A test that needs another process runs itself again as that process.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use memory_core::{Generation, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use tempfile::tempdir;

use crate::common::{memories, mira, open};

/// Makes a process of a test the other one, on the path in the variable.
const OTHER: &str = "MEMORY_SQLITE_OTHER_PROCESS";

fn other_process_path() -> Option<PathBuf> {
    env::var_os(OTHER).map(PathBuf::from)
}

/// This program, to run one test as the other process.
fn other_process(program: &Path, test: &str, path: &OsStr) -> Command {
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
    if let Some(path) = other_process_path() {
        return write_batches(&path, 1_000).await;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let program = env::current_exe().unwrap();
    let mut child = other_process(
        &program,
        "processes::two_processes_write_to_one_file",
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

/// Whether another process can write to the file at this moment.
pub(crate) fn try_to_write_in_another_process(path: &Path) -> bool {
    let test = "processes::write_once_in_another_process";
    let program = env::current_exe().unwrap();
    let mut other = other_process(&program, test, path.as_os_str());
    other.status().unwrap().success()
}

/// The other process of [`try_to_write_in_another_process`]; alone it does
/// nothing.
#[tokio::test]
async fn write_once_in_another_process() {
    let Some(path) = other_process_path() else {
        return;
    };
    let options = SqliteOptions::new(path).busy_timeout(std::time::Duration::from_millis(50));
    let store = SqliteStore::open_with(options).await.unwrap();
    store.insert(&memories(1, 77)).await.unwrap();
}

/// Permission bits do not restrict root, which runs the test as `nobody`.
#[cfg(unix)]
mod permissions {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;

    use memory_core::{BackupOptions, ErrorKind};

    use super::*;
    use crate::common::{contents, create_filled, ids, try_open};

    const NOBODY: u32 = 65_534;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_file_without_write_permission() {
        if let Some(folder) = other_process_path() {
            return check(&folder).await;
        }
        let folder = tempdir().unwrap();
        if fs::metadata(folder.path()).unwrap().uid() != 0 {
            return check(folder.path()).await;
        }
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        // The user `nobody` may not read the folder of this program.
        let program = folder.path().join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        allow(folder.path(), 0o755);
        let test = "processes::permissions::a_file_without_write_permission";
        let status = other_process(&program, test, home.as_os_str())
            .uid(NOBODY)
            .gid(NOBODY)
            .status();
        assert!(status.unwrap().success());
    }

    async fn check(folder: &Path) {
        let path = folder.join("agent.db");
        let batch = create_filled(&path, 10).await;
        allow(&path, 0o444);
        let before = contents(folder);

        let store = open(&path).await;
        assert!(store.is_read_only().await.unwrap(), "no permission");
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
        assert!(store.is_read_only().await.unwrap(), "opened so");
        let got = store.get(&mira(), &ids(&batch)).await.unwrap();
        assert_eq!(got.memories.iter().flatten().count(), 10);
        store.close().await.unwrap();
        assert!(before == contents(folder), "something changed");

        // Another program writes, which SQLite does not look for in such a file.
        let options = SqliteOptions::new(&path).read_only();
        let store = SqliteStore::open_with(options).await.unwrap();
        allow(folder, 0o755);
        allow(&path, 0o644);
        let other = open(&path).await;
        assert!(!other.is_read_only().await.unwrap());
        other.insert(&memories(5, 9)).await.unwrap();
        let error = store.get(&mira(), &ids(&batch)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other, "{error}");
        assert!(error.to_string().contains("open it again"), "{error}");
        let copy = folder.join("copy.db");
        let copied = store.backup(&copy, &BackupOptions::new()).await;
        assert!(copied.is_err() && !copy.exists());
        other.close().await.unwrap();
        assert!(
            store.entity_stats(&mira()).await.is_err(),
            "the log is gone"
        );
        let again = open(&path).await;
        assert_eq!(again.entity_stats(&mira()).await.unwrap().memory_count, 15);
    }
}
