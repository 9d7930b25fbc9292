//! Damaged and foreign files: the error names the file, what is wrong and what is expected,
//! and what was read before it is kept.

use std::fs;

use memory_import::{Format, ImportError};

use crate::support::{archive, fixture, options, read, read_error, read_with, write};

#[test]
fn a_truncated_export_names_the_place_and_keeps_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(fixture("chatgpt/conversations.json")).unwrap();
    let cut = text.find("\"Spoken\"").unwrap();
    let path = write(folder.path(), "conversations.json", &text[..cut]);
    let (items, outcome) = read_with(Format::ChatGpt, &path, &options());
    assert_eq!(items.len(), 2);
    let error = outcome.unwrap_err();
    let ImportError::Damaged { line, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*line, text[..cut].lines().count());
    let message = error.to_string();
    assert!(
        message.contains("conversations.json is damaged"),
        "{message}"
    );
    assert!(!message.contains("horse"), "{message}");
}

#[test]
fn half_a_character_does_not_end_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(fixture("chatgpt/conversations.json")).unwrap();
    let whole = read(Format::ChatGpt, &fixture("chatgpt/conversations.json"));
    // As a program writes it that cuts a text in the middle of an emoji.
    let text = text.replace("horse", r"horse \ud83d");
    let path = write(folder.path(), "conversations.json", &text);
    let export = read(Format::ChatGpt, &path);
    assert_eq!(export.items.len(), whole.items.len());
    let contents = export.items.iter().map(|(_, item)| &item.content);
    let replaced: usize = contents
        .map(|it| it.matches("horse \u{fffd}").count())
        .sum();
    assert!(replaced > 0);
    let counted = export.report.skipped["halves of characters, now U+FFFD"];
    assert!(counted >= replaced as u64, "{counted}");
}

#[test]
fn text_after_the_array_and_deep_nesting_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let nested = format!("[{}", "[".repeat(100_000));
    for text in ["[] []", "[1,]", "[\"\\u0000\"", "", "[nonsense]", &nested] {
        let path = write(folder.path(), "conversations.json", text);
        let error = read_error(Format::Claude, &path);
        assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_conversation_that_cannot_be_held_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = r#"{"uuid":"1","chat_messages":[{"uuid":"1","sender":"human","text":"Small."}]}"#;
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = format!(
        r#"{{"uuid":"2","chat_messages":[],"settings":{}}}"#,
        nested(200_000)
    );
    let huge = r#"{"uuid":"3","chat_messages":[],"summary":1e999}"#;
    let ignored = format!(r#"{{"more":{},"conversations":"#, nested(200_000));
    for (start, end) in [("", ""), (ignored.as_str(), ",\"x\":1}")] {
        let text = format!("{start}[{small},\n{deep},{huge},{small}]{end}");
        let export = read(Format::Claude, &write(folder.path(), "a.json", text));
        assert_eq!(export.contents(), ["Small."; 2]);
        let refused: Vec<(&str, &str)> = export
            .refused
            .iter()
            .map(|(origin, reason)| (origin.as_str(), reason.as_str()))
            .collect();
        assert_eq!(
            refused,
            [
                (
                    "a.json, conversation 2",
                    "it is nested more than 127 levels deep"
                ),
                (
                    "a.json, conversation 3",
                    "it has a number that is out of range"
                ),
            ]
        );
    }
}

#[test]
fn a_damaged_file_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"[{"uuid":"1","chat_messages":[{"uuid":"1","sender":"human","text":"Small."}]}]"#;
    write(
        folder.path(),
        "conversations-1.json",
        &good[..good.len() - 1],
    );
    write(folder.path(), "conversations-2.json", "{}");
    write(folder.path(), "conversations-3.json", good);
    let export = read(Format::Claude, folder.path());
    assert_eq!(
        export.contents(),
        ["Small."; 2],
        "also what came before damage"
    );
    let refused: Vec<&str> = export.refused.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(refused, ["conversations-1.json", "conversations-2.json"]);
    assert!(export.refused[0].1.contains("line 1"), "{export:?}");
    for (name, reason) in &export.refused {
        assert!(!reason.contains(name.as_str()), "named once: {reason}");
    }

    let graphs = tempfile::tempdir().unwrap();
    let line =
        r#"{"type":"entity","name":"Tam","entityType":"person","observations":["Pays late"]}"#;
    write(graphs.path(), "a/memory.json", "7");
    write(graphs.path(), "b/memory.jsonl", line);
    let export = read(Format::McpMemory, graphs.path());
    assert_eq!(export.contents(), ["Tam: Pays late"]);
    assert_eq!(export.refused[0].0, "a/memory.json");
}

#[test]
fn a_damaged_file_of_an_archive_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = |text: &str| {
        format!(
            r#"[{{"uuid":"{text}","chat_messages":[{{"uuid":"{text}","sender":"human","text":"{text}"}}]}}]"#
        )
    };
    let [first, second] = ["First.", "Second."].map(conversation);
    let name = "conversations-1.json";
    let files = [
        (name, first.as_bytes()),
        ("conversations-2.json", second.as_bytes()),
    ];
    let whole = fs::read(archive(folder.path(), &files)).unwrap();
    let find = |signature: &[u8], from: usize| {
        let mut windows = whole[from..].windows(signature.len());
        from + windows.position(|it| it == signature).unwrap()
    };
    let refused_reason = |bytes: &[u8]| {
        let path = write(folder.path(), "changed.zip", bytes);
        let export = read(Format::Claude, &path);
        assert!(export.contents().contains(&"Second."), "{export:?}");
        // A changed message of the first file may be refused before.
        let (origin, reason) = export.refused.last().unwrap();
        assert_eq!(origin, name);
        assert!(!reason.contains(name), "named once: {reason}");
        reason.clone()
    };
    // The first bit of each compressed byte.
    let start = 30 + name.len();
    for at in start..find(b"PK\x03\x04", start) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        refused_reason(&changed);
    }
    // The same fields of the local header and of the one in the directory.
    let directory = find(b"PK\x01\x02", start);
    let with = |offset: usize, value: u8| {
        let mut changed = whole.clone();
        changed[offset] = value;
        changed[directory + 2 + offset] = value;
        changed
    };
    let reason = refused_reason(&with(6, 1));
    assert!(reason.to_lowercase().contains("password"), "{reason}");
    let reason = refused_reason(&with(8, 97));
    assert!(reason.contains("not supported"), "{reason}");
}

#[test]
fn the_place_of_damage_is_that_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (text, place) in [
        ("[\n{},\n  {\"a\":\n   nul}\n]", (4, 7)),
        ("[{}, {\"a\" 1}]", (1, 11)),
        ("[{} {}]", (1, 5)),
        ("{\"conversations\":\n[] x", (2, 4)),
        ("{7:[]}", (1, 2)),
        ("{\"conversations\" []}", (1, 18)),
        ("[]\n\n ]", (3, 2)),
    ] {
        let path = write(folder.path(), "conversations.json", text);
        let error = read_error(Format::Claude, &path);
        let ImportError::Damaged { line, column, .. } = error else {
            panic!("{text}: {error}");
        };
        assert_eq!((line, column), place, "{text}");
    }
}

#[test]
fn json_of_another_kind_is_named_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (format, text, expected) in [
        (Format::ChatGpt, "7", "an array of conversations"),
        (Format::ChatGpt, "{\"a\": 1}", "an array of conversations"),
        (Format::Claude, "\"text\"", "an array of conversations"),
        (Format::Mem0, "{\"results\": 7}", "an array of memories"),
        (Format::Mem0, "{}", "an array of memories"),
        (Format::McpMemory, "[]", "lines of entities and relations"),
        (Format::McpMemory, "{\"a\":\n1}", "lines of entities"),
    ] {
        let path = write(folder.path(), "a.json", text);
        let error = read_error(format, &path);
        assert!(
            matches!(error, ImportError::UnexpectedShape { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains("a.json") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn files_of_other_kinds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, found) in [
        (b"\x1F\x8B\x08\0\0\0".as_slice(), "gzip"),
        (b"\xFF\xFE[\0]\0", "UTF-16"),
        (b"SQLite format 3\0", "SQLite"),
    ] {
        let path = write(folder.path(), "conversations.json", bytes);
        for format in [
            Format::ChatGpt,
            Format::Claude,
            Format::Mem0,
            Format::McpMemory,
        ] {
            let message = read_error(format, &path).to_string();
            assert!(
                message.contains("conversations.json") && message.contains(found),
                "{message}"
            );
        }
    }
}

#[test]
fn damaged_archives_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(fixture("claude/conversations.json")).unwrap();
    let whole = fs::read(archive(folder.path(), &[("conversations.json", &text)])).unwrap();

    let path = write(folder.path(), "short.zip", &whole[..whole.len() / 2]);
    let error = read_error(Format::Claude, &path);
    assert!(matches!(error, ImportError::Archive { .. }), "{error}");
    assert!(error.to_string().contains("short.zip"), "{error}");

    // The compressed bytes begin after a header of 30 bytes and the name.
    let mut changed = whole.clone();
    for byte in &mut changed[200..400] {
        *byte ^= 0x5A;
    }
    let path = write(folder.path(), "changed.zip", &changed);
    let (_, outcome) = read_with(Format::Claude, &path, &options());
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("conversations.json"), "{message}");

    let path = write(
        folder.path(),
        "empty.zip",
        b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    );
    let error = read_error(Format::Claude, &path);
    assert!(matches!(error, ImportError::NothingFound { .. }), "{error}");
}
