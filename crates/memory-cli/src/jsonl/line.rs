//! One memory as a line, out and in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use memory::{EntityId, Memory, MemoryBatchItem, MemoryError, MemoryId, MemoryKind};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::time;

/// The longest reason that is given, in characters: an unknown key is quoted,
/// and may be of any length.
const MAX_REASON_CHARS: usize = 160;

/// A memory as export writes it: everything that import needs to restore it.
/// What is empty is left out; importance, id and timestamp never are.
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
}

impl<'a> From<&'a Memory> for Line<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            entity: &memory.entity_id,
            id: memory.id,
            kind: memory.kind,
            timestamp: time::exact(memory.timestamp),
            content: &memory.content,
            context: memory.context.as_deref(),
            importance: memory.importance,
            tags: &memory.tags,
            metadata: &memory.metadata,
            entities: &memory.entities,
            related: &memory.related,
        }
    }
}

/// Reads a line, and holds it to every bound of a memory. The `entity` is taken
/// for a line that names none.
///
/// # Errors
/// What is wrong, for people, without the line's content.
pub(crate) fn parse(text: &str, entity: Option<&EntityId>) -> Result<MemoryBatchItem, String> {
    if !text.trim_start().starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let fields: Fields = serde_json::from_str(text).map_err(|error| reason(&error))?;
    let item = fields.into_item(entity)?;
    item.validate().map_err(|error| match error {
        MemoryError::InvalidInput { problem, .. } => problem.to_string(),
        other => other.to_string(),
    })?;
    Ok(item)
}

/// The keys of a line, their values not read yet: so that an error can name
/// the key and needs not quote the value. An unknown key is refused, because a
/// slip of the pen would lose its value without a word. `null` is the same as
/// nothing.
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
}

impl Fields<'_> {
    fn into_item(self, entity: Option<&EntityId>) -> Result<MemoryBatchItem, String> {
        let entity = match read::<String>("entity", self.entity, "a string")? {
            Some(name) => name.into(),
            None => entity
                .cloned()
                .ok_or("`entity` is missing, and there is no --entity")?,
        };
        let content: String =
            read("content", self.content, "a string")?.ok_or("`content` is missing")?;
        let timestamp = match read::<String>("timestamp", self.timestamp, time::FORM)? {
            Some(text) => Some(time::parse(&text).map_err(|why| format!("`timestamp`: {why}"))?),
            None => None,
        };
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
            timestamp,
            importance: importance(self.importance)?,
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

/// Reads the value of a key, or says what it must be.
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

/// Reads a number as the nearest `f32`, in one rounding: by way of an `f64` a
/// written importance could come back as its neighbour.
fn importance(value: Option<&RawValue>) -> Result<Option<f32>, String> {
    let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    value
        .map(|value| {
            let text = value.get();
            text.parse()
                .ok()
                .filter(|_| is_number(text))
                .ok_or_else(|| "`importance` must be a number from 0 to 1".to_owned())
        })
        .transpose()
}

/// What a JSON error says. Of the line it quotes at most a key that we do not
/// know; values are not read where such errors come from.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what: String = text
        .strip_suffix(&place)
        .unwrap_or(&text)
        .chars()
        .take(MAX_REASON_CHARS)
        .flat_map(printable)
        .collect();
    match error.classify() {
        Category::Syntax | Category::Eof => format!("{what}, at column {}", error.column()),
        Category::Data | Category::Io => what,
    }
}

/// A character, or its escape where it could drive a terminal.
fn printable(c: char) -> Vec<char> {
    if c.is_control() {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

/// A map in which no key stands twice.
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
                        return Err(A::Error::custom("a key stands twice"));
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
