//! `memory retain`: stores one memory.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use memory::{MemoryBatchItem, MemoryId, MemoryKind, limits};
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::filters::{into_unique_map, parse_pair};
use crate::jsonl::MAX_LINE_BYTES;
use crate::output::Output;
use crate::time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Text, 1 to 10,000 characters; - reads standard input
    #[arg(value_name = "CONTENT")]
    content: String,

    /// Kind of memory: world, experience, opinion or observation
    #[arg(long, value_name = "KIND", default_value_t = MemoryKind::Experience)]
    kind: MemoryKind,

    /// Tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Metadata entry (repeatable)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,

    /// Participant and role (repeatable)
    #[arg(long = "entity", value_name = "NAME=ROLE", value_parser = parse_pair)]
    entities: Vec<(String, String)>,

    /// Episode it belongs to: a session, a place, a quest
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,

    /// Importance, 0 to 1 [default: 0.5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    importance: Option<f32>,

    /// Time of the event, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    timestamp: Option<DateTime<Utc>>,

    /// Id of the memory; repeating an id with the same content changes nothing [default: a new id]
    #[arg(long, value_name = "UUID")]
    id: Option<MemoryId>,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let item = item(args)?;
    // Fails before the model is loaded or a database is created.
    item.validate()?;
    let system = database.open_or_create().await?;
    let ids = system.retain_batch(vec![item]).await?;
    system.close().await?;
    for id in ids {
        if output.is_json() {
            output.write_json(&Retained { id })?;
        } else {
            output.write_line(format_args!("{id}"))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Retained {
    id: MemoryId,
}

fn item(args: Args) -> Result<MemoryBatchItem, Failure> {
    let content = match args.content.as_str() {
        "-" => read_stdin()?,
        _ => args.content,
    };
    let entities = args
        .entities
        .into_iter()
        .map(|(name, role)| (name.into(), role))
        .collect();
    Ok(MemoryBatchItem {
        entity_id: args.entity.into(),
        kind: args.kind,
        content,
        id: args.id,
        timestamp: args.timestamp,
        importance: args.importance,
        context: args.context,
        metadata: into_unique_map("--meta", args.metadata)?,
        related: Default::default(),
        entities: into_unique_map("--entity", entities)?,
        tags: args.tags.into_iter().collect(),
    })
}

/// Reads standard input to its end, without trailing line ends.
fn read_stdin() -> Result<String, Failure> {
    // No valid content is longer, so the rest need not be read.
    let max = MAX_LINE_BYTES as u64;
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("read standard input", &error))?;
    let refused = |message: String| Failure::new(Code::InvalidInput, "invalid_input", message);
    if bytes.len() > MAX_LINE_BYTES {
        return Err(refused(format!(
            "standard input holds more than {max} bytes; content may have at most {} characters",
            limits::MAX_CONTENT_CHARS
        )));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| refused("standard input is not UTF-8; content must be".to_owned()))?;
    let kept = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(kept);
    Ok(text)
}
