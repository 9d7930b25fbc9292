//! What real exports contain now and then, and hand-made fixtures rarely do.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use memory_import::Format;
use serde_json::json;

use crate::support::{archive, options, read, write};

#[test]
fn chatgpt_messages_without_content_are_counted_and_the_branch_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let node = |parent: serde_json::Value, role: &str, content: serde_json::Value| {
        json!({"parent": parent, "children": [], "message": {
            "author": {"role": role, "name": null, "metadata": {}},
            "create_time": null, "content": content, "recipient": "all", "weight": 1.0,
        }})
    };
    let text = |parts: serde_json::Value| json!({"content_type": "text", "parts": parts});
    let conversations = json!([{
        "title": null, "create_time": 1_772_357_400, "conversation_id": "c",
        "current_node": "i", "mapping": {
            "root": {"id": "root", "message": null, "parent": null, "children": ["a"]},
            "a": node(json!("root"), "system", text(json!([""]))),
            "b": node(json!("a"), "user", json!(null)),
            "c": node(json!("b"), "user", text(json!(null))),
            "d": node(json!("c"), "user", text(json!([null]))),
            "e": node(json!("d"), "user", json!({"content_type": "multimodal_text", "parts": [
                {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x", "size_bytes": 7},
                null,
                {"content_type": "audio_transcription", "text": "Spoken.", "direction": "in"},
                "Typed.",
            ]})),
            "f": node(json!("e"), "tool", json!({"content_type": "execution_output", "text": "42"})),
            "g": node(json!("f"), "assistant", json!({"content_type": "tether_quote", "text": "Quoted."})),
            "h": node(json!("g"), "assistant", text(json!(["Answer \u{1f40e}.", "", "More."]))),
            "i": node(json!("h"), "user", json!({"content_type": null, "parts": ["Last."]})),
            "other": node(json!("e"), "assistant", text(json!(["An answer that was replaced."]))),
        },
    }]);
    let path = write(
        folder.path(),
        "conversations.json",
        conversations.to_string(),
    );
    let export = read(Format::ChatGpt, &path);
    assert_eq!(
        export.contents(),
        [
            "Spoken.\n\nTyped.",
            "Answer \u{1f40e}.\n\n\n\nMore.",
            "Last."
        ]
    );
    assert!(export.refused.is_empty(), "{:?}", export.refused);
    for (what, count) in [
        ("messages without text", 3),
        ("images, recordings and other attachments", 1),
        ("results of tools", 1),
        ("messages of unknown content types", 1),
        ("messages of branches that are not shown", 1),
        ("system messages", 1),
    ] {
        assert_eq!(export.skipped(what), count, "{what}: {:?}", export.report);
    }
    let last = export.item("Last.");
    assert_eq!(last.context.as_deref(), Some("c"), "there is no title");
    let times: Vec<_> = export
        .items
        .iter()
        .map(|(_, item)| item.timestamp)
        .collect();
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
}

#[test]
fn claude_messages_that_are_only_attachments_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let conversations = json!([{
        "uuid": "c", "name": "", "created_at": "2026-03-01T09:30:00+01:00",
        "account": {"uuid": "a"},
        "chat_messages": [
            {"uuid": "1", "sender": "human", "text": "", "content": [{"type": "text", "text": ""}],
             "attachments": [
                {"file_name": "", "file_size": 3, "file_type": "txt", "extracted_content": "Notes."},
                {"file_name": "blank.txt", "extracted_content": " \n"},
                {"file_name": "null.txt", "extracted_content": null},
             ], "files": [{"file_name": "photo.jpg"}]},
            {"uuid": "2", "sender": "assistant", "content": null, "text": "An old answer.",
             "attachments": null, "files": null},
            {"uuid": "3", "sender": "human", "content": [null, 7, {"type": "text"}], "text": "Ignored."},
        ],
    }]);
    let path = write(
        folder.path(),
        "conversations.json",
        conversations.to_string(),
    );
    let export = read(Format::Claude, &path);
    assert_eq!(export.contents(), ["Notes.", "An old answer."]);
    let notes = export.item("Notes.");
    assert!(!notes.metadata.contains_key("file_name"), "it has no name");
    assert!(notes.related.is_empty(), "its message is no memory");
    assert_eq!(notes.context.as_deref(), Some("c"), "there is no name");
    let time = memory_json::time::format_exact(notes.timestamp.unwrap());
    assert_eq!(time, "2026-03-01T08:30:00.000001Z");
    assert_eq!(export.skipped("messages without text"), 2);
    assert_eq!(
        export.skipped("images, files and other attachments without text"),
        3
    );
    assert!(export.refused.is_empty(), "{:?}", export.refused);
}

#[test]
fn markdown_is_split_at_headings_and_at_nothing_that_looks_like_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = "---\r\ntags:\r\n  - \"#market\"\r\n  - 7\r\ncreated: 2026-03-01\r\naliases: []\r\n\
                source: https://inn.example/horses\r\n---\r\n\
                - One\r\n  - Two\r\n    - Three\r\n\r\n      # in a list\r\n\r\n\
                ~~~sh\r\n# in a fence\r\n```\r\n## still in it\r\n~~~\r\n\r\n\
                \x20   # in code\r\n\r\n<!--\r\n# in a comment\r\n-->\r\n\r\n#tag\r\n\r\n\
                # Real #\r\n\r\n1. First\r\n   - Nested\r\n\r\n####### seven\r\n\r\n\
                ## Open\r\n\r\n```\r\n# never closed\r\n";
    let path = write(folder.path(), "horses.md", text);
    let export = read(Format::Markdown, &path);
    let headings: Vec<Option<&str>> = export
        .items
        .iter()
        .map(|(_, item)| item.metadata.get("heading").map(String::as_str))
        .collect();
    assert_eq!(headings, [None, Some("Real"), Some("Real > Open")]);
    let first = &export.items[0].1;
    for part in [
        "in a list",
        "in a fence",
        "still in it",
        "in code",
        "in a comment",
        "#tag",
    ] {
        assert!(first.content.contains(part), "{part}");
    }
    assert!(export.items[1].1.content.contains("seven"));
    assert!(export.items[2].1.content.contains("never closed"));
    for (_, item) in &export.items {
        let tags: Vec<&str> = item.tags.iter().map(String::as_str).collect();
        assert_eq!(tags, ["7", "market"]);
        assert_eq!(item.metadata["source"], "markdown");
        assert_eq!(
            item.metadata["original_source"],
            "https://inn.example/horses"
        );
        assert!(item.timestamp.is_some());
    }
    assert!(export.refused.is_empty(), "{:?}", export.refused);
}

#[test]
fn mem0_values_of_other_types_are_kept_as_text_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let memories = json!({"results": [{
        "id": "1", "memory": "Sells horses.", "user_id": 7, "agent_id": null,
        "categories": ["market", null, 7, ""], "created_at": 1_772_357_400,
        "metadata": {"source": "phone", "": "no key", "nested": {"a": [1]}, "none": null},
        "hash": null, "expiration_date": null, "embedding_model": "unknown field", "score": 0.5,
    }, {
        "id": 2, "memory": "Its id is a number.",
    }, null], "relations": [{"source": "tam"}], "cursor": "unknown field"});
    let path = write(folder.path(), "mem0.json", memories.to_string());
    let export = read(Format::Mem0, &path);
    assert_eq!(export.contents(), ["Sells horses."]);
    let memory = export.item("Sells horses.");
    let tags: Vec<&str> = memory.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["market"]);
    assert_eq!(memory.metadata["source"], "mem0");
    assert_eq!(memory.metadata["original_source"], "phone");
    assert_eq!(memory.metadata["nested"], r#"{"a":[1]}"#);
    assert_eq!(memory.metadata.len(), 4, "{:?}", memory.metadata);
    let unknown: Vec<&str> = export
        .report
        .unknown_fields
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(unknown, ["file.cursor", "memory.embedding_model"]);
    assert_eq!(export.refused.len(), 2);
}

#[test]
fn lines_of_the_mcp_server_may_be_blank_marked_and_of_windows() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\u{feff}{\"type\":\"entity\",\"name\":\"Tam\",\"entityType\":\"person\",\
                \"observations\":[\"Sells horses\",null,{\"text\":\"x\"}],\"createdAt\":\"today\"}\r\n\
                \r\n{\"type\":\"entity\",\"name\":\"Edda\",\"entityType\":null,\"observations\":null}\r\n\
                {\"type\":\"relation\",\"from\":\"Tam\",\"to\":\"Edda\",\"relationType\":\"knows\",\"weight\":1}\r\n\
                [1]\r\n{\"type\":\"relation\",\"from\":\"Tam\"";
    let path = write(folder.path(), "memory.jsonl", text);
    let export = read(Format::McpMemory, &path);
    assert_eq!(
        export.contents(),
        ["Tam: Sells horses", "Edda (entity)", "Tam knows Edda"]
    );
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(
        refused,
        [
            "memory.jsonl, line 1, observation 2",
            "memory.jsonl, line 1, observation 3",
            "memory.jsonl, line 5",
            "memory.jsonl, line 6"
        ]
    );
    let unknown: Vec<&str> = export
        .report
        .unknown_fields
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(unknown, ["entity.createdAt", "relation.weight"]);
}

#[test]
fn archives_with_folders_and_paths_of_windows_are_read() {
    let conversation =
        r#"[{"uuid":"c","chat_messages":[{"uuid":"m","sender":"human","text":"Rain."}]}]"#;
    for name in [
        "export-2026/data/conversations.json",
        "export-2026\\data\\conversations.json",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 3] = [
            (name, conversation.as_bytes()),
            ("export-2026/.cache/conversations.json", b"damaged"),
            ("export-2026\\.cache\\conversations.json", b"damaged"),
        ];
        let export = read(Format::Claude, &archive(folder.path(), &files));
        assert_eq!(export.contents(), ["Rain."]);
        assert_eq!(
            export.origins(),
            ["export-2026/data/conversations.json, conversation 1, message 1"]
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_read() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let inner = notes.join(OsStr::from_bytes(b"Caf\xE9"));
    fs::create_dir_all(&inner).unwrap();
    fs::write(
        inner.join(OsStr::from_bytes(b"M\xFChle.md")),
        "By the river.",
    )
    .unwrap();
    fs::write(notes.join("plain.md"), "By the road.").unwrap();
    let export = read(Format::Markdown, &notes);
    assert_eq!(export.contents(), ["By the river.", "By the road."]);
    assert_eq!(export.origins()[0], "Caf\u{fffd}/M\u{fffd}hle.md");

    // In an archive such a name is in the code page of the first PCs.
    let path = archive(folder.path(), &[("M~hle.md", b"By the river.")]);
    let mut bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"M~hle") {
            bytes[at + 1] = 0x81;
        }
    }
    fs::write(&path, bytes).unwrap();
    let export = read(Format::Markdown, &path);
    assert_eq!(export.contents(), ["By the river."]);
    assert_eq!(export.origins(), ["M\u{fc}hle.md"]);
}

#[test]
fn a_heading_that_is_too_long_does_not_lose_its_section() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("# {}\n\nThe body.\n", "h".repeat(70_000));
    let path = write(folder.path(), "a.md", text);
    let export = read(Format::Markdown, &path);
    assert!(export.refused.is_empty(), "{:?}", export.refused);
    assert!(export.contents().iter().any(|it| it.contains("The body.")));
    let cut = export.skipped("ends of headings and ids beyond 1,024 bytes");
    assert_eq!(cut, 2, "once for the text, not for each of its parts");
}

/// A long title that no observation and no relation begins with, and metadata of the user that
/// has a name of the format's own.
#[test]
fn what_is_whole_is_not_counted_as_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let title = "t".repeat(2_000);
    let field = "f".repeat(20_000);
    let text =
        format!("---\ntitle: {title}\nconversation_id: {field}\nheading: {field}\n---\nProse.\n");
    let note = write(folder.path(), "a.md", text);
    let lines = json!({"type": "entity", "name": title, "entityType": "t", "observations": [""]});
    let lines = write(folder.path(), "memory.jsonl", lines.to_string());
    let what = "ends of names of more than 1,024 characters before observations";
    for (format, path) in [
        (Format::Markdown, &note),
        (Format::BasicMemory, &note),
        (Format::McpMemory, &lines),
    ] {
        let export = read(format, path);
        assert_eq!(export.skipped(what), 0, "{format:?}");
        let cut = export.skipped("ends of headings and ids beyond 1,024 bytes");
        for (_, item) in &export.items {
            assert_eq!(cut, 0, "{format:?}");
            assert_eq!(item.metadata["conversation_id"], field);
            assert_eq!(item.metadata["heading"], field);
        }
    }
}

#[test]
fn a_note_that_begins_with_the_letters_of_bzip2_is_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.md", "BZhang called.\n");
    assert_eq!(read(Format::Markdown, &path).contents(), ["BZhang called."]);
}

/// What is held of a note must not be a multiple of what its sections have in common.
#[test]
fn a_note_with_many_sections_is_not_held_as_memories() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(60_000);
    let front_matter = format!("---\nk: {long}\n---\n{}", "# a\nb\n".repeat(100_000));
    let title = format!("# {long}\n{}", "## b\nc\n".repeat(100_000));
    for text in [front_matter, title] {
        for format in [Format::Markdown, Format::BasicMemory] {
            let path = write(folder.path(), "a.md", text.as_str());
            let start = Instant::now();
            let report = memory_import::read(format, &path, &options(), &mut |record| {
                assert!(record.item.is_ok(), "{:?}", record.item);
                ControlFlow::Break(())
            });
            report.unwrap();
            // A build for debugging, on a machine that does other things as well. What is
            // held is the peak below.
            assert!(start.elapsed() < Duration::from_secs(60));
        }
    }
    // Each test is a process of its own with nextest; with others in it, it is not more
    // than this either.
    if let Some(peak) = peak_kib() {
        assert!(peak < 1024 * 1024, "{peak} KiB");
    }
}

/// The largest size of this process so far.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn long_names_before_many_observations_do_not_make_a_small_file_large() {
    let folder = tempfile::tempdir().unwrap();
    let name = "n".repeat(100_000);
    let line = json!({"type": "entity", "name": name, "entityType": "t",
        "observations": vec!["a"; 100]});
    let lines = write(folder.path(), "memory.jsonl", line.to_string());
    let note = format!("# {name}\n\n{}", "- [c] a\n".repeat(100));
    let note = write(folder.path(), "a.md", note);
    let id = "i".repeat(50_000);
    let message = |n: usize| json!({"uuid": n.to_string(), "sender": "human", "text": "Rain."});
    let messages: Vec<_> = (0..100).map(message).collect();
    let conversation = json!([{"uuid": id, "name": "n", "chat_messages": messages}]);
    let conversation = write(
        folder.path(),
        "conversations.json",
        conversation.to_string(),
    );
    for (format, path) in [
        (Format::McpMemory, lines),
        (Format::BasicMemory, note),
        (Format::Claude, conversation),
    ] {
        let export = read(format, &path);
        assert!(export.refused.is_empty(), "{:?}", export.refused);
        let size = export.items.iter().map(|(_, item)| {
            let metadata = item.metadata.iter();
            let metadata = metadata.map(|(key, value)| key.len() + value.len());
            item.content.len() + metadata.sum::<usize>()
        });
        let size: usize = size.sum();
        let ids: BTreeSet<_> = export.items.iter().map(|(_, item)| item.id).collect();
        assert_eq!(ids.len(), export.items.len());
        assert!(ids.len() >= 100 && size < 700_000, "{format:?}: {size}");
    }
}
