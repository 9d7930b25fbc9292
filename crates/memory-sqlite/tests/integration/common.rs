//! Fixtures: databases, memories and requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use memory_core::{EmbeddedMemory, EntityId, MemoryError, SearchRequest, Store};
use memory_core::{MemoryFilter, MemoryId};
use memory_sqlite::{SqliteOptions, SqliteStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

pub(crate) fn mira() -> EntityId {
    EntityId::from("mira")
}

/// A plain memory of Mira's.
pub(crate) fn memory(content: impl Into<String>, rng: &mut SeededRng) -> EmbeddedMemory {
    fixtures::plain(&mira(), content, rng)
}

/// `count` memories of Mira's that vary in every field.
pub(crate) fn memories(count: usize, seed: u64) -> Vec<EmbeddedMemory> {
    fixtures::varied_memories(&mira(), count, &mut SeededRng::new(seed))
}

pub(crate) fn ids(batch: &[EmbeddedMemory]) -> Vec<MemoryId> {
    batch.iter().map(|one| one.memory.id).collect()
}

/// A search by words, without a filter.
pub(crate) fn lexical(text: &str) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 1_000,
        dense: None,
        lexical: Some(text.to_owned()),
    }
}

pub(crate) async fn open(path: &Path) -> SqliteStore {
    try_open(path).await.unwrap()
}

pub(crate) async fn try_open(path: &Path) -> Result<SqliteStore, MemoryError> {
    SqliteStore::open_with(SqliteOptions::new(path)).await
}

/// Creates a database with some memories and closes it.
pub(crate) async fn create_filled(path: &Path, count: usize) -> Vec<EmbeddedMemory> {
    let store = open(path).await;
    let batch = memories(count, 1);
    store.insert(&batch).await.unwrap();
    store.close().await.unwrap();
    batch
}

/// A connection that does not belong to a store.
pub(crate) async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

/// Runs SQL on a file, as another program would.
pub(crate) async fn run_sql(path: &Path, sql: impl SqlSafeStr) {
    let mut conn = connect(path).await;
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// The name and the bytes of every file in a folder.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}
