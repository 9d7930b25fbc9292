//! Serializing a memory as a line, and parsing a line.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory::{
    EntityId, Excerpt, Memory, MemoryBatchItem, MemoryError, MemoryId, MemoryKind, MemoryResult,
    RestoreItem, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::text_map::{Pairs, scalar_text, string_text};
use crate::time;

/// The maximum length of a reason in characters: an unknown key is quoted and
/// may be of any length.
const MAX_REASON_CHARS: usize = 160;

/// The maximum length of a quoted key of `metadata`, `entities` or `related`.
const MAX_QUOTED_CHARS: usize = 60;

/// The largest count of accesses that every store can keep.
const MAX_ACCESS_COUNT: u64 = i64::MAX.unsigned_abs();

/// A memory as export writes it, with everything that import needs to restore
/// it. Empty values are omitted; importance, id and timestamp never are.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    entity: &'a EntityId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: MemoryId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    kind: MemoryKind,
    timestamp: String,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    importance: f32,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    tags: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    entities: &'a BTreeMap<EntityId, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    related: &'a BTreeMap<MemoryId, String>,
    /// Omitted where it is the kind's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    decay_rate: Option<f32>,
    #[serde(skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    access_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
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
pub struct Parsed {
    /// The values that a caller of `retain` can give.
    pub item: MemoryBatchItem,
    decay_rate: Option<f32>,
    access_count: u64,
    last_accessed: Option<DateTime<Utc>>,
    /// The summary that replaced it.
    pub archived_by: Option<MemoryId>,
}

impl Parsed {
    /// The key whose value a new memory cannot have, if the line has one: only an import
    /// restores it.
    #[must_use]
    pub fn import_only_key(&self) -> Option<&'static str> {
        let keys = [
            ("decay_rate", self.decay_rate.is_some()),
            ("access_count", self.access_count > 0),
            ("last_accessed", self.last_accessed.is_some()),
            ("archived_by", self.archived_by.is_some()),
        ];
        let mut given = keys.into_iter().filter(|(_, is_given)| *is_given);
        given.next().map(|(key, _)| key)
    }

    /// Itself, if its values are within their limits.
    fn validated(self) -> Result<Self, String> {
        self.item.validate().map_err(|error| match error {
            MemoryError::InvalidInput { problem, .. } => problem.to_string(),
            other => other.to_string(),
        })?;
        let decay_rate = self.decay_rate.map_or(Ok(()), limits::check_decay_rate);
        let last = self.last_accessed.map_or(Ok(()), limits::check_timestamp);
        let further = decay_rate.and(last);
        further.map_err(|problem| problem.to_string())?;
        Ok(self)
    }

    /// Makes a live memory with this id.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the limit.
    pub fn into_restore_item(
        mut self,
        id: MemoryId,
        now: DateTime<Utc>,
    ) -> MemoryResult<RestoreItem> {
        let embedding = self.item.embedding.take();
        let memory = self.item.with_id(id).into_memory(now)?;
        Ok(RestoreItem {
            memory: Memory {
                decay_rate: self.decay_rate.unwrap_or(memory.decay_rate),
                access_count: self.access_count,
                last_accessed: self.last_accessed,
                ..memory
            },
            embedding,
        })
    }
}

/// Parses a line and checks every limit of a memory. A line without an entity
/// gets `entity`.
///
/// # Errors
/// What is wrong, for people, without the line's content.
pub fn parse(text: &str, entity: Option<&EntityId>) -> Result<Parsed, String> {
    parse_fields(text, entity)?.validated()
}

/// As [`parse`], without a link of the memory to itself, which exports of earlier versions
/// can have: the value says whether there was one.
pub(crate) fn parse_restored(
    text: &str,
    entity: Option<&EntityId>,
) -> Result<(Parsed, bool), String> {
    let mut parsed = parse_fields(text, entity)?;
    let id = parsed.item.id;
    let own = id.and_then(|id| parsed.item.related.remove(&id));
    Ok((parsed.validated()?, own.is_some()))
}

/// Parses a line, whose values may be beyond their limits.
fn parse_fields(text: &str, entity: Option<&EntityId>) -> Result<Parsed, String> {
    if !text.trim_start().starts_with('{') {
        return Err(match (text.trim_start().starts_with('['), hint(text)) {
            (true, _) => "the line is a JSON array; write one JSON object per line".to_owned(),
            (false, None) => "the line is not a JSON object".to_owned(),
            (false, Some(hint)) => format!("the line is not a JSON object; {hint}"),
        });
    }
    let fields: Fields =
        serde_json::from_str(text).map_err(|error| explain_malformed(text, &error))?;
    fields.into_parsed(entity)
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
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
}

impl Fields<'_> {
    fn into_parsed(self, entity: Option<&EntityId>) -> Result<Parsed, String> {
        let count = "a whole number from 0 to 9223372036854775807";
        let access_count = read("access_count", self.access_count, count)?.unwrap_or(0);
        if access_count > MAX_ACCESS_COUNT {
            return Err(format!(
                "`access_count` is {access_count}; it must be {count}"
            ));
        }
        Ok(Parsed {
            decay_rate: read_number("decay_rate", self.decay_rate, "a number, 0 or more")?,
            access_count,
            last_accessed: read_time("last_accessed", self.last_accessed)?,
            archived_by: read("archived_by", self.archived_by, "a UUID")?,
            item: self.into_item(entity)?,
        })
    }

    fn into_item(self, entity: Option<&EntityId>) -> Result<MemoryBatchItem, String> {
        let entity = match read::<String>("entity", self.entity, "a string")? {
            Some(name) => name.into(),
            None => entity.cloned().ok_or(
                "`entity` is missing; add it to the line, or name the entity of all lines",
            )?,
        };
        let content: String =
            read("content", self.content, "a string")?.ok_or("`content` is missing")?;
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
            metadata: read_map("metadata", self.metadata, scalar_text)?,
            related: read_related(self.related)?,
            entities: read_map("entities", self.entities, string_text)?
                .into_iter()
                .map(|(name, role)| (name.into(), role))
                .collect(),
            tags: read_tags(self.tags)?,
            embedding: read("embedding", self.embedding, "an array of numbers")?,
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
            serde_json::from_str(value.get()).map_err(|error| {
                // The value is valid JSON, apart from escapes in strings that encode no
                // character, and from numbers that no type can hold.
                let why = reason(&error);
                let is_inside = ["hex escape", "out of range"]
                    .iter()
                    .any(|it| why.contains(it));
                let is_refused_inside = match kind_of(value) {
                    "a string" => error.classify() != Category::Data,
                    "an object" | "an array" => is_inside,
                    _ => false,
                };
                if is_refused_inside {
                    return format!("`{key}`: {why}");
                }
                format!("`{key}` is {}; it must be {must_be}", describe(key, value))
            })
        })
        .transpose()
}

/// Parses an object; `text_of` turns each value into text or says what is wrong
/// with it.
fn read_map(
    key: &str,
    value: Option<&RawValue>,
    text_of: fn(&RawValue) -> Result<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let pairs: Pairs<&RawValue> = read(key, value, "an object")?.unwrap_or_default();
    let texts = pairs.into_texts(text_of);
    texts.map_err(|why| format!("`{key}`: {why}"))
}

fn read_tags(value: Option<&RawValue>) -> Result<BTreeSet<String>, String> {
    let tags: Vec<&RawValue> = read("tags", value, "an array of strings")?.unwrap_or_default();
    let numbered = (1..).zip(tags);
    numbered
        .map(|(number, tag)| string_text(tag).map_err(|why| format!("`tags`: tag {number} {why}")))
        .collect()
}

fn read_related(value: Option<&RawValue>) -> Result<BTreeMap<MemoryId, String>, String> {
    let mut related = BTreeMap::new();
    for (key, relation) in read_map("related", value, string_text)? {
        let id: MemoryId = key.parse().map_err(|_| {
            let found = quote(&key);
            format!("`related`: the key {found} is not the UUID of a memory")
        })?;
        // A UUID can be written in several ways.
        if related.insert(id, relation).is_some() {
            return Err(format!("`related`: the key {} is repeated", quote(&key)));
        }
    }
    Ok(related)
}

/// The JSON type of a valid value, with its article.
pub(crate) fn kind_of(value: &RawValue) -> &'static str {
    match value.get().bytes().next() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Keys whose values are no content and are quoted in errors.
const QUOTED_VALUES: [&str; 3] = ["kind", "id", "archived_by"];

/// What the value of a key is: a number, its text where that may be quoted, or
/// else its JSON type.
fn describe(key: &str, value: &RawValue) -> String {
    let is_quoted = QUOTED_VALUES.contains(&key);
    let text = is_quoted.then(|| serde_json::from_str::<String>(value.get()).ok());
    match (text.flatten(), kind_of(value)) {
        (Some(text), _) => Excerpt::from(text.as_str()).to_string(),
        (None, "a number") => value.get().chars().take(MAX_QUOTED_CHARS).collect(),
        (None, kind) => kind.to_owned(),
    }
}

/// Quotes a key of the input, shortened and without control characters.
pub(crate) fn quote(key: &str) -> String {
    let mut chars = key.chars();
    let mut quoted: String = chars
        .by_ref()
        .take(MAX_QUOTED_CHARS)
        .flat_map(escape_control)
        .collect();
    if chars.next().is_some() {
        quoted.push('…');
    }
    format!("\"{quoted}\"")
}

fn read_time(key: &str, value: Option<&RawValue>) -> Result<Option<DateTime<Utc>>, String> {
    let text: Option<String> = read(key, value, time::EXPECTED_FORMAT)?;
    text.map(|text| {
        time::parse(&text).map_err(|why| format!("`{key}` is {}; {why}", Excerpt::from(&*text)))
    })
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
                .ok_or_else(|| format!("`{key}` is {}; it must be {must_be}", describe(key, value)))
        })
        .transpose()
}

/// Says why a line is not one JSON object, and how its cause in the input can be
/// removed.
fn explain_malformed(text: &str, error: &serde_json::Error) -> String {
    let why = reason(error);
    let hint = match error.classify() {
        Category::Syntax | Category::Eof => hint(text).or_else(|| {
            let complete = "each memory must be one complete JSON object on one line";
            error.is_eof().then_some(complete)
        }),
        Category::Data | Category::Io => None,
    };
    match hint {
        None => why,
        Some(hint) => format!("{why}; {hint}"),
    }
}

/// What in a malformed line shows that the input is not text with line ends.
fn hint(text: &str) -> Option<&'static str> {
    if text.contains('\r') {
        Some("the line contains a carriage return (\\r); lines must end in \\n or \\r\\n")
    } else if text.contains('\0') {
        Some("the line contains a NUL byte; the input must be UTF-8 text")
    } else if text.contains('\u{feff}') {
        Some("the line contains a byte order mark (U+FEFF); remove it or put a line end before it")
    } else {
        None
    }
}

/// The message of a JSON error. It quotes at most an unknown key of the line,
/// because values are not parsed where such errors come from.
pub(crate) fn reason(error: &serde_json::Error) -> String {
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

#[cfg(test)]
mod tests;
