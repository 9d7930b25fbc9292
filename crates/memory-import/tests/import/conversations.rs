//! ChatGPT and Claude.

use std::collections::BTreeSet;

use memory::MemoryKind;
use memory_import::Format;
use serde_json::json;

use crate::support::{Export, fixture, read, write};

/// Contents with their speakers, times and contexts.
fn turns(export: &Export) -> Vec<(&str, &str, String, &str)> {
    let turns = export.items.iter().map(|(_, item)| {
        let (speaker, role) = item.entities.first_key_value().expect("a speaker");
        assert_eq!(role, "speaker");
        let time = memory_json::time::format_exact(item.timestamp.expect("a time"));
        let context = item.context.as_deref().expect("a context");
        (item.content.as_str(), speaker.as_str(), time, context)
    });
    turns.collect()
}

fn turn(
    content: &'static str,
    speaker: &'static str,
    time: &str,
    context: &'static str,
) -> (&'static str, &'static str, String, &'static str) {
    (content, speaker, time.to_owned(), context)
}

#[test]
fn chatgpt_messages_of_the_shown_branch_are_read_in_order() {
    let export = read(Format::ChatGpt, &fixture("chatgpt"));
    assert_eq!(
        turns(&export),
        [
            turn(
                "Is this horse lame?",
                "user",
                "2026-03-01T09:30:20.250000Z",
                "Horse at the market"
            ),
            // It has no time of its own.
            turn(
                "Yes, on its left foreleg.",
                "assistant",
                "2026-03-01T09:30:20.250001Z",
                "Horse at the market"
            ),
            turn(
                "How far is the mill?",
                "user",
                "2026-03-02T09:30:10.000000Z",
                "Spoken"
            ),
        ]
    );
    assert_eq!(
        export.origins(),
        [
            "conversations.json, conversation 1, message 2",
            "conversations.json, conversation 1, message 6",
            "conversations.json, conversation 2, message 1",
        ]
    );
    let answer = export.item("Yes, on its left foreleg.");
    assert_eq!(answer.kind, MemoryKind::Experience);
    assert_eq!(answer.metadata["source"], "chatgpt");
    assert_eq!(answer.metadata["source_id"], "answer");
    assert_eq!(answer.metadata["conversation_id"], "conversation-1");
    assert_eq!(answer.metadata["model"], "gpt-4o");
    assert!(answer.related.is_empty());
    assert_eq!(
        export.item("How far is the mill?").metadata["source_id"],
        "spoken"
    );
}

#[test]
fn what_chatgpt_does_not_show_is_counted() {
    let export = read(Format::ChatGpt, &fixture("chatgpt"));
    assert!(export.refused.is_empty(), "{:?}", export.refused);
    for (what, count) in [
        ("hidden messages", 1),
        ("reasoning", 1),
        ("calls of tools", 1),
        ("results of tools", 1),
        ("messages of branches that are not shown", 1),
        ("images, recordings and other attachments", 1),
        ("other files", 1),
    ] {
        assert_eq!(export.skipped(what), count, "{what}: {:?}", export.report);
    }
    assert_eq!(export.report.skipped.len(), 7, "{:?}", export.report);
    let unknown: Vec<_> = export.report.unknown_fields.into_iter().collect();
    assert_eq!(
        unknown,
        [
            ("conversation.mood".to_owned(), 1),
            ("message.mood".to_owned(), 1)
        ]
    );
}

#[test]
fn damaged_chatgpt_conversations_are_refused_and_the_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let node = |parent: &str, text: &str| {
        json!({"parent": parent, "children": [], "message": {
            "author": {"role": "user"}, "create_time": 1.5,
            "content": {"content_type": "text", "parts": [text]},
        }})
    };
    let conversations = json!([
        7,
        {"title": "No messages"},
        {"title": "A circle", "current_node": "a", "create_time": "soon",
         "mapping": {"a": node("b", "First."), "b": node("a", "Second.")}},
        {"mapping": {"a": node("gone", "Alone."), "b": 7, "c": {"message": {}}}, "current_node": "a"},
        {"mapping": {"a": {"message": {"author": {"role": "critic"}}}}},
        {"mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"content_type": "hologram"}}}}},
        {"mapping": {}},
    ]);
    let path = write(folder.path(), "any name.json", conversations.to_string());
    let export = read(Format::ChatGpt, &path);
    assert_eq!(export.contents(), ["Second.", "First.", "Alone."]);
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(
        refused,
        [
            "any name.json, conversation 1",
            "any name.json, conversation 2"
        ]
    );
    assert_eq!(export.skipped("messages of unknown roles"), 1);
    assert_eq!(export.skipped("messages of unknown content types"), 1);
    assert_eq!(export.report.unknown_fields["content_type.hologram"], 1);
}

#[test]
fn claude_messages_and_attachments_are_read_in_order() {
    let export = read(Format::Claude, &fixture("claude/conversations.json"));
    assert_eq!(
        turns(&export),
        [
            turn(
                "Where does the mill stand?",
                "user",
                "2026-03-01T09:30:01.123456Z",
                "The mill"
            ),
            turn(
                "The river runs from the mill to the bridge.",
                "user",
                "2026-03-01T09:30:01.123456Z",
                "The mill"
            ),
            turn(
                "It stands north of the bridge.\n\nThe road goes past it.",
                "assistant",
                "2026-03-01T09:30:20.000000Z",
                "The mill"
            ),
            turn(
                "Older exports have no blocks.",
                "user",
                "2024-01-01T00:00:05.000000Z",
                "5b0f1c1e-0000-4000-8000-000000000002"
            ),
        ]
    );
    let question = export.item("Where does the mill stand?");
    let map = export.item("The river runs from the mill to the bridge.");
    assert_eq!(map.related[&question.id.unwrap()], "attached to");
    assert_eq!(map.metadata["file_name"], "map.txt");
    assert_eq!(map.metadata["source_id"], "message-1/attachment/1");
    assert_eq!(map.kind, MemoryKind::World);
    assert_eq!(question.metadata["source_id"], "message-1");
    for (what, count) in [
        ("images, files and other attachments without text", 2),
        ("reasoning", 1),
        ("calls of tools", 2),
        ("results of tools", 1),
        ("messages without text", 1),
    ] {
        assert_eq!(export.skipped(what), count, "{what}: {:?}", export.report);
    }
    assert_eq!(export.report.skipped.len(), 5, "{:?}", export.report);
    assert_eq!(export.report.unknown_fields.len(), 1);
    assert_eq!(export.report.unknown_fields["conversation.mood"], 1);
}

#[test]
fn damaged_claude_messages_are_refused_and_the_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let conversations = json!([
        {"chat_messages": 7},
        {"uuid": "c", "chat_messages": [
            7,
            {"sender": "human", "text": "No id."},
            {"uuid": "1", "sender": "oracle", "text": "Unknown sender."},
            {"uuid": "2", "sender": "human", "text": "Kept.", "created_at": "soon", "attachments": [7]},
        ]},
    ]);
    let path = write(folder.path(), "c.json", conversations.to_string());
    let export = read(Format::Claude, &path);
    assert_eq!(export.contents(), ["Kept."]);
    assert_eq!(export.item("Kept.").timestamp, None);
    assert_eq!(export.refused.len(), 3, "{:?}", export.refused);
    assert_eq!(export.skipped("messages of unknown senders"), 1);
}

#[test]
fn long_messages_are_split_at_sections_and_linked() {
    let folder = tempfile::tempdir().unwrap();
    let section = |n: usize| format!("# Section {n}\n\n{}\n\n", "word ".repeat(1_400));
    let text: String = (0..3).map(section).collect();
    let conversations = json!([{"uuid": "c", "name": "Long", "chat_messages": [
        {"uuid": "m", "sender": "human", "text": text, "created_at": "2026-03-01T09:30:00Z"},
    ]}]);
    let path = write(folder.path(), "c.json", conversations.to_string());
    let export = read(Format::Claude, &path);
    assert_eq!(
        export.origins(),
        [
            "c.json, conversation 1, message 1, part 1",
            "c.json, conversation 1, message 1, part 2",
            "c.json, conversation 1, message 1, part 3",
        ]
    );
    let items: Vec<_> = export.items.iter().map(|(_, item)| item).collect();
    let ids: Vec<_> = items.iter().map(|item| item.id.unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    for (index, item) in items.iter().enumerate() {
        assert!(item.content.starts_with(&format!("# Section {index}\n")));
        assert_eq!(item.metadata["part"], format!("{} of 3", index + 1));
        assert_eq!(item.metadata["source_id"], "m");
    }
    assert_eq!(items[0].related[&ids[1]], "next part");
    assert_eq!(items[1].related[&ids[0]], "previous part");
    assert_eq!(items[1].related.len(), 2);
    let times: Vec<_> = items.iter().map(|item| item.timestamp).collect();
    assert!(times.is_sorted() && times[0] != times[1], "{times:?}");
}
