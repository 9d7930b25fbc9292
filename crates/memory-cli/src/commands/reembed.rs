//! `memory reembed`: computes the vectors of an entity's memories again.

use memory::{EntityId, ErrorKind, ListRequest, MemoryPatch, MemorySystem};
use serde::Serialize;

use crate::commands::stats::all_entities;
use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, count_noun};

/// Memories listed at a time.
const PAGE: usize = 128;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// Entity whose memories to embed again
    #[arg(value_name = "ENTITY")]
    entity: Option<String>,

    /// All entities
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open().await?;
    let entities = match args.entity {
        Some(entity) => vec![entity.into()],
        None => all_entities(&system).await?,
    };
    let mut reembedded = 0;
    for entity in &entities {
        reembedded += reembed(&system, entity).await?;
    }
    let entities = entities.len();
    if output.is_json() {
        return output.write_json(&Reembedded {
            entities,
            reembedded,
        });
    }
    let memories = count_noun(reembedded, "memory", "memories");
    let entities = count_noun(entities as u64, "entity", "entities");
    output.write_line(format_args!("embedded {memories} of {entities} again"))
}

#[derive(Serialize)]
struct Reembedded {
    entities: usize,
    reembedded: u64,
}

/// Embeds the live memories of an entity again; returns their number.
async fn reembed(system: &MemorySystem, entity: &EntityId) -> Result<u64, Failure> {
    let mut reembedded = 0;
    let mut request = ListRequest::new(PAGE);
    loop {
        let page = system.list_memories(entity, &request).await?;
        for listed in &page.memories {
            // The content as it is now: an alteration since the page was read
            // must not be undone.
            let current = system.get_memory(entity, listed.id).await;
            let patch = match current {
                Ok(memory) => MemoryPatch::new().content(memory.content.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            match system.alter_memory(entity, listed.id, &patch).await {
                Ok(_) => reembedded += 1,
                // Removed or archived meanwhile.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Archived) => {
                }
                Err(error) => return Err(error.into()),
            }
        }
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(reembedded),
        }
    }
}
