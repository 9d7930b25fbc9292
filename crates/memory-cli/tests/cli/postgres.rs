//! The command on PostgreSQL: `cargo xtask test` starts a server.

use memory::MemoryId;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::test_dir::TestDir;

/// Runs a test on a new database, which is dropped afterward even if the test
/// fails.
fn with_database(test: impl FnOnce(&str, &mut dyn FnMut(&str) -> i64) + Send) {
    let server = std::env::var("MEMORY_TEST_PG")
        .or_else(|_| std::env::var("DATABASE_URL"))
        .expect("this test needs a PostgreSQL server with pgvector: run `cargo xtask test`");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let name = format!("cli_{}", MemoryId::new().as_uuid().simple());
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..]
        .find('/')
        .map_or(address.len(), |at| start + at);
    let url = format!("{}/{name}?{query}", &address[..end]);
    let execute = |url: &str, text: String| {
        runtime.block_on(async {
            let mut connection = PgConnection::connect(url)
                .await
                .expect("the server answers");
            connection
                .execute(AssertSqlSafe(text))
                .await
                .expect("valid SQL");
        });
    };
    execute(&server, format!("CREATE DATABASE {name}"));
    let mut count = |text: &str| {
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url)
                .await
                .expect("the server answers");
            let count = sqlx::query_scalar(AssertSqlSafe(text.to_owned()));
            count.fetch_one(&mut connection).await.expect("valid SQL")
        })
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&url, &mut count)));
    execute(&server, format!("DROP DATABASE {name} WITH (FORCE)"));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

const COUNT_TABLES: &str = "SELECT count(*) FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";

#[test]
fn reading_commands_create_no_tables() {
    let dir = TestDir::new();
    with_database(|url, count| {
        let id = "0192d3a0-0000-7000-8000-000000000001";
        let reading: [&[&str]; 7] = [
            &["doctor"],
            &["list", "mira"],
            &["stats"],
            &["export"],
            &["recall", "mira", "rain"],
            &["reflect", "mira", "rain"],
            &["related", "mira", id],
        ];
        for command in reading.into_iter().chain([&["forget", "mira", id][..]]) {
            let run = dir.run(&[&["--db", url], command].concat()).code(6);
            let text = format!("{}{}", run.out, run.err);
            assert!(text.contains("memory migrate"), "{run:?}");
            assert_eq!(count(COUNT_TABLES), 0, "{command:?}");
        }
        dir.run(&["--db", url, "migrate"]).code(0);
        assert!(count(COUNT_TABLES) > 0);
        dir.run(&["--db", url, "retain", "mira", "Rain.", "--id", id])
            .code(0);
        for command in reading {
            dir.run(&[&["--db", url], command].concat()).code(0);
        }
    });
}

#[test]
fn unreachable_servers_and_unknown_parameters_are_named() {
    let dir = TestDir::new();
    // A label has at most 63 characters, so that no resolver is asked for one of these.
    let host = format!("{}.test", "n".repeat(64));
    let unknown = format!("postgres://mira:secret@{host}/db");
    for (url, code, parts) in [
        (
            "postgres://mira:secret@127.0.0.1:1/db",
            7,
            &["127.0.0.1:1", "refused"][..],
        ),
        (&unknown, 7, &[&host]),
        (
            "postgres://mira:secret@127.0.0.1:1/db?sslmod=require",
            2,
            &["sslmod"],
        ),
    ] {
        let run = dir.run(&["--db", url, "stats"]).code(code);
        for part in parts {
            assert!(run.err.contains(part), "{part}: {run:?}");
        }
        assert!(!run.err.contains("secret"), "{run:?}");
    }
}
#[test]
fn unreachable_server_is_named_with_the_cause_and_no_password() {
    let dir = TestDir::new();
    // Nothing listens at port 1.
    let url = "postgres://app:hunter2@127.0.0.1:1/memories";
    for command in [&["list", "mira"][..], &["doctor"]] {
        let run = dir.run(&[&["--db", url], command].concat());
        let text = format!("{}{}", run.out, run.err);
        assert!(text.contains("127.0.0.1:1"), "{text}");
        assert!(text.contains("refused"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn misspelled_url_parameters_are_refused_by_name() {
    let dir = TestDir::new();
    for name in ["sslmod", "row_level_securty"] {
        let url = format!("postgres://app@127.0.0.1:1/memories?{name}=on");
        let run = dir.run(&["--db", &url, "list", "mira"]);
        assert!(run.err.contains(name), "{run:?}");
        assert!(run.err.contains("row_level_security"), "{run:?}");
    }
}

const COUNT_RECORDS: &str = "SELECT count(*) FROM memory_approximate";

/// Three memories are enough for an index where that is asked for, and too few to show its
/// recall.
#[test]
fn maintain_indexes_says_what_it_would_do_and_what_it_did() {
    let dir = TestDir::new();
    with_database(|url, count| {
        let run = |args: &[&str]| dir.run(&[&["--db", url, "maintain-indexes"], args].concat());
        let missing = run(&["--dry-run"]).code(6);
        assert!(missing.err.contains("memory migrate"), "{missing:?}");
        assert_eq!(count(COUNT_TABLES), 0);
        for text in ["Rain.", "Sun.", "Snow on the hills."] {
            dir.run(&["--db", url, "retain", "mira", text]).code(0);
        }
        let none = run(&["--json"]).code(0).json();
        let expected = serde_json::json!({
            "dry_run": false, "target_recall": 0.95, "indexes": []
        });
        assert_eq!(none, expected);

        let few = ["--min-vectors", "3", "--target-recall", "0.9"];
        let planned = run(&[&few[..], &["--dry-run", "--json"]].concat()).code(0);
        let planned = planned.json();
        assert_eq!(planned["dry_run"], true);
        assert_eq!(planned["target_recall"], 0.9);
        let index = &planned["indexes"][0];
        assert_eq!(index["entity"], "mira");
        assert_eq!(index["action"], "build");
        assert_eq!(index["reason"], "not_built");
        assert_eq!(index["measured"]["recall"], serde_json::Value::Null);
        assert_eq!(count(COUNT_RECORDS), 0, "nothing was written");

        let done = run(&[&few[..], &["--json"]].concat()).code(0).json();
        let index = &done["indexes"][0];
        assert_eq!(
            (&index["action"], &index["vectors"]),
            (&"none".into(), &3.into())
        );
        assert_eq!(index["reason"], "below_target");
        assert_eq!(index["measured"]["questions"], 3);
        assert!(
            index["measured"]["exact_ms"].as_f64() > Some(0.0),
            "{index}"
        );
        assert_eq!(count(COUNT_RECORDS), 1);
        let text = run(&few).code(0).out;
        assert!(
            text.contains("mira (3 vectors): no index; no index reaches"),
            "{text}"
        );
        assert!(
            text.ends_with("1 entity: no index; target recall 0.9\n"),
            "{text}"
        );
    });
}

#[test]
fn target_recall_is_checked_before_anything_is_opened() {
    let dir = TestDir::new();
    let url = "postgres://app@127.0.0.1:1/memories";
    for share in ["0", "1.5", "most"] {
        let args = ["--db", url, "maintain-indexes", "--target-recall", share];
        let run = dir.run(&args).code(2);
        assert!(run.err.contains("above 0 and at most 1"), "{run:?}");
    }
    let mut command = dir.command(&["--db", url, "maintain-indexes"]);
    let refused = command.env("MEMORY_ANN_TARGET_RECALL", "95").output();
    let refused = String::from_utf8(refused.expect("it starts").stderr).expect("UTF-8");
    assert!(
        refused.contains("MEMORY_ANN_TARGET_RECALL: ann_target_recall is \"95\""),
        "{refused}"
    );
    // SQLite has none.
    let refused = dir
        .run(&["maintain-indexes", "--json"])
        .fails(1, "unsupported");
    assert!(refused.contains("PostgreSQL only"), "{refused}");
}
