//! `import --from`: exports of other products are stored once, and what is not imported is
//! reported. The exports are those of the tests of `memory-import`.

use std::fs::{self, File};
use std::io::Write;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::test_dir::{TestDir, parse, path_str};

/// The path of an export.
fn fixture(path: &str) -> String {
    format!(
        "{}/../memory-import/tests/fixtures/{path}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// Imports twice and checks the counts, the second time as JSON.
#[track_caller]
fn import_twice(dir: &TestDir, from: &str, path: &str, imported: u64, refused: u64) {
    let code = if refused == 0 { 0 } else { 3 };
    let args = ["import", "--from", from, path, "--entity", "mira"];
    let run = dir.run(&args).code(code);
    let expected = format!("imported {imported}, already there 0, refused {refused} in ");
    assert!(run.out.starts_with(&expected), "{run:?}");
    let run = dir.run(&[&["--json"], args.as_slice()].concat()).code(code);
    let figures = run.json();
    assert_eq!(figures["imported"], 0, "{figures}");
    assert_eq!(figures["already_there"], imported, "{figures}");
    assert_eq!(figures["refused"], refused, "{figures}");
    assert!(figures["skipped"].is_object() && figures["unknown_fields"].is_object());
    assert!(figures.get("invalid_front_matter").is_none(), "{figures}");
}

#[test]
fn conversations_of_chatgpt_are_imported_once_with_their_speakers() {
    let dir = TestDir::new();
    let args = ["import", "--from", "chatgpt", "--entity", "mira"];
    let run = dir
        .run(&[&args, [fixture("chatgpt").as_str()].as_slice()].concat())
        .code(0);
    assert!(run.out.starts_with("imported 3, "), "{run:?}");
    assert!(
        run.err
            .contains("not imported: calls of tools (1), hidden messages (1)")
            && run
                .err
                .contains("unknown fields: conversation.mood (1), message.mood (1)"),
        "{run:?}"
    );
    // The archive that the product sends has the same memories.
    let mut archive = ZipWriter::new(File::create(dir.path("export.zip")).unwrap());
    archive
        .start_file("conversations.json", SimpleFileOptions::default())
        .unwrap();
    let text = fs::read(fixture("chatgpt/conversations.json")).unwrap();
    archive.write_all(&text).unwrap();
    archive.finish().unwrap();
    let run = dir
        .run(&[&args, ["export.zip"].as_slice()].concat())
        .code(0);
    assert!(
        run.out.starts_with("imported 0, already there 3, "),
        "{run:?}"
    );
    let listed = dir
        .run(&["--json", "list", "mira", "--involves", "user"])
        .code(0)
        .json();
    let memories = listed["memories"].as_array().unwrap();
    let contents: Vec<_> = memories.iter().map(|it| &it["memory"]["content"]).collect();
    assert_eq!(contents, ["How far is the mill?", "Is this horse lame?"]);
    let recalled = dir
        .run(&[
            "--json",
            "recall",
            "mira",
            "Which leg of the horse is lame?",
        ])
        .code(0)
        .json();
    let best = &recalled["memories"][0]["memory"];
    assert_eq!(best["context"], "Horse at the market", "{recalled}");
}

#[test]
fn conversations_of_claude_are_imported_once() {
    let dir = TestDir::new();
    import_twice(&dir, "claude", &fixture("claude"), 4, 0);
}

#[test]
fn memories_of_mem0_are_imported_once_for_one_entity_or_for_their_users() {
    let dir = TestDir::new();
    import_twice(&dir, "mem0", &fixture("mem0/memories.json"), 3, 1);
    let run = dir
        .run(&["import", "--from", "mem0", &fixture("mem0")])
        .code(3);
    assert!(run.out.starts_with("imported 2, "), "{run:?}");
    assert!(
        run.err
            .contains("refused: memories.json, memory 4: it names no user and no agent")
            && run.err.contains("2 of 4 items were refused"),
        "{run:?}"
    );
    let stats = dir.run(&["--json", "stats"]).code(0).json();
    assert_eq!(stats["entities"], 3);
}

#[test]
fn the_graph_of_the_mcp_server_is_imported_once() {
    let dir = TestDir::new();
    import_twice(
        &dir,
        "mcp-memory",
        &fixture("mcp-memory/memory.jsonl"),
        5,
        2,
    );
    let listed = dir.run(&["list", "mira", "--involves", "Tam"]).code(0);
    assert_eq!(listed.out.lines().count(), 3, "{listed:?}");
}

#[test]
fn sections_of_markdown_are_imported_once_and_linked() {
    let dir = TestDir::new();
    import_twice(&dir, "markdown", &fixture("markdown"), 4, 0);
    let listed = dir
        .run(&["--json", "list", "mira", "--meta", "heading=Roads > North"])
        .code(0)
        .json();
    let id = listed["memories"][0]["memory"]["id"].as_str().unwrap();
    let related = dir.run(&["related", "mira", id]).code(0);
    assert!(
        related.out.contains("next part") && related.out.contains("previous part"),
        "{related:?}"
    );
}

#[test]
fn notes_of_basic_memory_are_imported_once() {
    let dir = TestDir::new();
    import_twice(&dir, "basic-memory", &fixture("basic-memory"), 8, 0);
    let listed = dir
        .run(&["list", "mira", "--involves", "Inn Handbook"])
        .code(0);
    assert!(
        listed
            .out
            .contains("Coffee Brewing Methods is part of Inn Handbook"),
        "{listed:?}"
    );
}

#[test]
fn what_came_before_damage_is_imported() {
    let dir = TestDir::new();
    let text = fs::read_to_string(fixture("chatgpt/conversations.json")).unwrap();
    let cut = text.find("\"Spoken\"").unwrap();
    dir.write("conversations.json", &text[..cut]);
    let args = ["import", "--from", "chatgpt", "--entity", "mira"];
    let run = dir
        .run(&[&args, ["conversations.json"].as_slice()].concat())
        .code(3);
    assert!(run.out.starts_with("imported 2, "), "{run:?}");
    assert!(
        run.err
            .contains("error: conversations.json is damaged at line "),
        "{run:?}"
    );
    let stats = dir.run(&["--json", "stats"]).code(0).json();
    assert_eq!(stats["memories"], 2);
}

#[test]
fn what_cannot_be_imported_is_named_and_creates_no_database() {
    let dir = TestDir::new();
    let json = |args: &[&str]| dir.run(&[&["--json", "import", "--from"], args].concat());
    let message = json(&["claude", &fixture("claude")]).fails(2, "usage");
    assert!(message.contains("--entity"), "{message}");
    let message = json(&["claude", "-", "--entity", "mira"]).fails(2, "usage");
    assert!(message.contains("standard input"), "{message}");
    let message = json(&["gemini", "x", "--entity", "mira"]).fails(2, "usage");
    assert!(
        message.contains("chatgpt") && message.contains("basic-memory"),
        "{message}"
    );
    json(&["claude", "nowhere", "--entity", "mira"]).fails(1, "io");

    dir.write("export.jsonl", "{}\n");
    let run = json(&["markdown", ".", "--entity", "mira"]).code(3);
    let error = run.json_error();
    assert_eq!(error["kind"], "invalid_input");
    assert!(
        error["message"].as_str().unwrap().contains("end in .md"),
        "{error}"
    );
    dir.write("export.zip", "PK\x03\x04 not an archive");
    let run = json(&["claude", "export.zip", "--entity", "mira"]).code(3);
    assert!(run.err.contains("ZIP archive"), "{run:?}");
    assert_eq!(
        dir.names(),
        ["export.jsonl", "export.zip"],
        "no database was created"
    );
}

#[test]
fn a_long_document_is_split_on_request_and_retained_once() {
    let dir = TestDir::new();
    let section = |n: usize| format!("# Day {n}\n\n{}\n\n", "It rained again. ".repeat(400));
    let text: String = (0..3).map(section).collect();
    let run = dir.run_on(&["retain", "mira", "-"], &text).code(3);
    assert!(run.err.contains("at most 10000"), "{run:?}");
    assert_eq!(dir.names(), [""; 0]);

    let id = "0192d3a0-0000-7000-8000-000000000001";
    let args = ["retain", "mira", "-", "--split", "--id", id];
    let run = dir.run_on(&args, &text).code(0);
    let ids: Vec<&str> = run.out.lines().collect();
    assert_eq!((ids.len(), ids[0]), (3, id), "{run:?}");
    let args = [&["--json"], args.as_slice()].concat();
    let again = dir.run_on(&args, &text).code(0).json();
    assert_eq!(again, parse(&format!(r#"{{"ids":{ids:?}}}"#)));
    let stats = dir.run(&["--json", "stats"]).code(0).json();
    assert_eq!(stats["memories"], 3);
    let related = dir.run(&["related", "mira", ids[1]]).code(0);
    assert!(
        related.out.contains("next part") && related.out.contains("previous part"),
        "{related:?}"
    );
}

#[test]
fn an_export_that_contains_the_database_is_read_next_to_it() {
    let dir = TestDir::new();
    dir.write("note.md", "The mill burned down.\n");
    let args = ["import", "--from", "markdown", ".", "--entity", "mira"];
    dir.run(&args).code(0);
    let run = dir.run(&args).code(0);
    assert!(
        run.out.starts_with("imported 0, already there 1, "),
        "{run:?}"
    );
    let database = dir.path("memory.db");
    let args = ["import", "--from", "markdown", "--entity", "mira"];
    let refused = dir
        .run(&[&args, [path_str(&database)].as_slice()].concat())
        .code(2);
    assert!(refused.err.contains("the database"), "{refused:?}");
}

#[test]
fn damaged_front_matter_is_named_and_a_changed_memory_is_a_conflict() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("notes")).unwrap();
    dir.write("notes/a.md", "---\ntags: [a\n---\nRain.\n");
    let args = ["import", "--from", "markdown", "notes", "--entity", "mira"];
    let run = dir.run(&args).code(0);
    assert!(
        run.err
            .contains("fields in invalid YAML left out of the front matter of: a.md"),
        "{run:?}"
    );
    assert!(!run.err.contains("not imported"), "said once: {run:?}");
    let figures = dir.run(&[&["--json"], args.as_slice()].concat()).json();
    assert_eq!(figures["invalid_front_matter"][0], "a.md", "{figures}");
    let listed = dir.run(&["--json", "list", "mira"]).code(0).json();
    let id = listed["memories"][0]["memory"]["id"].as_str().unwrap();
    dir.run(&["update", "mira", id, "--content", "Sun."])
        .code(0);
    let run = dir.run(&args).code(5);
    assert!(
        run.out
            .starts_with("imported 0, already there 0, refused 1"),
        "{run:?}"
    );
    let kept = dir.run(&["list", "mira"]).code(0);
    assert!(kept.out.contains("Sun."), "{kept:?}");
}
