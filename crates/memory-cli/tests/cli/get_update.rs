//! Reading and changing one memory; scores explained; recalls of the past.

use crate::test_dir::TestDir;

const ID: &str = "0192d3a0-0000-7000-8000-000000000001";

/// A folder whose database has one memory with every value.
fn with_memory() -> TestDir {
    let dir = TestDir::new();
    let line = format!(
        r#"{{"entity":"mira","id":"{ID}","content":"Tam sold me a lame horse.","timestamp":"2026-03-01T09:00:00Z","context":"spring","tags":["market"],"metadata":{{"place":"square"}},"entities":{{"tam":"seller"}}}}"#
    );
    dir.run_on(&["import", "-"], line).code(0);
    dir
}

#[test]
fn get_prints_every_value() {
    let dir = with_memory();
    let human = dir.run(&["get", "mira", ID]).code(0);
    for row in [
        &format!("id            {ID}"),
        "entity        mira",
        "kind          experience",
        "timestamp     2026-03-01T09:00:00.000000Z",
        "context       spring",
        "tag           market",
        "metadata      place=square",
        "participant   tam=seller",
        "content       Tam sold me a lame horse.",
    ] {
        assert!(
            human.out.lines().any(|line| line == row),
            "{row}: {human:?}"
        );
    }
    let json = dir.run(&["--json", "get", "mira", ID]).code(0).json();
    assert_eq!(json["metadata"]["place"], "square");
    dir.run(&["--json", "get", "tam", ID]).fails(4, "not_found");
}

#[test]
fn update_changes_what_is_given_and_nothing_else() {
    let dir = with_memory();
    let updated = dir
        .run(&[
            "--json",
            "update",
            "mira",
            ID,
            "--importance",
            "0.9",
            "--no-context",
        ])
        .code(0)
        .json();
    assert_eq!(updated["importance"], 0.9);
    assert!(updated.get("context").is_none(), "{updated}");
    assert_eq!(updated["tags"][0], "market");

    let update = [
        "--json",
        "update",
        "mira",
        ID,
        "--tag",
        "fraud",
        "--content",
        "-",
    ];
    let updated = dir
        .run_on(&update, "Tam sold me a blind mule.\n")
        .code(0)
        .json();
    assert_eq!(updated["content"], "Tam sold me a blind mule.");
    assert_eq!(updated["tags"].as_array().map(Vec::len), Some(1));
    assert_eq!(updated["tags"][0], "fraud");
    // It is found by its new content.
    let found = dir
        .run(&["--json", "recall", "mira", "mule"])
        .code(0)
        .json();
    assert_eq!(found["memories"][0]["memory"]["id"], ID);

    dir.run(&["--json", "update", "mira", ID])
        .fails(3, "invalid_input");
    dir.run(&["--json", "update", "mira", ID, "--no-tags", "--tag", "x"])
        .fails(2, "usage");
    dir.run(&["--json", "update", "tam", ID, "--no-tags"])
        .fails(4, "not_found");
}

#[test]
fn recall_prints_ids_explanations_and_the_past() {
    let dir = with_memory();
    let recall = ["recall", "mira", "Who sold the horse?"];
    let human = dir.run(&[&recall[..], &["--explain"]].concat()).code(0);
    let lines: Vec<&str> = human.out.lines().collect();
    assert!(lines[1].starts_with(ID), "{human:?}");
    assert!(
        lines[2].trim_start().starts_with("similarity 0."),
        "{human:?}"
    );
    let json = [&["--json"], &recall[..]].concat();
    let explained = dir
        .run(&[&json[..], &["--explain"]].concat())
        .code(0)
        .json();
    let explanation = &explained["memories"][0]["explanation"];
    assert!(explanation["lexical"].as_f64() > Some(0.0), "{explained}");
    let parts = &explained["memories"][0]["parts"];
    assert!(parts["recency"].is_number(), "{explained}");
    let plain = dir.run(&json).code(0).json();
    for key in ["explanation", "parts"] {
        assert!(plain["memories"][0].get(key).is_none(), "{plain}");
    }

    let past = dir.run(&[&json[..], &["--as-of", "2026-02-01T00:00:00Z"]].concat());
    assert_eq!(
        past.code(0).json()["memories"].as_array().map(Vec::len),
        Some(0)
    );
}

#[test]
fn list_prints_tags_and_participants() {
    let dir = with_memory();
    let human = dir.run(&["list", "mira"]).code(0);
    let end = "Tam sold me a lame horse.  [market]  (tam: seller)\n";
    assert!(human.out.ends_with(end), "{human:?}");
}
