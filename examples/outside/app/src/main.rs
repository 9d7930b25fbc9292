//! A small assistant: remembers what two users say, answers from it, forgets.
//!
//! `cargo run -p outside-app [DATABASE FILE]`; without an argument the database
//! is in memory.

use memory::{
    ErrorKind, ListRequest, MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind, MemoryResult,
    MemorySystem, MemoryTagMode, RecallRequest,
};

#[tokio::main]
async fn main() -> MemoryResult<()> {
    let url = std::env::args()
        .nth(1)
        .map_or_else(|| "sqlite::memory:".to_owned(), |file| format!("sqlite://{file}"));
    let memory = MemorySystem::open(&url).await?;

    let diet = remember(&memory).await?;
    answer(&memory).await?;
    correct_and_forget(&memory, diet).await?;

    let stats = memory.cache_stats();
    println!("embedding tier: {} hits, {} misses", stats.embedding.hits, stats.embedding.misses);
    memory.close().await
}

/// Retains one memory with an id of its own, and a batch.
async fn remember(memory: &MemorySystem) -> MemoryResult<MemoryId> {
    let diet = MemoryBatchItem::new("ana", MemoryKind::World, "Ana does not eat shellfish.")
        .with_id(MemoryId::new())
        .with_tag("food")
        .with_importance(0.9);
    let ids = memory.retain_batch(vec![diet.clone()]).await?;
    // Repeating it with the same id adds nothing: safe after a timeout.
    assert_eq!(memory.retain_batch(vec![diet]).await?, ids);

    memory
        .retain_batch(vec![
            MemoryBatchItem::new("ana", MemoryKind::Experience, "Ana flew to Lisbon in May.")
                .with_tag("travel")
                .with_metadata("city", "Lisbon"),
            MemoryBatchItem::new("ana", MemoryKind::Opinion, "Ana finds trains more pleasant than planes.")
                .with_tag("travel"),
            MemoryBatchItem::new("ben", MemoryKind::World, "Ben is allergic to peanuts."),
        ])
        .await?;
    Ok(ids[0])
}

/// Recalls by meaning, with a filter, and shows that users are separate.
async fn answer(memory: &MemorySystem) -> MemoryResult<()> {
    let hits = memory.recall("ana", "What should we cook for Ana?").await?;
    for hit in &hits {
        println!("{:>5.2}  {}", hit.score, hit.memory.content);
    }
    assert!(hits.iter().all(|hit| hit.memory.entity_id == "ana".into()));

    let travel = RecallRequest::new("how does she like to travel?")
        .filter(MemoryFilter::new().tags(["travel"], MemoryTagMode::AnyStrict))
        .limit(5);
    assert_eq!(memory.recall("ana", travel).await?.len(), 2);
    Ok(())
}

/// Lists, alters, forgets; branches on the kind of an error.
async fn correct_and_forget(memory: &MemorySystem, id: MemoryId) -> MemoryResult<()> {
    let page = memory.list_memories("ana", ListRequest::new(10)).await?;
    println!("ana has {} memories", page.memories.len());

    memory.forget("ana", id).await?;
    match memory.get_memory("ana", id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => println!("forgotten: {error}"),
        other => panic!("the memory is still there: {other:?}"),
    }
    assert!(memory.recall("ana", "shellfish").await?.iter().all(|hit| hit.memory.id != id));
    Ok(())
}
