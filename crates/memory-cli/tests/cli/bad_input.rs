//! Every bad input has its exit code and its error, and nothing is written.

use crate::bench::{Bench, word};

#[test]
fn retain_refuses_what_breaks_a_bound() {
    let bench = Bench::new();
    let long = "字".repeat(10_001);
    let tag = "t".repeat(129);
    let meta = format!("k={}", "v".repeat(65_536));
    let many: Vec<String> = (0..65).map(|n| format!("--tag=t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = |options: &[&str], bound: &str| {
        let run = bench.run(&[&["--json", "retain", "mira"], options].concat());
        let message = run.fails(3, "invalid_input");
        assert!(message.contains(bound), "{bound}: {message}");
    };
    refused(&[""], "1 to 10000");
    refused(&[" \u{3000}\n"], "1 to 10000");
    refused(&[&long], "10001 characters; at most 10000");
    refused(&["Rain.", "--importance", "1.5"], "0 to 1");
    refused(&["Rain.", "--importance", "-0.5"], "0 to 1");
    refused(&["Rain.", "--importance", "NaN"], "0 to 1");
    refused(
        &[&["Rain."], many.as_slice()].concat(),
        "65 tags; at most 64",
    );
    refused(&["Rain.", "--tag", ""], "1 to 128");
    refused(&["Rain.", "--tag", &tag], "at most 128");
    refused(&["Rain.", "--meta", &meta], "at most 65536");
    refused(
        &["Rain.", "--timestamp", "0000-06-01T00:00:00Z"],
        "0001-01-01",
    );
    let run = bench.run(&["--json", "retain", " ", "Rain."]);
    assert!(run.fails(3, "invalid_input").contains("1 to 256"));

    // What an argument cannot hold comes by standard input.
    let run = bench.run_on(&["--json", "retain", "mira", "-"], "a\0b");
    assert!(run.fails(3, "invalid_input").contains("NUL"));
    let run = bench.run_on(&["--json", "retain", "mira", "-"], b"a\xFFb");
    assert!(run.fails(3, "invalid_input").contains("UTF-8"));
    assert_eq!(bench.names(), [""; 0], "no database was made");
}

#[test]
fn a_command_line_that_does_not_read_is_a_usage_error() {
    let bench = Bench::new();
    for args in [
        &["retain", "mira"][..],
        &["retain", "mira", "Rain.", "--kind", "dream"],
        &["retain", "mira", "Rain.", "--meta", "novalue"],
        &["retain", "mira", "Rain.", "--timestamp", "yesterday"],
        &["retain", "mira", "Rain.", "--id", "7"],
        &["retain", "mira", "Rain.", "--meta", "k=a", "--meta", "k=b"],
        &["recall", "mira", "rain", "--limit", "-1"],
        &["recall", "mira", "rain", "--tag-mode", "some"],
        &["list", "mira", "--after", "there"],
        &["forget", "mira", "not-an-id"],
        &["remember", "mira"],
        &["--db", "", "stats"],
    ] {
        let run = bench.run(&[&["--json"], args].concat());
        assert!(!run.fails(2, "usage").is_empty());
        let human = bench.run(args).code(2);
        assert!(human.err.starts_with("error: "), "{human:?}");
    }
    let kind = bench
        .run(&["retain", "mira", "Rain.", "--kind", "dream"])
        .code(2);
    assert!(
        kind.err
            .contains("world, experience, opinion or observation"),
        "{kind:?}"
    );
    bench
        .run(&["--json", "--db", "postgres://host/db", "stats"])
        .fails(2, "configuration");
    let help = bench.run(&["--help"]).code(0);
    assert!(help.out.contains("Exit codes:"), "{help:?}");
    assert_eq!(bench.names(), [""; 0], "no database was made");
}

#[test]
fn questions_are_refused_by_their_bounds_and_without_a_database() {
    let bench = Bench::new();
    let refused = |args: &[&str], bound: &str| {
        let message = bench
            .run(&[&["--json"], args].concat())
            .fails(3, "invalid_input");
        assert!(message.contains(bound), "{bound}: {message}");
    };
    refused(&["recall", "mira", " "], "1 to 10000");
    refused(&["recall", "mira", "rain", "--limit", "0"], "1 to 1000");
    refused(&["recall", "mira", "rain", "--limit", "1001"], "1 to 1000");
    refused(
        &["recall", "mira", "rain", "--min-similarity", "-1.5"],
        "-1 to 1",
    );
    refused(&["list", "mira", "--limit", "0"], "1 to 1000");
    let (from, until) = (
        "--from=2026-03-02T00:00:00Z",
        "--until=2026-03-01T00:00:00Z",
    );
    refused(&["list", "mira", from, until], "time range");

    // There is no database, and asking makes none.
    let id = "0192d3a0-0000-7000-8000-000000000001";
    for args in [
        &["recall", "mira", "rain"][..],
        &["list", "mira"],
        &["forget", "mira", id],
        &["stats"],
        &["export"],
    ] {
        let message = bench.run(&[&["--json"], args].concat()).fails(6, "missing");
        assert!(message.contains("memory.db"), "{message}");
    }
    assert_eq!(bench.names(), [""; 0], "no database was made");
}

#[test]
fn a_conflict_a_foreign_file_and_a_missing_model_have_their_codes() {
    let bench = Bench::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let wide = "水".repeat(10_000);
    bench
        .run_on(&["retain", "mira", "-", "--id", id], &wide)
        .code(0);
    let run = bench.run(&["--json", "retain", "mira", "Sun.", "--id", id]);
    assert!(run.fails(5, "conflict").contains(id));
    let human = bench.run(&["retain", "mira", "Sun.", "--id", id]).code(5);
    assert!(
        human.err.starts_with("error: ") && human.err.lines().count() == 1,
        "{human:?}"
    );
    let listed = bench.run(&["list", "mira"]).code(0);
    assert!(
        listed.out.trim_end().ends_with(&wide),
        "the first content stands"
    );

    bench.write(
        "notes.txt",
        "no database, and long enough to look like one\n".repeat(100),
    );
    let before = bench.read("notes.txt");
    for verb in [&["stats"][..], &["retain", "mira", "Rain."]] {
        let run = bench.run(&[&["--json", "--db", "sqlite://notes.txt"], verb].concat());
        run.fails(8, "foreign_data");
    }
    assert_eq!(bench.read("notes.txt"), before, "the file is untouched");

    let empty = bench.path("empty-cache");
    let mut retain = bench.command(&[
        "--json",
        "--db",
        "sqlite://new.db",
        "retain",
        "mira",
        "Rain.",
    ]);
    let output = retain
        .env("MEMORY_CACHE_DIR", word(&empty))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("memory setup"));
    assert!(!bench.path("new.db").exists(), "no database was made");
}
