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

use memory::store::Store;
use memory::{ByteSize, MemoryConfig, MemorySystem};
use memory_testkit::HashEmbedder;

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
