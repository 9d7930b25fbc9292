//! `memory get`: one memory with everything that is known of it.

use memory::{Memory, MemoryId};
use memory_json::{Line, time};

use crate::database::Database;
use crate::exit::Failure;
use crate::output::{Output, single_line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory
    #[arg(value_name = "ID")]
    id: MemoryId,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let system = database.open_for_read().await?;
    let memory = system.get_memory(args.entity, args.id).await?;
    print(&memory, output)
}

/// Prints a memory: one line per value, the content last.
pub(super) fn print(memory: &Memory, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.write_json(&Line::from(memory));
    }
    let mut row = |name: &str, value: &str| {
        output.write_line(format_args!("{name:<12}  {}", single_line(value)))
    };
    row("id", &memory.id.to_string())?;
    row("entity", memory.entity_id.as_str())?;
    row("kind", memory.kind.as_str())?;
    row("timestamp", &time::format_exact(memory.timestamp))?;
    row("importance", &memory.importance.to_string())?;
    row("decay rate", &memory.decay_rate.to_string())?;
    if let Some(context) = &memory.context {
        row("context", context)?;
    }
    for tag in &memory.tags {
        row("tag", tag)?;
    }
    for (key, value) in &memory.metadata {
        row("metadata", &format!("{key}={value}"))?;
    }
    for (name, role) in &memory.entities {
        row("participant", &format!("{name}={role}"))?;
    }
    for (id, relation) in &memory.related {
        row("related", &format!("{id} {relation}"))?;
    }
    row("accesses", &memory.access_count.to_string())?;
    if let Some(last) = memory.last_accessed {
        row("last access", &time::format_exact(last))?;
    }
    if let Some(summary) = memory.archived_by {
        row("archived by", &summary.to_string())?;
    }
    row("content", &memory.content)
}
