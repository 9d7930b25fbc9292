//! Pushed down to the store or scanned in a snapshot, a recall ranks alike.

#![cfg(any(feature = "sqlite", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests, and figures of the large ones"
)]

mod episodes;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod given_language;
mod languages;
mod names;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod stores;
mod zipf;

use std::sync::Arc;

use std::time::Duration;

use memory::store::Store;
use memory::{ByteSize, MemoryConfig, MemorySystem, RecallPath};
use memory_testkit::HashEmbedder;

/// Recalls until a snapshot answers: one of a large entity is loaded in the background.
async fn load_snapshot(system: &MemorySystem, entity: &str) {
    loop {
        let hits = system.recall(entity, "warm up").await.unwrap();
        if hits[0].explanation.path == RecallPath::Snapshot {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn system(store: &Arc<dyn Store>, entity_cache_max_bytes: ByteSize) -> MemorySystem {
    let config = MemoryConfig {
        entity_cache_max_bytes,
        ..MemoryConfig::default()
    };
    MemorySystem::builder()
        .store(Arc::clone(store))
        .embedder(Arc::new(HashEmbedder::new()))
        .config(config)
        .build()
        .await
        .unwrap()
}

#[cfg(feature = "sqlite")]
async fn sqlite() -> Arc<dyn Store> {
    let store = memory::sqlite::SqliteStore::open("sqlite::memory:").await;
    Arc::new(store.unwrap())
}

#[cfg(feature = "postgres")]
async fn postgres() -> Arc<dyn Store> {
    let store = memory::postgres::PgStore::connect(&postgres_url()).await;
    Arc::new(store.unwrap())
}

#[cfg(feature = "postgres")]
fn postgres_url() -> String {
    std::env::var("MEMORY_TEST_PG")
        .or_else(|_| std::env::var("DATABASE_URL"))
        .expect("this test needs a PostgreSQL server with pgvector: run `cargo xtask test`")
}
