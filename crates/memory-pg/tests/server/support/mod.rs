//! A database for each test, on a real server.
#![allow(dead_code, reason = "the query plan tests need only a part")]

pub(crate) mod partitioned;
pub(crate) mod pgbouncer;

use std::env;
use std::future::Future;
use std::panic::resume_unwind;

use memory_core::MemoryId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};

/// Set by `cargo xtask test`, and by hand after `cargo xtask pg start`.
const URL_ENV: &str = "MEMORY_TEST_PG";

/// The URL of the server, with its superuser.
pub(crate) fn server() -> String {
    let named = [URL_ENV, "DATABASE_URL"]
        .iter()
        .find_map(|name| env::var(name).ok());
    named.unwrap_or_else(|| {
        panic!(
            "these tests need a PostgreSQL server with pgvector: run `cargo xtask test`, or run \
             `cargo xtask pg start` and set {URL_ENV} as it says, or set DATABASE_URL"
        )
    })
}

/// Runs a test on a new database, which is dropped afterward even if the test
/// fails.
pub(crate) async fn with_database<Test, Done>(test: Test)
where
    Test: FnOnce(String) -> Done,
    Done: Future<Output = ()> + Send + 'static,
{
    let name = format!("test_{}", MemoryId::new().as_uuid().simple());
    let mut admin = connect(&server()).await;
    run(&mut admin, &format!("CREATE DATABASE {name}")).await;
    let outcome = tokio::spawn(test(with_name(&server(), &name))).await;
    run(&mut admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

/// The URL of another database on the same server.
pub(crate) fn with_name(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, ""), |(a, q)| (a, q));
    let start = address.find("://").map_or(0, |at| at + 3);
    let host = address[start..]
        .find('/')
        .map_or(address.len(), |at| start + at);
    format!("{}/{name}?{query}", &address[..host])
}

/// A connection outside the store's pool.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("the URL of the test server");
    options.connect().await.expect("the test server answers")
}

/// Runs statements without parameters.
pub(crate) async fn run(connection: &mut PgConnection, text: &str) {
    let done = connection
        .execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned())))
        .await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}
