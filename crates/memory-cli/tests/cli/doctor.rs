//! Reports of the doctor on healthy and unhealthy machines.

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

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
fn a_model_directory_is_not_a_matter_of_setup() {
    let dir = TestDir::new();
    let fixes = |model: &str, cache: Option<&str>| {
        let mut doctor = dir.command(&["--json", "--model", model, "doctor"]);
        if let Some(cache) = cache {
            doctor.env("MEMORY_CACHE_DIR", path_str(&dir.path(cache)));
        }
        let output = doctor.output().expect("it runs");
        let report = parse(&String::from_utf8_lossy(&output.stdout));
        let fix = |name| part(&report, name)["fix"].as_str().map(str::to_owned);
        (
            fix("runtime"),
            fix("embedding").expect("the model is missing"),
        )
    };
    let (runtime, embedding) = fixes("./mine", Some("cache"));
    assert_eq!(runtime.as_ref(), Some(&embedding), "first the runtime");
    assert!(embedding.starts_with("memory setup ("), "{embedding}");
    let (runtime, embedding) = fixes("./mine", None);
    assert_eq!(runtime, None, "it is there");
    assert!(
        embedding.contains("path of a model directory"),
        "{embedding}"
    );
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

#[test]
fn a_database_that_only_reads_is_reported() {
    let dir = TestDir::new();
    dir.run(&["retain", "mira", "Rain."]).code(0);
    let is_read_only = |url: &str| {
        let run = dir.run(&["--json", "--db", url, "doctor"]).code(0);
        let detail = part(&run.json(), "database")["detail"].to_string();
        assert!(detail.contains("1 memory of 1 entity"), "{detail}");
        detail.contains("memory.db (read-only): ")
    };
    assert!(!is_read_only("memory.db"));
    assert!(is_read_only("sqlite:memory.db?mode=ro"));
}

#[test]
fn a_conversion_of_words_is_reported_with_how_far_it_is() {
    let dir = TestDir::new();
    let lines = (0..8).map(|number| format!(r#"{{"entity":"mira","content":"Rain {number}."}}"#));
    dir.write("memories.jsonl", lines.collect::<Vec<_>>().join("\n"));
    dir.run(&["import", "memories.jsonl"]).code(0);
    let report = dir.run(&["--json", "doctor"]).code(0).json();
    let parts = report["parts"].as_array().expect("a list of parts");
    assert!(parts.iter().all(|part| part["part"] != "words"), "{report}");
    for (version, number, text, progress) in [
        ("4", 0, "an older analysis of texts", 0.0),
        ("-abs(version)", 5, "about 75 % of the memories", 0.75),
        // The last batch is done, and the version is not set yet.
        ("-abs(version)", 7, "about 99 % of the memories", 1.0),
    ] {
        // Only the version that this program has is continued.
        let set = format!(
            "UPDATE text_analysis SET version = {version}, converted_key = (1 << 32) + {number}"
        );
        let before = run_sql(&dir, &set);
        let report = dir.run(&["--json", "doctor"]).code(0).json();
        assert_eq!(report["healthy"], true);
        let words = part(&report, "words");
        assert_eq!(
            (&words["healthy"], &words["progress"]),
            (&true.into(), &progress.into())
        );
        assert!(
            words["detail"].as_str().is_some_and(|it| it.contains(text)),
            "{words}"
        );
        let run = dir.run(&["doctor"]).code(0);
        assert!(run.out.contains(text), "{run:?}");
        assert!(run.out.ends_with("all checks passed\n"), "{run:?}");
        let reset = format!("UPDATE text_analysis SET version = {before}");
        run_sql(&dir, &reset);
    }
}

/// Changes the database, and returns the version of the analysis before.
fn run_sql(dir: &TestDir, sql: &str) -> i64 {
    let options = SqliteConnectOptions::new().filename(dir.path("memory.db"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut conn = options.connect().await.expect("it opens");
        let version = sqlx::query_scalar("SELECT version FROM text_analysis");
        let version = version.fetch_one(&mut conn).await.expect("a version");
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql)
            .execute(&mut conn)
            .await
            .expect("valid SQL");
        conn.close().await.expect("it closes");
        version
    })
}
