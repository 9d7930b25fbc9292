//! `memory update`: changes parts of one memory.

use chrono::{DateTime, Utc};
use memory::{MemoryId, MemoryKind, MemoryPatch};
use memory_json::time;

use crate::commands::get;
use crate::database::Database;
use crate::exit::Failure;
use crate::filters::{into_unique_map, parse_pair};
use crate::input;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Id of the memory
    #[arg(value_name = "ID")]
    id: MemoryId,

    /// New text, 1 to 10,000 characters; - reads standard input
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,

    /// New kind: world, experience, opinion or observation
    #[arg(long, value_name = "KIND")]
    kind: Option<MemoryKind>,

    /// New time of the event, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    timestamp: Option<DateTime<Utc>>,

    /// New importance, 0 to 1
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    importance: Option<f32>,

    /// New episode
    #[arg(long, value_name = "TEXT", conflicts_with = "no_context")]
    context: Option<String>,

    /// Remove the episode
    #[arg(long)]
    no_context: bool,

    /// Tag, in place of all old tags (repeatable)
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "no_tags")]
    tags: Vec<String>,

    /// Remove all tags
    #[arg(long)]
    no_tags: bool,

    /// Metadata entry, in place of all old entries (repeatable)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = parse_pair, conflicts_with = "no_meta")]
    metadata: Vec<(String, String)>,

    /// Remove all metadata
    #[arg(long)]
    no_meta: bool,

    /// Participant and role, in place of all old participants (repeatable)
    #[arg(long = "entity", value_name = "NAME=ROLE", value_parser = parse_pair, conflicts_with = "no_entities")]
    entities: Vec<(String, String)>,

    /// Remove all participants
    #[arg(long)]
    no_entities: bool,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let (entity, id) = (args.entity.clone(), args.id);
    let patch = patch(args)?;
    patch.validate()?;
    let system = match patch.content {
        Some(_) => database.open().await?,
        // Nothing is embedded.
        None => database.open_without_embedder().await?,
    };
    let updated = system.alter_memory(entity, id, patch).await?;
    output.set_done(format_args!("memory {id} is changed"));
    get::print(&updated, output)
}

fn patch(args: Args) -> Result<MemoryPatch, Failure> {
    let mut patch = MemoryPatch::new();
    patch.content = args.content.map(input::content).transpose()?;
    patch.kind = args.kind;
    patch.timestamp = args.timestamp;
    patch.importance = args.importance;
    if args.no_context || args.context.is_some() {
        patch.context = Some(args.context);
    }
    if args.no_tags || !args.tags.is_empty() {
        patch.tags = Some(args.tags.into_iter().collect());
    }
    if args.no_meta || !args.metadata.is_empty() {
        patch.metadata = Some(into_unique_map("--meta", args.metadata)?);
    }
    if args.no_entities || !args.entities.is_empty() {
        let entities = args.entities.into_iter();
        let entities = entities.map(|(name, role)| (name.into(), role)).collect();
        patch.entities = Some(into_unique_map("--entity", entities)?);
    }
    Ok(patch)
}
