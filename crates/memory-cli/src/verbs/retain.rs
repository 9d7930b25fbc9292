//! `memory retain`: one memory.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use memory::{MemoryBatchItem, MemoryId, MemoryKind, limits};
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::filters::{pair, unique};
use crate::jsonl::MAX_LINE_BYTES;
use crate::output::Output;
use crate::time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose memory it will be
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// The text, 1 to 10,000 characters; - reads it from standard input
    #[arg(value_name = "CONTENT")]
    content: String,

    /// What it is about: world, experience, opinion or observation
    #[arg(long, value_name = "KIND", default_value_t = MemoryKind::Experience)]
    kind: MemoryKind,

    /// A label (may be given again)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// A key and its value (may be given again)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,

    /// Who takes part, and in which role (may be given again)
    #[arg(long = "entity", value_name = "NAME=ROLE", value_parser = pair)]
    entities: Vec<(String, String)>,

    /// The episode it belongs to: a session, a place, a quest
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,

    /// How much it matters, 0 to 1 [default: 0.5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    importance: Option<f32>,

    /// When it happened, as an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    timestamp: Option<DateTime<Utc>>,

    /// Its id; retaining the same id with the same content again is a no-op
    #[arg(long, value_name = "UUID")]
    id: Option<MemoryId>,
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let item = item(args)?;
    // Refused before the model is loaded or a database is made.
    item.validate()?;
    let system = database.open_or_create().await?;
    let ids = system.retain_batch(vec![item]).await?;
    system.close().await?;
    for id in ids {
        if output.is_json() {
            output.document(&Retained { id })?;
        } else {
            output.line(format_args!("{id}"))?;
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
        "-" => from_stdin()?,
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
        metadata: unique("--meta", args.metadata)?,
        related: Default::default(),
        entities: unique("--entity", entities)?,
        tags: args.tags.into_iter().collect(),
    })
}

/// Reads standard input to its end, without the line ends that it closes with.
fn from_stdin() -> Result<String, Failure> {
    // No content within the bound is longer, so the rest need not be read.
    let most = MAX_LINE_BYTES as u64;
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io("read standard input", &error))?;
    let refused = |what: String| Failure::new(Code::InvalidInput, "invalid_input", what);
    if bytes.len() > MAX_LINE_BYTES {
        return Err(refused(format!(
            "standard input holds more than {most} bytes; content may hold {} characters",
            limits::MAX_CONTENT_CHARS
        )));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| refused("standard input is not UTF-8; content must be".to_owned()))?;
    let kept = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(kept);
    Ok(text)
}
