//! What the doctor says of a machine where all is well, and where it is not.

use serde_json::Value;

use crate::bench::{Bench, parse, word};

/// The part of a diagnosis.
fn part(diagnosis: &Value, name: &str) -> Value {
    let parts = diagnosis["parts"].as_array().expect("a list of parts");
    let found = parts.iter().find(|part| part["part"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {diagnosis}"))
        .clone()
}

#[test]
fn an_empty_cache_folder_is_told_with_what_mends_it() {
    let bench = Bench::new();
    let empty = bench.path("cache");
    let mut doctor = bench.command(&["--json", "doctor"]);
    let output = doctor
        .env("MEMORY_CACHE_DIR", word(&empty))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(6));
    let diagnosis = parse(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(diagnosis["well"], false);
    for name in ["runtime", "model"] {
        let part = part(&diagnosis, name);
        assert_eq!(part["well"], false, "{part}");
        assert!(
            part["detail"]
                .as_str()
                .is_some_and(|text| text.contains("cache")),
            "{part}"
        );
        assert!(
            part["mend"]
                .as_str()
                .is_some_and(|text| text.contains("memory setup")),
            "{part}"
        );
    }
    assert_eq!(part(&diagnosis, "embedding")["well"], false);
    let database = part(&diagnosis, "database");
    assert_eq!(database["well"], false);
    assert!(
        database["mend"]
            .as_str()
            .is_some_and(|text| text.contains("memory import"))
    );
    assert_eq!(bench.names(), [""; 0], "nothing was made");
}

#[test]
fn all_is_well_where_runtime_model_and_database_are() {
    let bench = Bench::new();
    // Without a database it is the one thing that is wrong.
    let run = bench.run(&["doctor"]).code(6);
    assert_eq!(run.out.matches("WRONG").count(), 1, "{run:?}");
    assert!(run.err.starts_with("error: 1 of 4 parts"), "{run:?}");
    assert_eq!(bench.names(), [""; 0], "nothing was made");

    bench.run(&["retain", "mira", "Rain."]).code(0);
    let run = bench.run(&["doctor"]).code(0);
    assert!(run.out.ends_with("all is well\n"), "{run:?}");
    assert!(run.out.contains("384 dimensions"), "{run:?}");
    assert!(run.out.contains("1 memory of 1 entity"), "{run:?}");

    // Nothing is left to fetch either.
    let setup = bench.run(&["--json", "setup"]).code(0).json();
    assert_eq!(
        setup["fetched"].as_array().map(Vec::len),
        Some(0),
        "{setup}"
    );

    bench.write("notes.txt", "not a database\n".repeat(100));
    let run = bench
        .run(&["--json", "--db", "sqlite://notes.txt", "doctor"])
        .code(8);
    assert_eq!(part(&run.json(), "database")["well"], false);
    assert_eq!(run.json_error()["kind"], "unwell");
}
