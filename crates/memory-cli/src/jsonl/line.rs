//! Serializing a memory as a line, and parsing a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use memory::{
    EntityId, Memory, MemoryBatchItem, MemoryError, MemoryId, MemoryKind, MemoryResult, limits,
};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::time;

/// The maximum length of a reason in characters: an unknown key is quoted and
/// may be of any length.
const MAX_REASON_CHARS: usize = 160;

/// A memory as export writes it, with everything that import needs to restore
/// it. Empty values are omitted; importance, id and timestamp never are.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    entity: &'a EntityId,
    id: MemoryId,
    kind: MemoryKind,
    timestamp: String,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    importance: f32,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tags: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    entities: &'a BTreeMap<EntityId, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    related: &'a BTreeMap<MemoryId, String>,
    /// Omitted where it is the kind's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    decay_rate: Option<f32>,
    #[serde(skip_serializing_if = "is_zero")]
    access_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_by: Option<MemoryId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> From<&'a Memory> for Line<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            entity: &memory.entity_id,
            id: memory.id,
            kind: memory.kind,
            timestamp: time::format_exact(memory.timestamp),
            content: &memory.content,
            context: memory.context.as_deref(),
            importance: memory.importance,
            tags: &memory.tags,
            metadata: &memory.metadata,
            entities: &memory.entities,
            related: &memory.related,
            decay_rate: Some(memory.decay_rate).filter(|rate| *rate != memory.kind.decay_rate()),
            access_count: memory.access_count,
            last_accessed: memory.last_accessed.map(time::format_exact),
            archived_by: memory.archived_by,
        }
    }
}

/// A parsed and validated line.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The values that a caller of `retain` can give.
    pub(crate) item: MemoryBatchItem,
    decay_rate: Option<f32>,
    access_count: u64,
    last_accessed: Option<DateTime<Utc>>,
    /// The summary that replaced it.
    pub(crate) archived_by: Option<MemoryId>,
}

impl Parsed {
    /// Makes a live memory with this id.
    pub(crate) fn into_memory(self, id: MemoryId, now: DateTime<Utc>) -> MemoryResult<Memory> {
        let memory = self.item.with_id(id).into_memory(now)?;
        Ok(Memory {
            decay_rate: self.decay_rate.unwrap_or(memory.decay_rate),
            access_count: self.access_count,
            last_accessed: self.last_accessed,
            ..memory
        })
    }
}

/// Parses a line and checks every limit of a memory. A line without an entity
/// gets `entity`.
///
/// # Errors
/// What is wrong, for people, without the line's content.
pub(crate) fn parse(text: &str, entity: Option<&EntityId>) -> Result<Parsed, String> {
    if !text.trim_start().starts_with('{') {
        return Err("the line is not a JSON object".to_owned());
    }
    let fields: Fields = serde_json::from_str(text).map_err(|error| reason(&error))?;
    let parsed = fields.into_parsed(entity)?;
    parsed.item.validate().map_err(|error| match error {
        MemoryError::InvalidInput { problem, .. } => problem.to_string(),
        other => other.to_string(),
    })?;
    let further = parsed.decay_rate.map_or(Ok(()), limits::check_decay_rate);
    let last = parsed.last_accessed.map_or(Ok(()), limits::check_timestamp);
    further.and(last).map_err(|problem| problem.to_string())?;
    Ok(parsed)
}

/// The keys of a line with unparsed values, so that an error can name the key
/// without quoting the value. An unknown key is refused, because a typo would
/// silently lose its value. `null` is the same as a missing key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow, default)]
    entity: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    importance: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tags: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    entities: Option<&'a RawValue>,
    #[serde(borrow, default)]
    related: Option<&'a RawValue>,
    #[serde(borrow, default)]
    decay_rate: Option<&'a RawValue>,
    #[serde(borrow, default)]
    access_count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    last_accessed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    archived_by: Option<&'a RawValue>,
}

impl Fields<'_> {
    fn into_parsed(self, entity: Option<&EntityId>) -> Result<Parsed, String> {
        let count = "a whole number, 0 or more";
        Ok(Parsed {
            decay_rate: read_number("decay_rate", self.decay_rate, "a number, 0 or more")?,
            access_count: read("access_count", self.access_count, count)?.unwrap_or(0),
            last_accessed: read_time("last_accessed", self.last_accessed)?,
            archived_by: read("archived_by", self.archived_by, "a UUID")?,
            item: self.into_item(entity)?,
        })
    }

    fn into_item(self, entity: Option<&EntityId>) -> Result<MemoryBatchItem, String> {
        let entity = match read::<String>("entity", self.entity, "a string")? {
            Some(name) => name.into(),
            None => entity
                .cloned()
                .ok_or("`entity` is missing; add it to the line or give --entity")?,
        };
        let content: String =
            read("content", self.content, "a string")?.ok_or("`content` is missing")?;
        let texts = "an object of strings, no key twice";
        Ok(MemoryBatchItem {
            entity_id: entity,
            kind: read(
                "kind",
                self.kind,
                "world, experience, opinion or observation",
            )?
            .unwrap_or(MemoryKind::Experience),
            content,
            id: read("id", self.id, "a UUID")?,
            timestamp: read_time("timestamp", self.timestamp)?,
            importance: read_number("importance", self.importance, "a number from 0 to 1")?,
            context: read("context", self.context, "a string")?,
            metadata: read_map("metadata", self.metadata, texts)?,
            related: read_map(
                "related",
                self.related,
                "an object of strings whose keys are UUIDs, none twice",
            )?,
            entities: read_map("entities", self.entities, texts)?,
            tags: read("tags", self.tags, "an array of strings")?.unwrap_or_default(),
        })
    }
}

/// Parses the value of a key, or says what it must be.
fn read<'de, T: Deserialize<'de>>(
    key: &str,
    value: Option<&'de RawValue>,
    must_be: &str,
) -> Result<Option<T>, String> {
    value
        .map(|value| {
            serde_json::from_str(value.get()).map_err(|error| match error.classify() {
                Category::Data => format!("`{key}` must be {must_be}"),
                _ => format!("`{key}`: {}", reason(&error)),
            })
        })
        .transpose()
}

fn read_map<'de, K: Deserialize<'de> + Ord>(
    key: &str,
    value: Option<&'de RawValue>,
    must_be: &str,
) -> Result<BTreeMap<K, String>, String> {
    let map: Option<Unique<K>> = read(key, value, must_be)?;
    Ok(map.map(|Unique(map)| map).unwrap_or_default())
}

fn read_time(key: &str, value: Option<&RawValue>) -> Result<Option<DateTime<Utc>>, String> {
    let text: Option<String> = read(key, value, time::EXPECTED_FORMAT)?;
    text.map(|text| time::parse(&text).map_err(|why| format!("`{key}`: {why}")))
        .transpose()
}

/// Parses a number as the nearest `f32` in one rounding: by way of an `f64`, an
/// exported importance could come back as its neighbor.
fn read_number(key: &str, value: Option<&RawValue>, must_be: &str) -> Result<Option<f32>, String> {
    let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    value
        .map(|value| {
            let text = value.get();
            text.parse()
                .ok()
                .filter(|_| is_number(text))
                .ok_or_else(|| format!("`{key}` must be {must_be}"))
        })
        .transpose()
}

/// The message of a JSON error. It quotes at most an unknown key of the line,
/// because values are not parsed where such errors come from.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what: String = text
        .strip_suffix(&place)
        .unwrap_or(&text)
        .chars()
        .take(MAX_REASON_CHARS)
        .flat_map(escape_control)
        .collect();
    match error.classify() {
        Category::Syntax | Category::Eof => format!("{what}, at column {}", error.column()),
        Category::Data | Category::Io => what,
    }
}

/// Escapes a character that could control a terminal.
fn escape_control(c: char) -> Vec<char> {
    if c.is_control() {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

/// A map without repeated keys.
struct Unique<K>(BTreeMap<K, String>);

impl<'de, K: Deserialize<'de> + Ord> Deserialize<'de> for Unique<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<K>(PhantomData<K>);

        impl<'de, K: Deserialize<'de> + Ord> Visitor<'de> for Pairs<K> {
            type Value = Unique<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Unique<K>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((key, value)) = pairs.next_entry()? {
                    if map.insert(key, value).is_some() {
                        return Err(A::Error::custom("repeated key"));
                    }
                }
                Ok(Unique(map))
            }
        }

        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

#[cfg(test)]
mod tests;
