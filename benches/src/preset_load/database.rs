//! The database that the load runs on.

use std::error::Error;
use std::path::Path;

use memory::{MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemoryResult, MemorySystem};

use super::cases::MEMORIES_PER_ENTITY;
use crate::corpus::Corpus;

/// Distinct texts. Entities share them, so that filling the database does not take
/// hours of inference; the memories of one entity all differ.
const TEXTS: usize = 2_000;

/// Entities whose memories are retained in one call.
const ENTITIES_PER_BATCH: usize = 25;

/// Fills a new database at `file` with this many entities.
///
/// # Errors
/// Errors of the memory system; its model must be installed.
pub async fn fill(file: &Path, entities: usize) -> Result<(), Box<dyn Error>> {
    let config = MemoryConfig {
        embedding_cache_capacity: 10 * TEXTS as u64,
        ..MemoryConfig::default()
    };
    let memory = MemorySystem::builder()
        .url(url(file))
        .config(config)
        .build()
        .await?;
    let texts: Vec<String> = Corpus::new()
        .memories(TEXTS)
        .into_iter()
        .map(|item| item.content)
        .collect();
    let all: Vec<usize> = (0..entities).collect();
    for batch in all.chunks(ENTITIES_PER_BATCH) {
        let items = batch
            .iter()
            .flat_map(|entity| (0..MEMORIES_PER_ENTITY).map(move |number| (*entity, number)))
            .map(|(entity, number)| {
                // A step without a common divisor with TEXTS: neighbors differ.
                let text = &texts[(entity * 7 + number * 97) % TEXTS];
                Ok(
                    MemoryBatchItem::new(entity_name(entity), MemoryKind::Experience, text)
                        .with_id(memory_id(entity, number)?)
                        .with_context(format!("episode-{}", number / 10)),
                )
            })
            .collect::<MemoryResult<Vec<_>>>()?;
        memory.retain_batch(items).await?;
    }
    memory.close().await?;
    Ok(())
}

/// The URL of a SQLite file.
pub(super) fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// The name of an entity.
pub(super) fn entity_name(number: usize) -> String {
    format!("entity-{number}")
}

/// The ID of a filled memory: a UUID of version 7 whose time is its number.
pub(super) fn memory_id(entity: usize, number: usize) -> MemoryResult<MemoryId> {
    let sequence = entity * MEMORIES_PER_ENTITY + number;
    // 2024-01-01, in milliseconds.
    let time = 1_704_067_200_000 + sequence;
    let (high, low) = (time >> 16, time & 0xffff);
    format!("{high:08x}-{low:04x}-7000-8000-{sequence:012x}").parse()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_valid() {
        let ids: BTreeSet<MemoryId> = (0..10)
            .flat_map(|entity| (0..MEMORIES_PER_ENTITY).map(move |number| (entity, number)))
            .map(|(entity, number)| memory_id(entity, number).unwrap())
            .collect();
        assert_eq!(ids.len(), 10 * MEMORIES_PER_ENTITY);
    }
}
