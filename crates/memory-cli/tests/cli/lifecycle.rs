//! Retaining, recalling, listing, counting and forgetting memories.

use crate::test_dir::TestDir;

const STORY: &str = concat!(
    r#"{"content":"Tam sold me a lame horse at the spring market.","timestamp":"2026-03-01T09:00:00Z","tags":["market"],"entities":{"tam":"seller"}}"#,
    "\n",
    r#"{"content":"The mill stands north of the bridge.","kind":"world","timestamp":"2026-03-02T09:00:00Z","metadata":{"place":"mill"}}"#,
    "\n",
    r#"{"content":"The baker's daughter plays the flute at dusk.","kind":"observation","timestamp":"2026-03-03T09:00:00Z"}"#,
    "\n",
);

#[test]
fn memories_are_retained_recalled_listed_and_forgotten() {
    let dir = TestDir::new();
    dir.run_on(&["import", "-", "--entity", "mira"], STORY)
        .code(0);

    // Retained from an argument with every option; the owner differs from the
    // participant.
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
    assert_eq!(dir.run(&retain).code(0).json()["id"], id);
    assert_eq!(dir.run(&retain).code(0).json()["id"], id, "again: a no-op");

    // Recalled by its meaning, before the others.
    let run = dir.run(&[
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
    let expected = crate::test_dir::parse(
        r#"{"entity":"mira","id":"0192d3a0-0000-7000-8000-000000000001","kind":"experience",
        "timestamp":"2026-03-04T09:00:00.000000Z","content":"Old Harl drowned in the mill pond.",
        "context":"spring","importance":0.9,"tags":["death","mill"],"metadata":{"place":"pond"},
        "entities":{"harl":"victim"}}"#,
    );
    assert_eq!(found[0]["memory"], expected);

    // As text: a header and one line per memory.
    let run = dir
        .run(&["recall", "mira", "Who sold the horse?", "--limit", "1"])
        .code(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(
        lines[0].starts_with("id ") && lines.len() == 2,
        "{}",
        run.out
    );
    assert!(lines[1].contains("2026-03-01T09:00:00Z") && lines[1].ends_with("spring market."));

    // Another entity does not find it; its own entity removes it.
    let run = dir.run(&["--json", "forget", "tam", id]);
    assert!(run.fails(4, "not_found").contains(id));
    let forgot = dir.run(&["--json", "forget", "mira", id]).code(0).json();
    assert_eq!(
        (&forgot["forgotten"], &forgot["gone"][0]),
        (&id.into(), &id.into())
    );
    dir.run(&["--json", "forget", "mira", id])
        .fails(4, "not_found");
    let stats = dir.run(&["--json", "stats", "mira"]).code(0).json();
    assert_eq!(stats["memories"], 3, "{stats}");
    assert!(
        stats["by_entity"][0]["generation"].as_u64() >= Some(3),
        "{stats}"
    );
}

#[test]
fn filters_and_pages_work() {
    let dir = TestDir::new();
    dir.run_on(&["import", "-", "--entity", "mira"], STORY)
        .code(0);
    let contents = |args: &[&str]| {
        let run = dir.run(args).code(0);
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
    assert_eq!(list(&["--since", "2026-03-02T09:00:00Z"]), ["The", "The"]);
    assert_eq!(list(&["--meta", "place=mill"]), ["The"]);
    assert_eq!(list(&["--meta", "place=bridge"]), [""; 0]);
    assert_eq!(list(&["--involves", "tam"]), ["Tam"]);

    let (page, next) = contents(&["--json", "list", "mira", "--limit", "2"]);
    assert_eq!(page, ["The", "The"]);
    let next = next.as_str().expect("there is more");
    let (page, end) = contents(&["--json", "list", "mira", "--limit", "2", "--after", next]);
    assert_eq!(page, ["Tam"]);
    assert!(end.is_null());
    let human = dir.run(&["list", "mira", "--limit", "2"]).code(0);
    assert_eq!(human.out.lines().count(), 2);
    assert!(human.err.contains(&format!("--after {next}")), "{human:?}");

    // Recall has the same filters.
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
    let run = dir.run(&far).code(0);
    assert_eq!(
        (run.out.as_str(), run.err.as_str()),
        ("", "no memory matches\n")
    );
}

#[test]
fn memories_that_do_not_answer_are_left_out_by_their_relevance() {
    let dir = TestDir::new();
    for content in [
        "Tam's horse is called Biscuit.",
        "The mill was painted blue.",
    ] {
        dir.run(&["retain", "mira", content]).code(0);
    }
    let recall = |question: &str, options: &[&str]| {
        let command = [&["--json", "recall", "mira", question], options].concat();
        dir.run(&command).code(0).json()
    };
    let question = "What is Tam's horse called?";
    let all = recall(question, &[]);
    let relevance = |at: usize| all["memories"][at]["relevance"].as_f64().expect("a number");
    assert!(relevance(0) > 0.7 && relevance(1) < 0.1, "{all}");
    assert_eq!(all["below_min_relevance"]["count"], 0);
    let kept = recall(question, &["--min-relevance", "0.5"]);
    assert_eq!(kept["memories"].as_array().map(Vec::len), Some(1));
    let best = &all["memories"][0];
    assert_eq!(kept["memories"][0]["relevance"], best["relevance"]);
    assert_eq!(kept["memories"][0]["memory"]["id"], best["memory"]["id"]);
    let below = &kept["below_min_relevance"];
    assert_eq!(below["count"], 1);
    assert_eq!(below["max_relevance"], all["memories"][1]["relevance"]);

    let human = dir.run(&["recall", "mira", question]).code(0);
    assert!(
        human.out.contains("  score  relevance  similarity"),
        "{human:?}"
    );
    let unrelated = "Which bank lends at four percent?";
    let run = dir
        .run(&["recall", "mira", unrelated, "--min-relevance", "0.5"])
        .code(0);
    let expected = "no memory is relevant enough: 2 memories found, the highest relevance is 0.0";
    assert!(
        run.out.is_empty() && run.err.starts_with(expected),
        "{run:?}"
    );
    assert!(run.err.ends_with("below the minimum of 0.5\n"), "{run:?}");
}

#[test]
fn command_line_overrides_the_environment() {
    let dir = TestDir::new();
    let mut retain = dir.command(&["retain", "mira", "-"]);
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
    assert!(dir.path("named.db").is_file() && !dir.path("memory.db").exists());

    let named = dir
        .run(&["list", "mira", "--db", "sqlite://named.db"])
        .code(0);
    assert!(named.out.starts_with(id.trim()), "{named:?}");
    assert!(
        named.out.ends_with("Rain on the 屋根.\n"),
        "the trailing line end is not content"
    );
    let mut list = dir.command(&["--db", "sqlite://named.db", "list", "mira"]);
    let overridden = list
        .env("MEMORY_DB", "sqlite://other.db")
        .output()
        .expect("it runs");
    assert!(overridden.status.success());
}

#[test]
fn memories_are_linked_summarized_reflected_and_pruned() {
    let dir = TestDir::new();
    let file = STORY.to_owned()
        + r#"{"content":"Tam sold me a lame horse at the spring market!","timestamp":"2026-03-01T10:00:00Z","id":"0192d3a0-0000-7000-8000-000000000002","tags":["market"],"entities":{"tam":"seller"}}"#
        + "\n"
        + r#"{"content":"A fly sat on the wall.","timestamp":"2001-03-01T10:00:00Z","id":"0192d3a0-0000-7000-8000-000000000003"}"#
        + "\n";
    dir.run_on(&["import", "-", "--entity", "mira"], file)
        .code(0);
    let (horse, fly) = (
        "0192d3a0-0000-7000-8000-000000000002",
        "0192d3a0-0000-7000-8000-000000000003",
    );
    dir.run(&["relate", "mira", horse, fly, "after"]).code(0);
    let related = dir.run(&["--json", "related", "mira", fly]).code(0).json();
    let link = &related["related"][0];
    assert_eq!(
        (&link["direction"], &link["relation"]),
        (&"incoming".into(), &"after".into())
    );
    assert_eq!(link["memory"]["id"], horse);
    assert_eq!(related["omitted"], 0);
    let linking = dir.run(&["list", "mira", "--relates-to", fly]).code(0);
    assert!(linking.out.starts_with(horse) && linking.out.lines().count() == 1);
    let itself = ["--json", "relate", "mira", fly, fly, "x"];
    dir.run(&itself).fails(3, "invalid_input");
    dir.run(&["unrelate", "mira", horse, fly]).code(0);
    let none = dir.run(&["related", "mira", fly]).code(0);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no links\n"));

    let run = dir.run(&["reflect", "mira", "Who sold the horse?", "--limit", "1"]);
    let run = run.code(0);
    assert!(
        run.out.starts_with(r#"{"when":"2026-03-01T"#),
        "{}",
        run.out
    );
    assert_eq!(run.out.lines().count(), 1);

    // Too few characters: the least number that suffices is named.
    let reflect = |chars: &str| {
        dir.run(&[
            "reflect",
            "mira",
            "Who sold the horse?",
            "--max-chars",
            chars,
        ])
    };
    let small = reflect("20").code(3);
    assert!(
        small.err.contains("--max-chars 20 is too small"),
        "{small:?}"
    );
    let mut words = small
        .err
        .split_whitespace()
        .skip_while(|word| *word != "least");
    let required: usize = words
        .nth(1)
        .and_then(|word| word.parse().ok())
        .expect("a number");
    reflect(&(required - 1).to_string()).code(3);
    assert_eq!(
        reflect(&required.to_string()).code(0).out.lines().count(),
        1
    );
    assert!(
        reflect("0")
            .code(3)
            .err
            .contains("--max-chars is 0; it must be 1 to 1000000")
    );

    let done = dir.run(&["--json", "consolidate", "mira"]).code(0).json();
    let summary = done["summaries"][0]["id"].as_str().expect("a summary");
    let archived = ["--json", "relate", "mira", horse, fly, "x"];
    dir.run(&archived).fails(5, "archived");
    let undone = dir.run(&["--json", "undo", "mira", summary]).code(0).json();
    assert_eq!(undone["restored"].as_array().map(Vec::len), Some(2));
    dir.run(&["--json", "undo", "mira", summary])
        .fails(4, "not_found");

    let refused = dir.run(&["--json", "undo", "mira", horse]);
    let message = refused.fails(3, "invalid_input");
    assert!(message.contains("is not a summary"), "{message}");

    let nobody = dir.run(&["--json", "stats", "nobody"]).code(0).json();
    assert_eq!(nobody["entities"], 0, "{nobody}");

    let pruned = dir
        .run(&["--json", "prune", "mira", "--keep", "4"])
        .code(0)
        .json();
    assert_eq!(pruned["removed"], serde_json::json!([fly]));
}
