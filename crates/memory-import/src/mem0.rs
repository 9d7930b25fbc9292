//! The memories of mem0, as `get_all` returns them: an array, or an object with the
//! array `results`.

use memory::MemoryKind;
use serde_json::Value;

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
    json::for_each_element(files, &elements, importer, read_memory)
}

fn read_memory(origin: &str, value: &Value, importer: &mut Importer<'_>) -> Result<(), Stop> {
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
    for (key, value) in json::object(object, "metadata").into_iter().flatten() {
        if let Some(text) = metadata_text(value).filter(|_| !key.is_empty()) {
            draft.metadata.insert(key.clone(), text);
        }
    }
    for key in ["app_id", "updated_at"] {
        if let Some(text) = json::text(object, key) {
            draft.metadata.insert(key.to_owned(), text.to_owned());
        }
    }
    importer.add(origin, draft)?;
    Ok(())
}

/// The text of a metadata value: a string as it is, others as JSON. `None` for `null`.
fn metadata_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
