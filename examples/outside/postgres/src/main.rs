//! Opens PostgreSQL with every option of the store.
//!
//! `DATABASE_URL=postgres://user@host/database cargo run -p outside-postgres`

use std::time::Duration;

use memory::postgres::{AnnIndex, Migrations, PgOptions, Pooler, Precision};
use memory::{Consistency, MemoryConfig, MemoryKind, MemoryResult, MemorySystem};

#[tokio::main]
async fn main() -> MemoryResult<()> {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names the database");

    let store = PgOptions::new()
        // Connections and how long to wait for them and for the server.
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .statement_timeout(Duration::from_secs(30))
        .lock_timeout(Duration::from_secs(10))
        // Vectors in 16 bits: half the space, no measurable loss.
        .precision(Precision::Half)
        // Create or update the tables. An application without that right uses
        // `Check`, and an administrator applies migrations/postgres/ with psql.
        .migrations(Migrations::Apply)
        // A direct connection; `Transaction` behind PgBouncer in that mode.
        .pooler(Pooler::None)
        .row_level_security(false)
        // Tell other processes about writes: needed by `Bounded` below.
        .notify_changes(true)
        // Approximate indexes for the largest entities, as `maintain_indexes` chooses them.
        .ann_index(AnnIndex::Auto)
        .ann_target_recall(0.95)
        .ann_min_vectors(50_000)
        .ann_max_indexes(8)
        .connect(&url)
        .await?;

    let memory = MemorySystem::builder()
        .store(store)
        .config(MemoryConfig {
            consistency: Some(Consistency::Bounded(Duration::from_secs(2))),
            ..MemoryConfig::high_traffic()
        })
        .build()
        .await?;

    memory.retain("ana", MemoryKind::World, "Ana lives in Porto.").await?;
    let hits = memory.recall("ana", "Where does Ana live?").await?;
    println!("{}", hits[0].memory.content);
    assert_eq!(hits[0].memory.content, "Ana lives in Porto.");
    memory.close().await
}
