//! Two processes on one SQLite file, with the default configuration: each sees
//! what the other wrote at once, and cached reads stay free of statements.
//!
//! A test that needs another process runs itself again as that process.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use memory::sqlite::SqliteStore;
use memory::store::Store;
use memory::{
    AccessCounting, ErrorKind, MemoryConfig, MemoryId, MemoryKind, MemoryPatch, MemoryResult,
    MemorySystem,
};
use memory_testkit::{HashEmbedder, HookedStore, StoreCall, StoreHooks, StoreOperation};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

/// Makes a process of this test the other one: path, operation and id.
const OTHER: &str = "MEMORY_SHARED_FILE_TEST";

/// A configuration that says nothing about consistency.
fn config() -> MemoryConfig {
    MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::high_traffic()
    }
}

async fn open(path: &Path) -> MemorySystem {
    MemorySystem::builder()
        .url(format!("sqlite://{}", path.display()))
        .embedder(HashEmbedder::new())
        .config(config())
        .build()
        .await
        .unwrap()
}

/// Runs one operation on the file in another process and waits for its end.
fn in_another_process(path: &Path, operation: &str, id: MemoryId) {
    let status = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "shared_file::writes_of_another_process_are_seen_at_once",
        ])
        .env(OTHER, format!("{}|{operation}|{id}", path.display()))
        .status();
    assert!(status.unwrap().success(), "{operation}");
}

/// The other process.
async fn write(arguments: &str) {
    let mut arguments = arguments.split('|');
    let memory = open(Path::new(arguments.next().unwrap())).await;
    let operation = arguments.next().unwrap();
    let id: MemoryId = arguments.next().unwrap().parse().unwrap();
    match operation {
        "alter" => {
            let patch = MemoryPatch::new().content("The bridge is closed.");
            memory.alter_memory("mira", id, &patch).await.unwrap();
        }
        "retain" => {
            let kind = MemoryKind::World;
            let content = "The ferry runs again.";
            memory.retain("mira", kind, content).await.unwrap();
        }
        "delete" => {
            memory.delete_memory("mira", id).await.unwrap();
        }
        "forget" => {
            memory.forget("mira", id).await.unwrap();
        }
        other => panic!("{other}"),
    }
    memory.close().await.unwrap();
}

async fn recalled(memory: &MemorySystem) -> Vec<String> {
    let hits = memory.recall("mira", "bridge ferry mill").await.unwrap();
    let mut contents: Vec<_> = hits
        .into_iter()
        .map(|hit| hit.memory.content.clone())
        .collect();
    contents.sort();
    contents
}

#[tokio::test]
async fn writes_of_another_process_are_seen_at_once() {
    if let Ok(arguments) = env::var(OTHER) {
        return write(&arguments).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let memory = open(&path).await;
    let kind = MemoryKind::World;
    let bridge = memory
        .retain("mira", kind, "The bridge is open.")
        .await
        .unwrap();
    let mill = memory
        .retain("mira", kind, "The mill is old.")
        .await
        .unwrap();
    let warm = async || {
        for _ in 0..3 {
            recalled(&memory).await;
            for id in [bridge, mill] {
                let _ = memory.get_memory("mira", id).await;
            }
        }
    };
    warm().await;

    in_another_process(&path, "alter", bridge);
    let altered = memory.get_memory("mira", bridge).await.unwrap();
    assert_eq!(altered.content, "The bridge is closed.");
    assert_eq!(
        recalled(&memory).await,
        ["The bridge is closed.", "The mill is old."]
    );
    warm().await;

    in_another_process(&path, "retain", bridge);
    assert_eq!(recalled(&memory).await.len(), 3);
    warm().await;

    in_another_process(&path, "delete", mill);
    let error = memory.get_memory("mira", mill).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        recalled(&memory).await,
        ["The bridge is closed.", "The ferry runs again."]
    );
    warm().await;

    in_another_process(&path, "forget", bridge);
    assert!(memory.get_memory("mira", bridge).await.is_err());
    assert_eq!(recalled(&memory).await, ["The ferry runs again."]);
}

/// Counts the operations of a store.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

#[async_trait]
impl StoreHooks for Count {
    async fn before(&self, call: StoreCall<'_>) -> MemoryResult<()> {
        if call.operation != StoreOperation::Watch {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn cached_reads_of_a_shared_file_run_no_statement() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("agent.db").display());
    let other = SqliteStore::open(&url).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&url).await.unwrap());
    let count = Arc::new(Count::default());
    let hooked = HookedStore::new(store, Arc::clone(&count) as Arc<dyn StoreHooks>);
    let memory = MemorySystem::builder()
        .store(hooked)
        .embedder(HashEmbedder::new())
        .config(config())
        .build()
        .await
        .unwrap();
    let kind = MemoryKind::World;
    let id = memory
        .retain("mira", kind, "The bridge is open.")
        .await
        .unwrap();
    let read = async || {
        memory.get_memory("mira", id).await.unwrap();
        memory.recall("mira", "bridge").await.unwrap();
        count.0.swap(0, Ordering::SeqCst)
    };
    read().await;
    for _ in 0..5 {
        assert_eq!(read().await, 0, "operations of a warm read");
    }
    // Own writes to other entities cost no read anything.
    for n in 0..5 {
        let content = format!("Ship number {n} is in.");
        memory.retain("joss", kind, content).await.unwrap();
        count.0.swap(0, Ordering::SeqCst);
        assert_eq!(read().await, 0, "operations after an own write");
    }
    // A write of another process costs each read one check.
    let mut rng = memory_testkit::SeededRng::new(1);
    let tam = memory_testkit::fixtures::plain(&"tam".into(), "elsewhere", &mut rng);
    other.insert(&[tam]).await.unwrap();
    assert_eq!(read().await, 2, "operations after a commit");
    assert_eq!(read().await, 0, "operations of a warm read");
    // Also where an own write follows it before any read.
    let tam = memory_testkit::fixtures::plain(&"tam".into(), "again", &mut rng);
    other.insert(&[tam]).await.unwrap();
    memory.retain("joss", kind, "The last ship.").await.unwrap();
    count.0.swap(0, Ordering::SeqCst);
    assert_eq!(read().await, 2, "operations after a commit of each");
    assert_eq!(read().await, 0, "operations of a warm read");
}

/// Reading counts accesses, and closing writes the counts. While another process
/// holds the lock, neither waits for the store's busy timeout of ten minutes.
#[tokio::test]
async fn reading_and_closing_do_not_wait_for_a_locked_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let memory = open(&path).await;
    let kind = MemoryKind::World;
    for entity in ["mira", "tam", "joss"] {
        memory
            .retain(entity, kind, "The bridge is open.")
            .await
            .unwrap();
    }
    memory.close().await.unwrap();

    let options =
        memory::sqlite::SqliteOptions::new(&path).busy_timeout(std::time::Duration::from_secs(600));
    let memory = MemorySystem::builder()
        .store(SqliteStore::open_with(options).await.unwrap())
        .embedder(HashEmbedder::new())
        .build()
        .await
        .unwrap();
    let mut lock = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut lock)
        .await
        .unwrap();
    let reading = async {
        for entity in ["mira", "tam", "joss"] {
            assert_eq!(memory.recall(entity, "bridge").await.unwrap().len(), 1);
        }
        memory.close().await.unwrap();
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, reading).await.unwrap();
}
