//! The cache passes the conformance suite, and a memory system runs on it.

use memory::{MemoryKind, MemorySystem};
use memory_testkit::{HashEmbedder, InMemoryStore, cache};
use outside_cache_backend::FifoBackend;

#[test]
fn it_conforms() {
    cache::conformance(&FifoBackend).assert();
}

#[test]
fn it_agrees_with_the_model() {
    cache::model_check(&FifoBackend, 100, 200).assert();
}

#[tokio::test]
async fn a_memory_system_runs_on_it() -> memory::MemoryResult<()> {
    let memory = MemorySystem::builder()
        .store(InMemoryStore::new())
        .embedder(HashEmbedder::default())
        .cache_backend(FifoBackend)
        .build()
        .await?;
    let id = memory.retain("ana", MemoryKind::World, "Ana plays chess.").await?;
    memory.get_memory("ana", id).await?;
    memory.get_memory("ana", id).await?;
    assert!(memory.cache_stats().memory.hits > 0);
    Ok(())
}
