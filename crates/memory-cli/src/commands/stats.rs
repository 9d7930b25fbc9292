//! `memory stats`: counts of entities and memories, and the database size.

use std::collections::BTreeMap;
use std::path::PathBuf;

use memory::embed::Fingerprint;
use memory::{CacheStats, EntityId, MemoryResult, MemorySystem};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun, format_bytes};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Count only this entity
    #[arg(value_name = "ENTITY")]
    entity: Option<String>,

    /// Count the memories with vectors of each model too
    #[arg(long)]
    models: bool,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_read().await?;
    let names = match args.entity {
        Some(name) => vec![name.into()],
        None => all_entities(&system).await?,
    };
    let stats = gather(&system, names, args.models, database).await?;
    if output.is_json() {
        output.write_json(&stats)
    } else {
        print(&stats, output)
    }
}

/// Entity names per page.
const PAGE: usize = 100;

/// Lists all entities that have memories, sorted by name.
pub(super) async fn all_entities(system: &MemorySystem) -> MemoryResult<Vec<EntityId>> {
    let mut names: Vec<EntityId> = Vec::new();
    loop {
        let page = system.list_entities(names.last(), PAGE).await?;
        let is_last = page.len() < PAGE;
        names.extend(page);
        if is_last {
            return Ok(names);
        }
    }
}

#[derive(Serialize)]
struct Stats {
    database: Option<PathBuf>,
    database_bytes: Option<u64>,
    entities: usize,
    memories: u64,
    by_entity: Vec<EntityCounts>,
    caches: CacheStats,
}

#[derive(Serialize)]
struct EntityCounts {
    entity: EntityId,
    memories: u64,
    archived: u64,
    generation: u64,
    /// Memories with vectors of each model, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<BTreeMap<Fingerprint, u64>>,
}

impl EntityCounts {
    /// Whether the entity exists: one that was named need not.
    fn has_memories(&self) -> bool {
        self.memories > 0 || self.archived > 0
    }
}

async fn gather(
    system: &MemorySystem,
    names: Vec<EntityId>,
    with_models: bool,
    database: &Database,
) -> Result<Stats, Failure> {
    let mut by_entity = Vec::with_capacity(names.len());
    for entity in names {
        let stats = system.entity_stats(&entity).await?;
        let models = match with_models {
            true => Some(system.count_by_model(&entity).await?),
            false => None,
        };
        by_entity.push(EntityCounts {
            entity,
            models,
            memories: stats.memory_count,
            archived: stats.archived_count,
            generation: stats.generation.0,
        });
    }
    Ok(Stats {
        database: database.file(),
        database_bytes: database.size(),
        entities: by_entity.iter().filter(|it| it.has_memories()).count(),
        memories: by_entity.iter().map(|entity| entity.memories).sum(),
        by_entity,
        caches: system.cache_stats(),
    })
}

fn print(stats: &Stats, output: &mut Output) -> Result<(), Failure> {
    if let (Some(file), Some(size)) = (&stats.database, stats.database_bytes) {
        output.write_line(format_args!(
            "database  {} ({})",
            file.display(),
            format_bytes(size)
        ))?;
    }
    output.write_line(format_args!("entities  {}", stats.entities))?;
    output.write_line(format_args!("memories  {}", stats.memories))?;
    if stats.by_entity.is_empty() {
        return Ok(());
    }
    output.write_line(format_args!(
        "\n{:>10}  {:>10}  {:>10}  entity",
        "memories", "archived", "generation"
    ))?;
    for EntityCounts {
        entity,
        memories,
        archived,
        generation,
        models,
    } in &stats.by_entity
    {
        output.write_line(format_args!(
            "{memories:>10}  {archived:>10}  {generation:>10}  {entity}"
        ))?;
        for (model, count) in models.iter().flatten() {
            let memories = count_noun(*count, "memory", "memories");
            output.write_line(format_args!("{:>36}{memories} by {model}", ""))?;
        }
    }
    Ok(())
}
