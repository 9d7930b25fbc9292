//! Bad input has an exit code and an error, and writes nothing.

use crate::test_dir::{TestDir, path_str};

#[test]
fn retain_refuses_input_beyond_the_limits() {
    let dir = TestDir::new();
    let long = "字".repeat(10_001);
    let tag = "t".repeat(129);
    let meta = format!("k={}", "v".repeat(65_536));
    let many: Vec<String> = (0..65).map(|n| format!("--tag=t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = |options: &[&str], limit: &str| {
        let run = dir.run(&[&["--json", "retain", "mira"], options].concat());
        let message = run.fails(3, "invalid_input");
        assert!(message.contains(limit), "{limit}: {message}");
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
    let run = dir.run(&["--json", "retain", " ", "Rain."]);
    assert!(run.fails(3, "invalid_input").contains("1 to 256"));

    // Text that an argument cannot contain, on standard input.
    let run = dir.run_on(&["--json", "retain", "mira", "-"], "a\0b");
    assert!(run.fails(3, "invalid_input").contains("NUL"));
    let run = dir.run_on(&["--json", "retain", "mira", "-"], b"a\xFFb");
    assert!(run.fails(3, "invalid_input").contains("UTF-8"));
    assert_eq!(dir.names(), [""; 0], "no database was created");
}

#[test]
fn invalid_command_line_is_a_usage_error() {
    let dir = TestDir::new();
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
        // Of a variable that is not set: it would be a token for all entities.
        &["token", "tokens", "--entities", ""],
        &["--db", "", "stats"],
    ] {
        let run = dir.run(&[&["--json"], args].concat());
        assert!(!run.fails(2, "usage").is_empty());
        let human = dir.run(args).code(2);
        assert!(human.err.starts_with("error: "), "{human:?}");
    }
    let kind = dir
        .run(&["retain", "mira", "Rain.", "--kind", "dream"])
        .code(2);
    assert!(
        kind.err
            .contains("world, experience, opinion or observation"),
        "{kind:?}"
    );
    dir.run(&["--json", "--db", "mysql://host/db", "stats"])
        .fails(2, "configuration");
    #[cfg(not(feature = "postgres"))]
    dir.run(&["--json", "--db", "postgres://host/db", "stats"])
        .fails(2, "configuration");
    let help = dir.run(&["--help"]).code(0);
    assert!(help.out.contains("Exit codes:"), "{help:?}");
    assert_eq!(dir.names(), [""; 0], "no database was created");
}

#[test]
fn queries_are_refused_beyond_the_limits_and_without_a_database() {
    let dir = TestDir::new();
    let refused = |args: &[&str], limit: &str| {
        let message = dir
            .run(&[&["--json"], args].concat())
            .fails(3, "invalid_input");
        assert!(message.contains(limit), "{limit}: {message}");
    };
    refused(&["recall", "mira", " "], "1 to 10000");
    refused(&["recall", "mira", "rain", "--limit", "0"], "1 to 1000");
    refused(&["recall", "mira", "rain", "--limit", "1001"], "1 to 1000");
    refused(
        &["recall", "mira", "rain", "--min-similarity", "-1.5"],
        "-1 to 1",
    );
    refused(
        &["recall", "mira", "rain", "--min-relevance", "1.5"],
        "minimum relevance is 1.5; it must be a number from 0 to 1",
    );
    refused(
        &["recall", "mira", "rain", "--min-relevance", "NaN"],
        "minimum relevance is NaN",
    );
    refused(&["list", "mira", "--limit", "0"], "1 to 1000");
    let (since, until) = (
        "--since=2026-03-02T00:00:00Z",
        "--until=2026-03-01T00:00:00Z",
    );
    refused(&["list", "mira", since, until], "time range");

    // There is no database, and a query creates none.
    let id = "0192d3a0-0000-7000-8000-000000000001";
    for args in [
        &["recall", "mira", "rain"][..],
        &["list", "mira"],
        &["forget", "mira", id],
        &["stats"],
        &["export"],
    ] {
        let message = dir.run(&[&["--json"], args].concat()).fails(6, "missing");
        assert!(message.contains("memory.db"), "{message}");
    }
    assert_eq!(dir.names(), [""; 0], "no database was created");
}

#[test]
fn conflicts_foreign_files_and_missing_models_have_exit_codes() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let wide = "水".repeat(10_000);
    dir.run_on(&["retain", "mira", "-", "--id", id], &wide)
        .code(0);
    let run = dir.run(&["--json", "retain", "mira", "Sun.", "--id", id]);
    assert!(run.fails(5, "conflict").contains(id));
    let human = dir.run(&["retain", "mira", "Sun.", "--id", id]).code(5);
    assert!(
        human.err.starts_with("error: ") && human.err.lines().count() == 1,
        "{human:?}"
    );
    let listed = dir.run(&["list", "mira"]).code(0);
    assert!(
        listed.out.trim_end().ends_with(&wide),
        "the first content is kept"
    );

    dir.write(
        "notes.txt",
        "not a database, but as long as one\n".repeat(100),
    );
    let before = dir.read("notes.txt");
    for command in [&["stats"][..], &["retain", "mira", "Rain."]] {
        let run = dir.run(&[&["--json", "--db", "sqlite://notes.txt"], command].concat());
        run.fails(8, "foreign_data");
    }
    assert_eq!(dir.read("notes.txt"), before, "the file is untouched");

    let empty = dir.path("empty-cache");
    let mut retain = dir.command(&[
        "--json",
        "--db",
        "sqlite://new.db",
        "retain",
        "mira",
        "Rain.",
    ]);
    let output = retain
        .env("MEMORY_CACHE_DIR", path_str(&empty))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("memory setup"));
    assert!(!dir.path("new.db").exists(), "no database was created");
}

#[test]
fn a_negative_number_is_a_value_that_is_refused() {
    let dir = TestDir::new();
    for (args, option) in [
        (&["prune", "mira", "--keep", "-1"][..], "--keep"),
        (&["serve", "--rate-limit", "-1"], "--rate-limit"),
    ] {
        let run = dir.run(args).code(2);
        assert!(run.err.contains("invalid value '-1'"), "{run:?}");
        assert!(run.err.contains(option), "{run:?}");
    }
}
