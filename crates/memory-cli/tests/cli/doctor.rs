//! Reports of the doctor on healthy and unhealthy machines.

use serde_json::Value;

use crate::test_dir::{TestDir, parse, path_str};

/// A part of the report.
fn part(report: &Value, name: &str) -> Value {
    let parts = report["parts"].as_array().expect("a list of parts");
    let found = parts.iter().find(|part| part["part"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {report}"))
        .clone()
}

#[test]
fn empty_cache_folder_is_reported_with_a_fix() {
    let dir = TestDir::new();
    let empty = dir.path("cache");
    let mut doctor = dir.command(&["--json", "doctor"]);
    let output = doctor
        .env("MEMORY_CACHE_DIR", path_str(&empty))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(6));
    let report = parse(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(report["healthy"], false);
    for name in ["runtime", "model"] {
        let part = part(&report, name);
        assert_eq!(part["healthy"], false, "{part}");
        assert!(
            part["detail"]
                .as_str()
                .is_some_and(|text| text.contains("cache")),
            "{part}"
        );
        assert!(
            part["fix"]
                .as_str()
                .is_some_and(|text| text.contains("memory setup")),
            "{part}"
        );
    }
    assert_eq!(part(&report, "embedding")["healthy"], false);
    let database = part(&report, "database");
    assert_eq!(database["healthy"], false);
    assert!(
        database["fix"]
            .as_str()
            .is_some_and(|text| text.contains("memory import"))
    );
    assert_eq!(dir.names(), [""; 0], "nothing was created");
}

#[test]
fn checks_pass_with_runtime_model_and_database() {
    let dir = TestDir::new();
    // Only the database is missing.
    let run = dir.run(&["doctor"]).code(6);
    assert_eq!(run.out.matches("FAIL").count(), 1, "{run:?}");
    assert!(
        run.err.starts_with("error: 1 of 4 checks failed"),
        "{run:?}"
    );
    assert_eq!(dir.names(), [""; 0], "nothing was created");

    dir.run(&["retain", "mira", "Rain."]).code(0);
    let run = dir.run(&["doctor"]).code(0);
    assert!(run.out.ends_with("all checks passed\n"), "{run:?}");
    assert!(run.out.contains("384 dimensions"), "{run:?}");
    assert!(run.out.contains("1 memory of 1 entity"), "{run:?}");

    // Nothing is left to download either.
    let setup = dir.run(&["--json", "setup"]).code(0).json();
    assert_eq!(
        setup["fetched"].as_array().map(Vec::len),
        Some(0),
        "{setup}"
    );

    dir.write("notes.txt", "not a database\n".repeat(100));
    let run = dir
        .run(&["--json", "--db", "sqlite://notes.txt", "doctor"])
        .code(8);
    assert_eq!(part(&run.json(), "database")["healthy"], false);
    assert_eq!(run.json_error()["kind"], "unhealthy");
}
