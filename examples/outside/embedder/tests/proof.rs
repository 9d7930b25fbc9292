//! The embedder passes the conformance suite, and a memory system runs on it.

use memory::{MemoryKind, MemorySystem};
use memory_testkit::embedder;
use outside_embedder::TrigramEmbedder;

#[tokio::test]
async fn it_conforms() {
    embedder::conformance(&TrigramEmbedder::default()).await.assert();
}

#[tokio::test]
async fn a_memory_system_runs_on_it() -> memory::MemoryResult<()> {
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(TrigramEmbedder::default())
        .build()
        .await?;
    memory.retain("ana", MemoryKind::World, "Ana plays chess.").await?;
    memory.retain("ana", MemoryKind::World, "Bread is expensive.").await?;
    let hits = memory.recall("ana", "playing chess").await?;
    assert_eq!(hits[0].memory.content, "Ana plays chess.");
    Ok(())
}
