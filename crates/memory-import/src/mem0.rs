//! The memories of mem0, as `get_all` returns them: an array, or an object with the
//! array `results`.

use std::collections::BTreeMap;

use memory::MemoryKind;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::draft::Draft;
use crate::files::ExportFiles;
use crate::importer::{Importer, Stop};
use crate::json::{self, Elements};
use crate::time;

const FIELDS: &[&str] = &[
    "actor_id",
    "agent_id",
    "app_id",
    "attributed_to",
    "categories",
    "created_at",
    "custom_categories",
    "expiration_date",
    "hash",
    "id",
    "immutable",
    "internal_metadata",
    "memory",
    "memory_type",
    "metadata",
    "name",
    "organization",
    "owner",
    "project_id",
    "role",
    "run_id",
    "score",
    "session_id",
    "structured_attributes",
    "type",
    "updated_at",
    "user_id",
];

/// Ids of participants, and their roles.
const PARTICIPANTS: [(&str, &str); 3] = [
    ("user_id", "user"),
    ("agent_id", "agent"),
    ("actor_id", "actor"),
];

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let elements = Elements {
        noun: "memory",
        arrays: &["results", "memories"],
        // Of pages, and the graph, whose facts the memories state as well.
        ignored: &[
            "count",
            "next",
            "page",
            "pages",
            "previous",
            "relations",
            "size",
            "total",
        ],
        expected: "an array of memories, or an object with such an array as `results`",
    };
    json::for_each_element_with_text(files, &elements, importer, read_memory)
}

/// Reads a memory; `text` is that of `value`.
fn read_memory(
    origin: &str,
    value: &Value,
    text: &[u8],
    importer: &mut Importer<'_>,
) -> Result<(), Stop> {
    let Some(object) = value.as_object() else {
        return importer.refuse(origin, "it is not an object");
    };
    importer.check_fields("memory", object, FIELDS);
    let Some(content) = json::text(object, "memory") else {
        return importer.refuse(origin, "its `memory` is missing, blank or not a string");
    };
    let Some(id) = json::text(object, "id") else {
        return importer.refuse(origin, "its `id` is missing or not a string");
    };
    let mut draft = Draft::new(id, MemoryKind::World, content.to_owned());
    draft.timestamp = json::text(object, "created_at").and_then(time::parse);
    draft.context = json::text(object, "run_id").map(str::to_owned);
    draft.owner = json::text(object, "user_id")
        .or(json::text(object, "agent_id"))
        .map(str::to_owned);
    for (key, role) in PARTICIPANTS {
        if let Some(name) = json::text(object, key) {
            draft.participants.push((name.to_owned(), role.to_owned()));
        }
    }
    let categories = json::array(object, "categories").iter();
    draft.tags = categories
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if json::object(object, "metadata").is_some() {
        draft.metadata = metadata(text);
        draft.metadata.remove("");
    }
    for key in ["app_id", "updated_at"] {
        if let Some(text) = json::text(object, key) {
            draft.metadata.insert(key.to_owned(), text.to_owned());
        }
    }
    importer.add(origin, draft)?;
    Ok(())
}

/// The metadata of a memory with this text, without its `null`s.
fn metadata(text: &[u8]) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Memory<'a> {
        #[serde(borrow)]
        metadata: BTreeMap<String, &'a RawValue>,
    }
    // The text was parsed before, and has such an object.
    let memory: Option<Memory<'_>> = serde_json::from_slice(text).ok();
    let pairs = memory.into_iter().flat_map(|memory| memory.metadata);
    let texts = pairs.filter_map(|(key, value)| Some((key, metadata_text(value)?)));
    texts.collect()
}

/// The text of a metadata value: a string as it is, others as JSON. `None` for `null`.
fn metadata_text(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        _ => Some(compact(value)),
    }
}

/// A value as JSON without white space, whose numbers have the digits that they are written
/// with.
fn compact(value: &RawValue) -> String {
    let text = value.get();
    let compacted = match text.bytes().next() {
        Some(b'{') => serde_json::from_str(text)
            .ok()
            .map(|pairs: BTreeMap<String, &RawValue>| {
                let pairs = pairs.into_iter();
                let pairs =
                    pairs.map(|(key, value)| format!("{}:{}", Value::from(key), compact(value)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
            }),
        Some(b'[') => serde_json::from_str(text)
            .ok()
            .map(|values: Vec<&RawValue>| {
                let values = values.into_iter().map(compact);
                format!("[{}]", values.collect::<Vec<_>>().join(","))
            }),
        Some(b'"') => serde_json::from_str(text)
            .ok()
            .map(|text: Value| text.to_string()),
        _ => None,
    };
    compacted.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keeps_the_digits_of_numbers() {
        let text = r#"{"id": "1", "metadata": {
            "order": 12345678901234567890123, "v": 1.10, "small": 0.1000000000000000055,
            "e": 1E5, "list": [ 1.50, {"b": -0.0, "a": "caf\u00e9 \" x"} ], "yes": true,
            "none": null, "text": "a\n b"
        }}"#;
        let metadata = metadata(text.as_bytes());
        let metadata: Vec<(&str, &str)> = metadata
            .iter()
            .map(|(key, text)| (&**key, &**text))
            .collect();
        assert_eq!(
            metadata,
            [
                ("e", "1E5"),
                ("list", r#"[1.50,{"a":"café \" x","b":-0.0}]"#),
                ("order", "12345678901234567890123"),
                ("small", "0.1000000000000000055"),
                ("text", "a\n b"),
                ("v", "1.10"),
                ("yes", "true"),
            ]
        );
    }
}
