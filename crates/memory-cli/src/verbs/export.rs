//! `memory export`: memories as JSONL, in the form that import reads.

use std::io::Write;
use std::path::PathBuf;

use memory::{EntityId, ListRequest, ListScope, Memory, MemorySystem};
use serde::Serialize;

use crate::database::Database;
use crate::exit::Failure;
use crate::jsonl::Line;
use crate::output::Output;
use crate::verbs::stats::all_entities;

mod levels;
mod replace;

use levels::Levels;
use replace::Replacement;

/// Memories read at a time: few enough to hold, be they as large as they may,
/// and enough to be quick.
const PAGE: usize = 128;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This entity's memories (may be given again) [default: every entity's]
    #[arg(long = "entity", value_name = "NAME")]
    entities: Vec<String>,

    /// The file to write, which is replaced when all is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_to_look().await?;
    let entities = match args.entities.as_slice() {
        [] => all_entities(&system).await?,
        names => names.iter().map(EntityId::from).collect(),
    };
    match &args.output {
        None => {
            write(&system, &entities, output.stream(), |error| {
                Failure::output(&error)
            })
            .await?;
        }
        Some(path) => {
            let failed = |error| Failure::io(format_args!("write {}", path.display()), &error);
            let mut file = Replacement::create(path).map_err(failed)?;
            let memories = write(&system, &entities, &mut file, failed).await?;
            file.finish().map_err(failed)?;
            tell(memories, path.clone(), output)?;
        }
    }
    system.close().await?;
    Ok(())
}

/// Writes entity by entity in the order given; gives how many memories there
/// were.
async fn write(
    system: &MemorySystem,
    entities: &[EntityId],
    to: &mut impl Write,
    failed: impl Fn(std::io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut memories = 0;
    for entity in entities {
        let levels = Levels::of(system, entity).await?;
        // Sources before the summary that stands for them: so an import knows
        // a summary when it comes, and has what it stands for.
        for level in 0..levels.count() {
            let on_level = |memory: &Memory| levels.of_memory(&memory.id) == level;
            let archived = ListScope::Archived;
            memories += write_scope(system, entity, archived, on_level, to, &failed).await?;
        }
        memories += write_scope(system, entity, ListScope::Live, |_| true, to, &failed).await?;
    }
    Ok(memories)
}

/// Writes what a scope holds and `admits` lets through, newest first.
async fn write_scope(
    system: &MemorySystem,
    entity: &EntityId,
    scope: ListScope,
    admits: impl Fn(&Memory) -> bool,
    to: &mut impl Write,
    failed: &impl Fn(std::io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut memories = 0;
    let mut request = ListRequest::new(PAGE).scope(scope);
    loop {
        let page = system.list_memories(entity, &request).await?;
        for memory in page.memories.iter().filter(|memory| admits(memory)) {
            serde_json::to_writer(&mut *to, &Line::from(memory))
                .map_err(std::io::Error::from)
                .and_then(|()| to.write_all(b"\n"))
                .map_err(failed)?;
            memories += 1;
        }
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(memories),
        }
    }
}

#[derive(Serialize)]
struct Exported {
    exported: u64,
    file: PathBuf,
}

fn tell(exported: u64, file: PathBuf, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.document(&Exported { exported, file })
    } else {
        output.line(format_args!("exported {exported} to {}", file.display()))
    }
}
