//! Import restores exactly what export wrote.

use crate::test_dir::{TestDir, parse, path_str};

/// Two entities, every key of a line, and difficult values.
const RICH: &str = concat!(
    r#"{"entity":"tam","content":"Mira pays late.","kind":"opinion","timestamp":"2026-03-01T09:00:00.000001Z"}"#,
    "\n",
    r#"{"entity":"mira","content":"Line one.\nLine \"two\".\ttab \u0001 水车 🌾","kind":"world","timestamp":"0001-01-01T00:00:00Z","context":"","importance":0.1,"tags":["b","a","b"],"metadata":{"k":"","ключ":"значение"},"entities":{"tam":"seller","水":""},"related":{"0192d3a0-0000-7000-8000-000000000002":"causes"},"id":"0192d3a0-0000-7000-8000-000000000001"}"#,
    "\n",
    r#"{"entity":"mira","content":"  Kept with its spaces.  ","timestamp":"9999-12-31T23:59:59.999999Z","importance":0.33333334,"id":"00000000-0000-0000-0000-000000000000"}"#,
    "\n",
    r#"{"entity":"mira","content":"Nothing is said of me."}"#,
    "\n",
    r#"{"entity":"mira","content":"Same moment.","timestamp":"2026-03-01T09:00:00Z","importance":0}"#,
    "\n",
    r#"{"entity":"mira","content":"Same moment.","timestamp":"2026-03-01T09:00:00Z","importance":1}"#,
    "\n",
);

#[test]
fn export_import_export_is_byte_identical() {
    let dir = TestDir::new();
    let imported = dir.run_on(&["import", "-"], RICH).code(0);
    assert!(imported.out.starts_with("imported 6,"), "{imported:?}");
    let first = dir.run(&["export", "--output", "first.jsonl"]).code(0);
    assert_eq!(first.out, "exported 6 to first.jsonl\n");
    let other = ["--db", "sqlite://other.db"];
    let again = dir
        .run(&[&["import", "first.jsonl"], other.as_slice()].concat())
        .code(0);
    assert!(again.out.starts_with("imported 6,"), "{again:?}");
    let second = dir.run(&[&["export"], other.as_slice()].concat()).code(0);
    assert_eq!(dir.read("first.jsonl"), second.out);

    // Entities by name, each newest first, with all values unchanged.
    let lines: Vec<_> = second.out.lines().map(parse).collect();
    let entities: Vec<_> = lines
        .iter()
        .map(|line| line["entity"].as_str().unwrap())
        .collect();
    assert_eq!(entities, ["mira", "mira", "mira", "mira", "mira", "tam"]);
    assert_eq!(lines[0]["content"], "  Kept with its spaces.  ");
    assert_eq!(lines[0]["timestamp"], "9999-12-31T23:59:59.999999Z");
    assert!(
        second.out.contains(r#""importance":0.33333334}"#),
        "{}",
        second.out
    );
    let oldest = parse(RICH.lines().nth(1).unwrap_or_default());
    for key in [
        "id",
        "content",
        "kind",
        "context",
        "importance",
        "metadata",
        "entities",
        "related",
    ] {
        assert_eq!(lines[4][key], oldest[key], "{key}");
    }
    assert_eq!(lines[4]["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(lines[4]["timestamp"], "0001-01-01T00:00:00.000000Z");

    // One entity, into a file that is replaced; no temporary file is left.
    let run = dir
        .run(&[
            "--json",
            "export",
            "--entity",
            "tam",
            "--output",
            "first.jsonl",
        ])
        .code(0);
    assert_eq!(run.json()["exported"], 1);
    assert_eq!(
        dir.read("first.jsonl"),
        second.out.lines().last().unwrap_or_default().to_owned() + "\n"
    );
    assert!(
        !dir.names().iter().any(|name| name.contains(".part")),
        "{:?}",
        dir.names()
    );

    let nowhere = dir.path("no/such/folder.jsonl");
    let run = dir.run(&["--json", "export", "--output", path_str(&nowhere)]);
    assert!(run.fails(6, "missing").contains("folder.jsonl"));
}

/// Two near-duplicates, so that consolidate makes a summary.
const TWICE: &str = concat!(
    r#"{"entity":"mira","content":"The ferry leaves the harbour at dawn.","timestamp":"2026-03-01T09:00:00Z","decay_rate":0.3,"access_count":7,"last_accessed":"2026-03-02T09:00:00.000001Z"}"#,
    "\n",
    r#"{"entity":"mira","content":"The ferry leaves the harbour at dawn!","timestamp":"2026-03-01T10:00:00Z"}"#,
    "\n",
    r#"{"entity":"mira","content":"Bread is dear.","timestamp":"2026-03-01T11:00:00Z"}"#,
    "\n",
);

#[test]
fn archived_memories_summaries_and_counts_are_restored() {
    let dir = TestDir::new();
    dir.run_on(&["import", "-"], TWICE).code(0);
    let low = dir.run(&["--json", "consolidate", "mira"]).code(0).json();
    assert_eq!(low["summaries"].as_array().map(Vec::len), Some(1), "{low}");
    // A third, so that the summary is summarized in turn.
    dir.run(&["retain", "mira", "The ferry leaves the harbour at dawn."])
        .code(0);
    dir.run(&["consolidate", "mira"]).code(0);
    let stats = dir.run(&["--json", "stats"]).code(0).json();
    let counts = &stats["by_entity"][0];
    assert_eq!(
        (&counts["memories"], &counts["archived"]),
        (&2.into(), &4.into())
    );

    dir.run(&["export", "--output", "first.jsonl"]).code(0);
    let first = dir.read("first.jsonl");
    assert_eq!(first.lines().count(), 6);
    assert!(first.contains(
        r#""decay_rate":0.3,"access_count":7,"last_accessed":"2026-03-02T09:00:00.000001Z""#
    ));
    let other = ["--db", "sqlite://other.db"];
    let import = [&["import", "first.jsonl", "--batch", "2"], other.as_slice()].concat();
    let first_import = dir.run(&import).code(0);
    assert!(
        first_import.out.starts_with("imported 6,"),
        "{first_import:?}"
    );
    let second = dir.run(&[&["export"], other.as_slice()].concat()).code(0);
    assert_eq!(second.out, first);
    let again = dir.run(&import).code(0);
    assert!(
        again.out.starts_with("imported 0, already there 6,"),
        "{again:?}"
    );

    // Without its summary an archived memory stays live, which is reported.
    let orphan: String = first
        .lines()
        .take(1)
        .map(|line| line.to_owned() + "\n")
        .collect();
    let third = ["--db", "sqlite://third.db"];
    let run = dir.run_on(&[&["import", "-"], third.as_slice()].concat(), orphan);
    let run = run.code(0);
    assert!(
        run.err.contains("1 archived memory had no summary"),
        "{run:?}"
    );
    // A summary before its sources does not archive them.
    let backwards: String = first
        .lines()
        .rev()
        .map(|line| line.to_owned() + "\n")
        .collect();
    let fourth = ["--db", "sqlite://fourth.db"];
    let run = dir.run_on(&[&["import", "-"], fourth.as_slice()].concat(), backwards);
    let run = run.code(0);
    assert!(
        run.err.contains("4 archived memories had no summary"),
        "{run:?}"
    );
}
