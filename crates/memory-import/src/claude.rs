//! The data export of Claude.
//!
//! `conversations.json` is an array of conversations, each with its `chat_messages` in
//! their order.

use chrono::{DateTime, Utc};
use memory::MemoryKind;
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::files::ExportFiles;
use crate::importer::{Importer, Stop};
use crate::json::{self, Elements};
use crate::time;

const CONVERSATION_FIELDS: &[&str] = &[
    "account",
    "chat_messages",
    "created_at",
    "current_leaf_message_uuid",
    "is_starred",
    "is_temporary",
    "model",
    "name",
    "platform",
    "project",
    "project_uuid",
    "settings",
    "summary",
    "updated_at",
    "uuid",
];
const MESSAGE_FIELDS: &[&str] = &[
    "attachments",
    "chat_feedback",
    "content",
    "created_at",
    "files",
    "files_v2",
    "index",
    "input_mode",
    "parent_message_uuid",
    "sender",
    "stop_reason",
    "sync_sources",
    "text",
    "truncated",
    "updated_at",
    "uuid",
];
const ATTACHMENT_FIELDS: &[&str] = &[
    "created_at",
    "extracted_content",
    "file_name",
    "file_size",
    "file_type",
    "id",
];

type Object = Map<String, Value>;

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let elements = Elements {
        noun: "conversation",
        arrays: &["conversations"],
        ignored: &[],
        expected: "an array of conversations, each with `chat_messages`",
    };
    json::for_each_element(files, &elements, importer, read_conversation)
}

/// What the messages of a conversation have in common.
struct Conversation<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
}

fn read_conversation(origin: &str, value: &Value, importer: &mut Importer<'_>) -> Result<(), Stop> {
    let Some(object) = value.as_object() else {
        return importer.refuse(origin, "it is not an object");
    };
    importer.check_fields("conversation", object, CONVERSATION_FIELDS);
    let Some(messages) = object.get("chat_messages").and_then(Value::as_array) else {
        return importer.refuse(origin, "its `chat_messages` are missing or not an array");
    };
    let conversation = Conversation {
        id: json::text(object, "uuid"),
        name: json::text(object, "name"),
    };
    let mut last = time_of(object);
    for (index, message) in messages.iter().enumerate() {
        let origin = format!("{origin}, message {}", index + 1);
        let Some(message) = message.as_object() else {
            importer.refuse(&origin, "it is not an object")?;
            continue;
        };
        last = time_of(message).or_else(|| last.and_then(time::next));
        read_message(&origin, message, &conversation, last, importer)?;
    }
    Ok(())
}

fn read_message(
    origin: &str,
    message: &Object,
    conversation: &Conversation<'_>,
    time: Option<DateTime<Utc>>,
    importer: &mut Importer<'_>,
) -> Result<(), Stop> {
    importer.check_fields("message", message, MESSAGE_FIELDS);
    let speaker = match json::text(message, "sender") {
        Some("human") => "user",
        Some("assistant") => "assistant",
        _ => {
            importer.report().skip("messages of unknown senders", 1);
            return Ok(());
        }
    };
    let Some(id) = json::text(message, "uuid") else {
        return importer.refuse(origin, "its `uuid` is missing or not a string");
    };
    let draft = |source_id: String, kind: MemoryKind, content: String| {
        let mut draft = Draft::new(source_id, kind, content);
        draft.timestamp = time;
        let context = conversation.name.or(conversation.id);
        draft.context = context.map(str::to_owned);
        draft
            .participants
            .push((speaker.to_owned(), "speaker".to_owned()));
        if let Some(id) = conversation.id {
            draft.set_repeated("conversation_id", id);
        }
        draft
    };
    let mut message_id = None;
    match content(message, importer) {
        Some(content) => {
            let draft = draft(id.to_owned(), MemoryKind::Experience, content);
            message_id = importer.add(origin, draft)?;
        }
        None => importer.report().skip("messages without text", 1),
    }
    for (index, attachment) in json::array(message, "attachments").iter().enumerate() {
        let number = index + 1;
        let text = attachment.as_object().and_then(|attachment| {
            importer.check_fields("attachment", attachment, ATTACHMENT_FIELDS);
            json::text(attachment, "extracted_content")
        });
        let Some(text) = text else {
            importer.report().skip(WITHOUT_EXTRACT, 1);
            continue;
        };
        let source_id = format!("{id}/attachment/{number}");
        let mut draft = draft(source_id, MemoryKind::World, text.to_owned());
        let name = attachment.get("file_name").and_then(Value::as_str);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            draft
                .metadata
                .insert("file_name".to_owned(), name.to_owned());
        }
        if let Some(id) = message_id {
            draft.related.insert(id, "attached to".to_owned());
        }
        importer.add(&format!("{origin}, attachment {number}"), draft)?;
    }
    let files = json::array(message, "files").len() as u64;
    importer.report().skip(WITHOUT_EXTRACT, files);
    Ok(())
}

const WITHOUT_EXTRACT: &str = "images, files and other attachments without text";

/// The text of a message: its blocks of text, or, in older exports, `text`. Blocks of
/// reasoning and of tools are counted.
fn content(message: &Object, importer: &mut Importer<'_>) -> Option<String> {
    let blocks = json::array(message, "content");
    let mut texts = Vec::new();
    for block in blocks {
        match block.get("type").and_then(Value::as_str) {
            Some("text") => texts.extend(block.get("text").and_then(Value::as_str)),
            Some("thinking" | "redacted_thinking") => importer.report().skip("reasoning", 1),
            Some("tool_use" | "server_tool_use") => importer.report().skip("calls of tools", 1),
            Some(kind) if kind.ends_with("tool_result") => {
                importer.report().skip("results of tools", 1);
            }
            Some("token_budget" | "flag") => {}
            Some(kind) => importer.report().count_unknown("content_type", kind),
            None => importer.report().skip("content without a type", 1),
        }
    }
    if blocks.is_empty() {
        texts.extend(json::text(message, "text"));
    }
    let text = texts.join("\n\n");
    (!text.trim().is_empty()).then_some(text)
}

fn time_of(object: &Object) -> Option<DateTime<Utc>> {
    time::parse(json::text(object, "created_at")?)
}
