//! `memory retain`: stores one memory, or the parts of a long text.

use chrono::{DateTime, Utc};
use memory::limits::MAX_CONTENT_CHARS;
use memory::{ErrorKind, MemoryBatchItem, MemoryError, MemoryId, MemoryKind};
use memory_import::{link_parts, split_text};
use memory_json::time;
use serde::Serialize;
use uuid::Uuid;

use crate::database::Database;
use crate::exit::Failure;
use crate::filters::{into_unique_map, parse_pair};
use crate::input;
use crate::interrupt::{Signal, Signals};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity that owns the memory
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Text, 1 to 10,000 characters; - reads standard input
    #[arg(value_name = "CONTENT")]
    content: String,

    /// Split a longer text at its sections into several memories, which are linked
    #[arg(long)]
    split: bool,

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
    let is_split = args.split;
    let has_own_id = args.id.is_some();
    let mut item = item(args)?;
    // With the id known, a retain whose outcome is unknown can be repeated.
    let id = *item.id.get_or_insert_with(MemoryId::new);
    let items = if is_split {
        parts(item, id)
    } else {
        vec![item]
    };
    // Fails before the model is loaded or a database is created.
    for item in &items {
        item.validate()?;
    }
    let ids: Vec<MemoryId> = items.iter().filter_map(|item| item.id).collect();
    let retaining = async {
        let system = database.open_or_create().await?;
        let retained = system.retain_batch(items).await;
        retained.map_err(|error| retain_failure(error, id, has_own_id))
    };
    let interrupted = |signal: Signal| {
        let message = format!("interrupted by {}; {}", signal.name(), repeat_hint(id));
        Failure::interrupted(signal, message)
    };
    let mut signals = Signals::listen()?;
    signals.guard(retaining).await.map_err(interrupted)??;
    output.set_done(format_args!(
        "it is stored, with the id {id}; repeated with --id {id}, the command stores nothing again"
    ));
    if output.is_json() {
        return if is_split {
            output.write_json(&RetainedParts { ids })
        } else {
            output.write_json(&Retained { id })
        };
    }
    for id in ids {
        output.write_line(format_args!("{id}"))?;
    }
    Ok(())
}

/// The parts of a text that is longer than content may be, linked to each other. The first
/// has the id `id`, and the ids of the others are derived from it, so that repeating
/// the command with this id changes nothing.
fn parts(item: MemoryBatchItem, id: MemoryId) -> Vec<MemoryBatchItem> {
    let texts = split_text(&item.content, MAX_CONTENT_CHARS);
    if texts.len() < 2 {
        return vec![item];
    }
    let count = texts.len();
    let mut parts = Vec::with_capacity(count);
    for (index, text) in texts.into_iter().enumerate() {
        let number = index + 1;
        let mut part = item.clone();
        part.content = text.to_owned();
        if index > 0 {
            let name = format!("part {number}");
            part.id = Some(Uuid::new_v5(id.as_uuid(), name.as_bytes()).into());
        }
        part.metadata
            .insert("part".to_owned(), format!("{number} of {count}"));
        parts.push(part);
    }
    link_parts(&mut parts);
    parts
}

#[derive(Serialize)]
struct Retained {
    id: MemoryId,
}

#[derive(Serialize)]
struct RetainedParts {
    ids: Vec<MemoryId>,
}

/// Says how to repeat a retain whose outcome is unknown. As it was, a command without an id of
/// its own would store the memory twice.
fn retain_failure(error: MemoryError, id: MemoryId, has_own_id: bool) -> Failure {
    let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
    let failure = Failure::from(error);
    if !is_unknown {
        return failure;
    }
    let failure = failure.with_hint(repeat_hint(id));
    match has_own_id {
        true => failure,
        false => failure.not_retryable(),
    }
}

fn repeat_hint(id: MemoryId) -> String {
    format!(
        "the memory may or may not be stored; repeat the command with --id {id}, which stores it \
         at most once"
    )
}

fn item(args: Args) -> Result<MemoryBatchItem, Failure> {
    let content = if args.split {
        input::document(args.content)?
    } else {
        input::content(args.content)?
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
        embedding: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_derived_ids_links_and_all_values() {
        let id = MemoryId::new();
        let section = format!("# Section\n\n{}\n\n", "word ".repeat(1_200));
        let item = MemoryBatchItem::new("mira", MemoryKind::World, section.repeat(4))
            .with_id(id)
            .with_tag("book");
        let items = parts(item.clone(), id);
        assert_eq!(items.len(), 4);
        assert_eq!(parts(item, id), items, "ids are repeatable");
        assert_eq!(items[0].id, Some(id));
        for (index, part) in items.iter().enumerate() {
            assert!(part.content.starts_with("# Section"), "{index}");
            assert!(part.validate().is_ok() && part.tags.contains("book"));
            assert_eq!(part.metadata["part"], format!("{} of 4", index + 1));
        }
        let next = items[1].id.unwrap();
        assert_eq!(items[0].related[&next], "next part");
        assert_eq!(items[1].related[&id], "previous part");

        let short = MemoryBatchItem::new("mira", MemoryKind::World, " kept ").with_id(id);
        assert_eq!(parts(short.clone(), id), [short]);
    }

    #[test]
    fn unknown_outcome_names_the_id_to_repeat_with() {
        let id = MemoryId::new();
        let failure = |kind, has_own_id| {
            let error = MemoryError::store(kind, "retain", "the connection was lost");
            retain_failure(error, id, has_own_id)
        };
        let message = |kind| failure(kind, false).message().to_owned();
        let unknown = message(ErrorKind::OutcomeUnknown);
        assert!(
            unknown.contains("the connection was lost") && unknown.contains(&format!("--id {id}")),
            "{unknown}"
        );
        assert!(!message(ErrorKind::Unavailable).contains("--id"));
        // Whether the same command may be repeated as it was.
        for (kind, has_own_id, is_retryable) in [
            (ErrorKind::OutcomeUnknown, false, false),
            (ErrorKind::OutcomeUnknown, true, true),
            (ErrorKind::Unavailable, false, true),
        ] {
            assert_eq!(failure(kind, has_own_id).is_retryable(), is_retryable);
        }
    }
}
