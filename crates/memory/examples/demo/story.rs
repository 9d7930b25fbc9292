//! Reads the story: one JSON object per line, in the format of `memory import`.

use std::collections::{BTreeMap, BTreeSet};

use memory::{EntityId, MemoryBatchItem};
use serde_json::Value;

use crate::Demo;

const STORY: &str = include_str!("../story.jsonl");

/// All memories of the story, in order.
pub(crate) fn read() -> Demo<Vec<MemoryBatchItem>> {
    let numbered = STORY.lines().zip(1..);
    numbered
        .map(|(line, number)| {
            read_line(line).map_err(|error| format!("story.jsonl, line {number}: {error}").into())
        })
        .collect()
}

fn read_line(line: &str) -> Demo<MemoryBatchItem> {
    let mut line: Value = serde_json::from_str(line)?;
    let mut item = MemoryBatchItem::new(
        text(&line, "entity")?,
        text(&line, "kind")?.parse()?,
        text(&line, "content")?,
    )
    .with_timestamp(text(&line, "timestamp")?.parse()?);
    let mut take = |field: &str| line[field].take();
    item.context = serde_json::from_value(take("context"))?;
    item.importance = serde_json::from_value(take("importance"))?;
    let tags: Option<BTreeSet<String>> = serde_json::from_value(take("tags"))?;
    let metadata: Option<BTreeMap<String, String>> = serde_json::from_value(take("metadata"))?;
    let entities: Option<BTreeMap<EntityId, String>> = serde_json::from_value(take("entities"))?;
    item.tags = tags.unwrap_or_default();
    item.metadata = metadata.unwrap_or_default();
    item.entities = entities.unwrap_or_default();
    Ok(item)
}

/// A required field of a line.
fn text<'a>(line: &'a Value, field: &str) -> Demo<&'a str> {
    line[field]
        .as_str()
        .ok_or_else(|| format!("no {field}").into())
}
