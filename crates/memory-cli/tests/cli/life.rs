//! A memory's life: retained, recalled, listed, counted, forgotten.

use crate::bench::Bench;

const STORY: &str = concat!(
    r#"{"content":"Tam sold me a lame horse at the spring market.","timestamp":"2026-03-01T09:00:00Z","tags":["market"],"entities":{"tam":"seller"}}"#,
    "\n",
    r#"{"content":"The mill stands north of the bridge.","kind":"world","timestamp":"2026-03-02T09:00:00Z","metadata":{"place":"mill"}}"#,
    "\n",
    r#"{"content":"The baker's daughter plays the flute at dusk.","kind":"observation","timestamp":"2026-03-03T09:00:00Z"}"#,
    "\n",
);

#[test]
fn a_memory_is_retained_recalled_listed_and_forgotten() {
    let bench = Bench::new();
    bench
        .run_on(&["import", "-", "--entity", "mira"], STORY)
        .code(0);

    // Retained from an argument, with everything that can be said of it; the
    // entity is told from one who takes part.
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let retain = [
        "--json",
        "retain",
        "mira",
        "Old Harl drowned in the mill pond.",
        "--kind",
        "experience",
        "--tag",
        "death",
        "--tag",
        "mill",
        "--meta",
        "place=pond",
        "--entity",
        "harl=victim",
        "--context",
        "spring",
        "--importance",
        "0.9",
        "--timestamp",
        "2026-03-04T10:00:00+01:00",
        "--id",
        id,
    ];
    assert_eq!(bench.run(&retain).code(0).json()["id"], id);
    assert_eq!(
        bench.run(&retain).code(0).json()["id"],
        id,
        "again: a no-op"
    );

    // RecallHit by its meaning, before the others.
    let run = bench.run(&[
        "--json",
        "recall",
        "mira",
        "Who died in the water?",
        "--limit",
        "2",
    ]);
    let found = run.code(0).json()["memories"].clone();
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    assert!(
        found[0]["score"].as_f64() > found[1]["score"].as_f64(),
        "{found}"
    );
    assert!(found[0]["similarity"].as_f64() > Some(0.2), "{found}");
    let expected = crate::bench::parse(
        r#"{"entity":"mira","id":"0192d3a0-0000-7000-8000-000000000001","kind":"experience",
        "timestamp":"2026-03-04T09:00:00.000000Z","content":"Old Harl drowned in the mill pond.",
        "context":"spring","importance":0.9,"tags":["death","mill"],"metadata":{"place":"pond"},
        "entities":{"harl":"victim"}}"#,
    );
    assert_eq!(found[0]["memory"], expected);

    // For people: one line a memory under a header.
    let run = bench
        .run(&["recall", "mira", "Who sold the horse?", "--limit", "1"])
        .code(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(
        lines[0].starts_with("score") && lines.len() == 2,
        "{}",
        run.out
    );
    assert!(lines[1].contains("2026-03-01T09:00:00Z") && lines[1].ends_with("spring market."));

    // Forgotten by another it is not found, by its own it is gone.
    let run = bench.run(&["--json", "forget", "tam", id]);
    assert!(run.fails(4, "not_found").contains(id));
    let forgot = bench.run(&["--json", "forget", "mira", id]).code(0).json();
    assert_eq!(
        (&forgot["forgotten"], &forgot["gone"][0]),
        (&id.into(), &id.into())
    );
    bench
        .run(&["--json", "forget", "mira", id])
        .fails(4, "not_found");
    let stats = bench.run(&["--json", "stats", "mira"]).code(0).json();
    assert_eq!(stats["memories"], 3, "{stats}");
    assert!(
        stats["by_entity"][0]["generation"].as_u64() >= Some(3),
        "{stats}"
    );
}

#[test]
fn filters_choose_and_pages_turn() {
    let bench = Bench::new();
    bench
        .run_on(&["import", "-", "--entity", "mira"], STORY)
        .code(0);
    let contents = |args: &[&str]| {
        let run = bench.run(args).code(0);
        let page = run.json();
        let memories = page["memories"].as_array().expect("a list").clone();
        let first = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let of = |memory: &serde_json::Value| first(memory["memory"]["content"].as_str().unwrap());
        (
            memories.iter().map(of).collect::<Vec<_>>(),
            page["next"].clone(),
        )
    };
    let list = |options: &[&str]| contents(&[&["--json", "list", "mira"], options].concat()).0;
    // The first words of the three, newest first: The (baker), The (mill), Tam.
    assert_eq!(list(&[]), ["The", "The", "Tam"]);
    assert_eq!(
        list(&["--tag", "market", "--tag-mode", "any-strict"]),
        ["Tam"]
    );
    assert_eq!(
        list(&["--tag", "market"]).len(),
        3,
        "any lets untagged ones through"
    );
    assert_eq!(
        list(&["--kind", "world", "--kind", "observation"]),
        ["The", "The"]
    );
    assert_eq!(list(&["--until", "2026-03-02T09:00:00Z"]), ["Tam"]);
    assert_eq!(list(&["--from", "2026-03-02T09:00:00Z"]), ["The", "The"]);
    assert_eq!(list(&["--meta", "place=mill"]), ["The"]);
    assert_eq!(list(&["--meta", "place=bridge"]), [""; 0]);
    assert_eq!(list(&["--involves", "tam"]), ["Tam"]);

    let (page, next) = contents(&["--json", "list", "mira", "--limit", "2"]);
    assert_eq!(page, ["The", "The"]);
    let next = next.as_str().expect("there is more");
    let (page, end) = contents(&["--json", "list", "mira", "--limit", "2", "--after", next]);
    assert_eq!(page, ["Tam"]);
    assert!(end.is_null());
    let human = bench.run(&["list", "mira", "--limit", "2"]).code(0);
    assert_eq!(human.out.lines().count(), 2);
    assert!(human.err.contains(&format!("--after {next}")), "{human:?}");

    // Recall obeys the same filters.
    let recall = [
        "--json",
        "recall",
        "mira",
        "horse",
        "--ranking",
        "weighted-sum",
        "--kind",
        "world",
    ];
    assert_eq!(contents(&recall).0, ["The"]);
    let far = ["recall", "mira", "horse", "--min-similarity", "0.99"];
    let run = bench.run(&far).code(0);
    assert_eq!(
        (run.out.as_str(), run.err.as_str()),
        ("", "nothing recalled\n")
    );
}

#[test]
fn the_environment_names_the_database_and_the_command_line_overrules_it() {
    let bench = Bench::new();
    let mut retain = bench.command(&["retain", "mira", "-"]);
    retain.env("MEMORY_DB", "sqlite://named.db");
    let child = retain
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    std::io::Write::write_all(&mut stdin, "Rain on the 屋根.\n".as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let id = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(bench.path("named.db").is_file() && !bench.path("memory.db").exists());

    let named = bench
        .run(&["list", "mira", "--db", "sqlite://named.db"])
        .code(0);
    assert!(named.out.starts_with(id.trim()), "{named:?}");
    assert!(
        named.out.ends_with("Rain on the 屋根.\n"),
        "the last line end is not content"
    );
    let mut list = bench.command(&["--db", "sqlite://named.db", "list", "mira"]);
    let overruled = list
        .env("MEMORY_DB", "sqlite://other.db")
        .output()
        .expect("it runs");
    assert!(overruled.status.success());
}

#[test]
fn memories_are_linked_summarised_reflected_on_and_pruned() {
    let bench = Bench::new();
    let file = STORY.to_owned()
        + r#"{"content":"Tam sold me a lame horse at the spring market!","timestamp":"2026-03-01T10:00:00Z","id":"0192d3a0-0000-7000-8000-000000000002"}"#
        + "\n"
        + r#"{"content":"A fly sat on the wall.","timestamp":"2001-03-01T10:00:00Z","id":"0192d3a0-0000-7000-8000-000000000003"}"#
        + "\n";
    bench
        .run_on(&["import", "-", "--entity", "mira"], file)
        .code(0);
    let (horse, fly) = (
        "0192d3a0-0000-7000-8000-000000000002",
        "0192d3a0-0000-7000-8000-000000000003",
    );
    bench.run(&["relate", "mira", horse, fly, "after"]).code(0);
    let related = bench
        .run(&["--json", "related", "mira", fly])
        .code(0)
        .json();
    let link = &related["related"][0];
    assert_eq!(
        (&link["direction"], &link["relation"]),
        (&"incoming".into(), &"after".into())
    );
    assert_eq!(link["memory"]["id"], horse);
    let itself = ["--json", "relate", "mira", fly, fly, "x"];
    bench.run(&itself).fails(3, "invalid_input");
    bench.run(&["unrelate", "mira", horse, fly]).code(0);
    let none = bench.run(&["related", "mira", fly]).code(0);
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("", "nothing is related\n")
    );

    let run = bench.run(&["reflect", "mira", "Who sold the horse?", "--limit", "1"]);
    let run = run.code(0);
    assert!(
        run.out.starts_with(r#"{"when":"2026-03-01T"#),
        "{}",
        run.out
    );
    assert_eq!(run.out.lines().count(), 1);

    let done = bench.run(&["--json", "consolidate", "mira"]).code(0).json();
    let summary = done["summaries"][0]["id"].as_str().expect("a summary");
    let archived = ["--json", "relate", "mira", horse, fly, "x"];
    bench.run(&archived).fails(5, "archived");
    let undone = bench
        .run(&["--json", "undo", "mira", summary])
        .code(0)
        .json();
    assert_eq!(undone["restored"].as_array().map(Vec::len), Some(2));
    bench
        .run(&["--json", "undo", "mira", summary])
        .fails(4, "not_found");

    let pruned = bench
        .run(&["--json", "prune", "mira", "--keep", "4"])
        .code(0)
        .json();
    assert_eq!(pruned["removed"], serde_json::json!([fly]));
}
