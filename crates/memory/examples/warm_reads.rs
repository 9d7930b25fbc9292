//! The cost of warm reads on a SQLite file, by consistency: `Local` checks nothing,
//! `Checked` (the default for a file) reads the store's change marker.
//!
//! `cargo run --release -p memory --example warm_reads`
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::time::Instant;

use memory::{
    AccessCounting, Consistency, ListRequest, MemoryBatchItem, MemoryConfig, MemoryKind,
    MemoryResult, MemorySystem,
};
use memory_testkit::HashEmbedder;

const MEMORIES: usize = 1_000;
const GETS: u32 = 1_000_000;
const RECALLS: u32 = 5_000;
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> MemoryResult<()> {
    let path = std::env::temp_dir().join(format!("warm-reads-{}.db", std::process::id()));
    println!("consistency  get_memory      recall at {MEMORIES}");
    for round in 0..ROUNDS {
        for consistency in [Some(Consistency::Local), None] {
            let memory = MemorySystem::builder()
                .url(format!("sqlite://{}", path.display()))
                .embedder(HashEmbedder::new())
                .config(MemoryConfig {
                    consistency,
                    access_counting: AccessCounting::Off,
                    ..MemoryConfig::default()
                })
                .build()
                .await?;
            if round == 0 && consistency.is_some() {
                let item = |n| {
                    let content =
                        format!("Day {n}: the horse crossed bridge {} by the mill.", n % 17);
                    MemoryBatchItem::new("mira", MemoryKind::Experience, content)
                };
                memory.retain_batch((0..MEMORIES).map(item)).await?;
            }
            let id = memory
                .list_memories("mira", ListRequest::new(1))
                .await?
                .memories[0]
                .id;
            memory.get_memory("mira", id).await?;
            let started = Instant::now();
            for _ in 0..GETS {
                memory.get_memory("mira", id).await?;
            }
            let get = started.elapsed() / GETS;
            for _ in 0..3 {
                memory.recall("mira", "the horse by the mill").await?;
            }
            let started = Instant::now();
            for _ in 0..RECALLS {
                memory.recall("mira", "the horse by the mill").await?;
            }
            let recall = started.elapsed() / RECALLS;
            let name = consistency.map_or("Checked", |_| "Local");
            println!("{name:<12} {get:<15?} {recall:?}");
            memory.close().await?;
        }
    }
    std::fs::remove_file(&path).ok();
    Ok(())
}
