//! The data export of ChatGPT.
//!
//! `conversations.json` is an array of conversations. Each has a tree of messages,
//! `mapping`, in which an edited question or a repeated answer begins a branch;
//! `current_node` is the last message of the branch that was shown.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use memory::MemoryKind;
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::files::ExportFiles;
use crate::importer::{Importer, Stop};
use crate::json::{self, Elements};
use crate::time;

const CONVERSATION_FIELDS: &[&str] = &[
    "async_status",
    "atlas_mode_enabled",
    "blocked_urls",
    "context_scopes",
    "conversation_id",
    "conversation_origin",
    "conversation_template_id",
    "create_time",
    "current_node",
    "default_model_slug",
    "disabled_tool_ids",
    "gizmo_id",
    "gizmo_type",
    "id",
    "is_archived",
    "is_do_not_remember",
    "is_read_only",
    "is_starred",
    "is_study_mode",
    "mapping",
    "memory_scope",
    "moderation_results",
    "owner",
    "pinned_time",
    "plugin_ids",
    "safe_urls",
    "sugar_item_id",
    "sugar_item_visible",
    "title",
    "update_time",
    "voice",
];
const NODE_FIELDS: &[&str] = &["children", "id", "message", "parent"];
const MESSAGE_FIELDS: &[&str] = &[
    "author",
    "channel",
    "content",
    "create_time",
    "end_turn",
    "id",
    "metadata",
    "recipient",
    "status",
    "update_time",
    "weight",
];

type Object = Map<String, Value>;

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let elements = Elements {
        noun: "conversation",
        arrays: &["conversations"],
        ignored: &[],
        expected: "an array of conversations, each with a `mapping` of messages",
    };
    json::for_each_element(files, &elements, importer, read_conversation)
}

fn read_conversation(origin: &str, value: &Value, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let Some(conversation) = value.as_object() else {
        return importer.refuse(origin, "it is not an object");
    };
    importer.check_fields("conversation", conversation, CONVERSATION_FIELDS);
    let Some(mapping) = json::object(conversation, "mapping") else {
        return importer.refuse(origin, "its `mapping` is missing or not an object");
    };
    let branch = shown_branch(mapping, json::text(conversation, "current_node"));
    let of_others = mapping.len() - branch.len();
    let id = json::text(conversation, "conversation_id").or(json::text(conversation, "id"));
    let started = seconds(conversation, "create_time");
    let mut last = started;
    let shown: HashSet<&str> = branch.iter().map(|(key, _)| *key).collect();
    if of_others > 0 {
        let hidden = mapping.iter().filter(|(key, node)| {
            !shown.contains(key.as_str()) && node.get("message").is_some_and(Value::is_object)
        });
        let count = hidden.count() as u64;
        importer
            .report()
            .skip("messages of branches that are not shown", count);
    }
    let mut number = 0;
    for (key, node) in branch {
        importer.check_fields("node", node, NODE_FIELDS);
        let Some(message) = json::object(node, "message") else {
            // The root of the tree has none.
            continue;
        };
        number += 1;
        importer.check_fields("message", message, MESSAGE_FIELDS);
        let speaker = match speaker(message) {
            Ok(speaker) => speaker,
            Err(why) => {
                importer.report().skip(why, 1);
                continue;
            }
        };
        let content = match content(message, importer) {
            Ok(content) => content,
            Err(why) => {
                importer.report().skip(why, 1);
                continue;
            }
        };
        let message_id = json::text(message, "id").unwrap_or(key);
        let mut draft = Draft::new(message_id, MemoryKind::Experience, content);
        // Some messages have no time of their own.
        draft.timestamp = seconds(message, "create_time").or_else(|| last.and_then(time::next));
        last = draft.timestamp;
        draft.context = json::text(conversation, "title").or(id).map(str::to_owned);
        draft
            .participants
            .push((speaker.to_owned(), "speaker".to_owned()));
        let model = json::object(message, "metadata").and_then(|it| json::text(it, "model_slug"));
        if let Some(id) = id {
            draft.set_repeated("conversation_id", id);
        }
        if let Some(model) = model {
            draft.metadata.insert("model".to_owned(), model.to_owned());
        }
        importer.add(&format!("{origin}, message {number}"), draft)?;
    }
    Ok(())
}

/// The nodes of the shown branch with their keys, the first message first. Where
/// `current_node` is missing, the branch is the one that ends latest.
fn shown_branch<'a>(mapping: &'a Object, current: Option<&'a str>) -> Vec<(&'a str, &'a Object)> {
    let node = |key: &str| mapping.get_key_value(key);
    let last = current.and_then(node).or_else(|| latest_leaf(mapping));
    let mut branch = Vec::new();
    let mut seen = HashSet::new();
    let mut next = last;
    while let Some((key, value)) = next {
        let Some(object) = value.as_object() else {
            break;
        };
        if !seen.insert(key.as_str()) {
            // A damaged tree; without this the loop would not end.
            break;
        }
        branch.push((key.as_str(), object));
        next = json::text(object, "parent").and_then(node);
    }
    branch.reverse();
    branch
}

fn latest_leaf(mapping: &Object) -> Option<(&String, &Value)> {
    let time = |node: &Value| {
        let message = node.get("message").and_then(Value::as_object)?;
        seconds(message, "create_time")
    };
    let is_leaf = |node: &Value| match node.get("children") {
        Some(Value::Array(children)) => children.is_empty(),
        _ => true,
    };
    mapping
        .iter()
        .filter(|(_, node)| is_leaf(node))
        .max_by_key(|(_, node)| time(node))
}

fn seconds(object: &Object, key: &str) -> Option<DateTime<Utc>> {
    time::from_epoch_seconds(object.get(key)?.as_f64()?)
}

/// Who speaks, or why the message is no part of the conversation that was shown.
fn speaker(message: &Object) -> Result<&'static str, &'static str> {
    let metadata = json::object(message, "metadata");
    let is_hidden = metadata
        .and_then(|it| it.get("is_visually_hidden_from_conversation"))
        .and_then(Value::as_bool);
    if is_hidden == Some(true) {
        return Err("hidden messages");
    }
    let role = json::object(message, "author").and_then(|author| json::text(author, "role"));
    match role {
        Some("user") => Ok("user"),
        Some("assistant") => match json::text(message, "recipient") {
            None | Some("all") => Ok("assistant"),
            Some(_) => Err("calls of tools"),
        },
        Some("system") => Err("system messages"),
        Some("tool") => Err("results of tools"),
        _ => Err("messages of unknown roles"),
    }
}

/// The text of a message, or why it has none.
fn content(message: &Object, importer: &mut Importer<'_>) -> Result<String, &'static str> {
    const WITHOUT_TEXT: &str = "messages without text";
    let content = json::object(message, "content").ok_or(WITHOUT_TEXT)?;
    let kind = json::text(content, "content_type").unwrap_or("text");
    match kind {
        "text" | "multimodal_text" | "code" => {}
        "thoughts" | "reasoning_recap" => return Err("reasoning"),
        "user_editable_context" | "model_editable_context" => return Err("system messages"),
        _ => {
            importer.report().count_unknown("content_type", kind);
            return Err("messages of unknown content types");
        }
    }
    let mut texts = Vec::new();
    let mut attachments = 0;
    for part in json::array(content, "parts") {
        // Spoken words are objects with their transcription.
        let text = part.as_str().or_else(|| part.get("text")?.as_str());
        match text {
            Some(text) => texts.push(text),
            None if part.is_null() => {}
            None => attachments += 1,
        }
    }
    texts.extend(json::text(content, "text"));
    importer
        .report()
        .skip("images, recordings and other attachments", attachments);
    let text = texts.join("\n\n");
    if text.trim().is_empty() {
        return Err(WITHOUT_TEXT);
    }
    Ok(text)
}
