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
    for (url, code, parts) in [
        (
            "postgres://mira:secret@127.0.0.1:1/db",
            7,
            &["127.0.0.1:1", "refused"][..],
        ),
        (
            "postgres://mira:secret@no-such-host.invalid/db",
            7,
            &["no-such-host.invalid"],
        ),
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
