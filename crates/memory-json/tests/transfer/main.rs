//! Imports and exports with a memory system whose store is in memory.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod export;
mod import;

use std::num::NonZeroUsize;
use std::sync::Arc;

use memory::store::Store;
use memory::{LimitPolicy, MemoryConfig, MemoryId, MemorySystem};
use memory_json::{DEFAULT_BATCH, ImportItem, Importer, ItemOutcome, Location, Refusal};
use memory_testkit::{HashEmbedder, HookedStore, InMemoryStore, StoreHooks};

/// A system whose store has these hooks.
async fn system(hooks: Arc<dyn StoreHooks>) -> MemorySystem {
    let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
    let system = MemorySystem::builder()
        .store(store)
        .embedder(HashEmbedder::new());
    system.build().await.expect("it needs nothing")
}

/// A system whose entities have at most `max` memories.
async fn limited_system(max: u64, limit_policy: LimitPolicy) -> MemorySystem {
    limited_system_on(InMemoryStore::new(), max, limit_policy).await
}

async fn limited_system_on(
    store: impl Store + 'static,
    max: u64,
    limit_policy: LimitPolicy,
) -> MemorySystem {
    let config = MemoryConfig {
        max_memories_per_entity: Some(max),
        limit_policy,
        prune_min_keep: 1,
        ..MemoryConfig::default()
    };
    let system = MemorySystem::builder()
        .store(store)
        .config(config)
        .embedder(HashEmbedder::new());
    system.build().await.expect("it needs nothing")
}

/// What became of the lines of an import.
#[derive(Debug, Default)]
struct Imported {
    imported: usize,
    already_there: usize,
    refused: Vec<Refusal>,
    orphans: usize,
    own_links: usize,
}

/// Imports lines of the entity "mira" in one go.
async fn import(system: &MemorySystem, lines: &[String]) -> Imported {
    import_in_batches(system, lines, DEFAULT_BATCH).await
}

async fn import_in_batches(
    system: &MemorySystem,
    lines: &[String],
    batch: NonZeroUsize,
) -> Imported {
    let mira = "mira".into();
    let mut importer = Importer::new(batch);
    for (line, number) in lines.iter().zip(1..) {
        let item = ImportItem::from_line(line, Some(&mira), |_| MemoryId::new()).expect(line);
        let added = importer.add(system, Location::Line(number), item).await;
        added.expect(line);
    }
    importer.finish(system).await.expect("it is stored");
    let mut result = Imported {
        orphans: importer.orphans(),
        own_links: importer.own_links(),
        ..Imported::default()
    };
    for outcome in importer.take_outcomes() {
        match outcome {
            ItemOutcome::Imported => result.imported += 1,
            ItemOutcome::AlreadyThere => result.already_there += 1,
            ItemOutcome::Refused(refusal) => result.refused.push(refusal),
        }
    }
    result
}
