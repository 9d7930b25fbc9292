//! Row-level security: a statement without an entity condition reaches only the
//! entities that its transaction has named.

use std::time::Duration;

use memory_core::{AccessUpdate, EntityId, ErrorKind, MemoryId, Store};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::store::{Suite, Tolerance};
use sqlx::{Executor, PgConnection};

use crate::memories;
use crate::support::{connect, run, server, with_database};

/// Runs a test with a database and an unprivileged role: it gets the URL with that
/// role, and the owner's.
pub(crate) async fn with_role<Test, Done>(test: Test)
where
    Test: FnOnce(String, String) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let role = format!("plain_{}", MemoryId::new().as_uuid().simple());
    let mut admin = connect(&server()).await;
    run(
        &mut admin,
        &format!("CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS"),
    )
    .await;
    let name = role.clone();
    let outcome = tokio::spawn(with_database(|url| async move {
        let mut owner = connect(&url).await;
        run(
            &mut owner,
            &format!(
                "CREATE EXTENSION vector; CREATE EXTENSION btree_gin; \
                 GRANT CREATE ON SCHEMA public TO {name}"
            ),
        )
        .await;
        let plain = with_user(&url, &name);
        test(plain, url).await;
    }))
    .await;
    run(&mut admin, &format!("DROP ROLE {role}")).await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// The same database, another user.
fn with_user(url: &str, user: &str) -> String {
    let kept: Vec<&str> = url
        .split('&')
        .filter(|it| !it.starts_with("user="))
        .collect();
    format!("{}&user={user}", kept.join("&"))
}

fn secured() -> PgOptions {
    PgOptions::new().row_level_security(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_under_row_level_security() {
    with_role(|url, _| async move {
        let suite = Suite::new().reopens().tolerance(Tolerance::HALF_PRECISION);
        let open = || secured().connect(&url);
        suite.run(open).await.assert();
    })
    .await;
}

/// The policies are of the schema that the tables are in, whatever its name is.
#[tokio::test(flavor = "multi_thread")]
async fn row_level_security_applies_in_a_schema_of_any_name() {
    with_role(|url, owner| async move {
        let mut admin = connect(&owner).await;
        let role = url.rsplit_once("user=").unwrap().1;
        let create = format!(
            r#"CREATE SCHEMA "Odd. ""Name"; GRANT ALL ON SCHEMA "Odd. ""Name" TO {role};
               ALTER ROLE {role} SET search_path = "Odd. ""Name", public"#
        );
        run(&mut admin, &create).await;
        let store = secured().notify_changes(true).connect(&url).await.unwrap();
        store.insert(&memories("mira", 3)).await.unwrap();
        store.close().await.unwrap();
        let mut plain = connect(&url).await;
        assert_eq!(count(&mut plain, "memory", "mira").await, 0);
        run(&mut plain, "SET memory.entities = '{mira}'").await;
        assert_eq!(count(&mut plain, "memory", "mira").await, 3);
        run(&mut admin, r#"DROP SCHEMA "Odd. ""Name" CASCADE"#).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reaches_an_unnamed_entity() {
    with_role(|url, owner| async move {
        let store = secured().connect(&url).await.unwrap();
        // Rows of both in every table.
        for name in ["mira", "tam"] {
            let batch = memories(name, 6);
            store.insert(&batch).await.unwrap();
            let entity = EntityId::from(name);
            store.delete(&entity, &[batch[0].memory.id]).await.unwrap();
            let touched = &batch[1].memory;
            let update = AccessUpdate::new(entity, touched.id, 1, touched.timestamp);
            store
                .record_accesses(&[update], Duration::ZERO)
                .await
                .unwrap();
        }
        let mut admin = connect(&owner).await;
        run(
            &mut admin,
            "INSERT INTO snapshot_page SELECT e.entity_id, m.last_id, m.last_id, 'model', 0, 0, '' \
             FROM entity e CROSS JOIN (SELECT gen_random_uuid() AS last_id) m",
        )
        .await;
        let before = all_rows(&mut admin).await;
        let mut plain = connect(&url).await;
        for named in ["", "SET memory.entities = '{tam}'"] {
            run(&mut plain, named).await;
            for table in TABLES {
                assert_reads_nothing(&mut plain, table).await;
                assert_writes_nothing(&mut plain, table).await;
            }
            for (table, row) in ROWS {
                let insert = format!("INSERT INTO {table} VALUES ({row})");
                assert_refused(&mut plain, &insert).await;
            }
        }
        // Nor can a row be moved to another entity.
        for table in TABLES {
            let give = format!("UPDATE {table} SET entity_id = 'mira'");
            assert_refused(&mut plain, &give).await;
        }
        run(&mut plain, "SET memory.entities = '{mira}'").await;
        let seen: i64 = count(&mut plain, "memory", "mira").await;
        assert_eq!(seen, 5);
        assert_eq!(all_rows(&mut admin).await, before);
    })
    .await;
}

/// Which entities have older terms cannot be asked of all at once.
#[tokio::test(flavor = "multi_thread")]
async fn older_terms_are_converted_under_row_level_security() {
    with_role(|url, owner| async move {
        let store = secured().connect(&url).await.unwrap();
        for name in ["mira", "tam"] {
            store.insert(&memories(name, 6)).await.unwrap();
        }
        let mut admin = connect(&owner).await;
        let before = all_rows(&mut admin).await;
        let outdate = "UPDATE memory SET lexemes = NULL, analysis = 0, word_count = word_count + 1; \
             UPDATE entity SET word_count = word_count + 6";
        run(&mut admin, outdate).await;
        let store = secured().connect(&url).await.unwrap();
        let start = std::time::Instant::now();
        while all_rows(&mut admin).await != before {
            let waited = start.elapsed();
            assert!(waited.as_secs() < 60, "the words are not made again");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        store.close().await.unwrap();
    })
    .await;
}

const TABLES: [&str; 7] = [
    "entity",
    "memory",
    "memory_embedding",
    "memory_access",
    "memory_entity",
    "memory_tombstone",
    "snapshot_page",
];

/// A row of the other entity for each table.
const ROWS: [(&str, &str); 7] = [
    ("entity", "'ona', 1, 0, 0"),
    (
        "memory",
        "'mira', gen_random_uuid(), 'world', 'x', '2026-01-01', 0, 0, NULL, '{}', '{}', '{}', 1, 1",
    ),
    (
        "memory_embedding",
        "'mira', gen_random_uuid(), 'model', 0, '[1,2]'",
    ),
    ("memory_access", "'mira', gen_random_uuid(), 1, NULL"),
    ("memory_entity", "'mira', gen_random_uuid(), 'tam', 'seen'"),
    ("memory_tombstone", "'mira', gen_random_uuid(), 1"),
    (
        "snapshot_page",
        "'mira', gen_random_uuid(), gen_random_uuid(), 'model', 0, 0, ''",
    ),
];

async fn assert_reads_nothing(connection: &mut PgConnection, table: &str) {
    let found = count(connection, table, "mira").await;
    assert_eq!(found, 0, "{table} was read");
}

async fn count(connection: &mut PgConnection, table: &str, entity: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table} WHERE entity_id = '{entity}'");
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query));
    query.fetch_one(connection).await.unwrap()
}

async fn assert_writes_nothing(connection: &mut PgConnection, table: &str) {
    for statement in [
        format!("UPDATE {table} SET entity_id = entity_id WHERE entity_id = 'mira'"),
        format!("DELETE FROM {table} WHERE entity_id = 'mira'"),
    ] {
        let text = sqlx::AssertSqlSafe(statement.clone());
        let done = connection.execute(sqlx::raw_sql(text)).await.unwrap();
        assert_eq!(done.rows_affected(), 0, "{statement}");
    }
}

/// The policy refuses the statement.
async fn assert_refused(connection: &mut PgConnection, statement: &str) {
    let text = sqlx::AssertSqlSafe(format!("BEGIN; {statement}; ROLLBACK"));
    let done = connection.execute(sqlx::raw_sql(text)).await;
    run(connection, "ROLLBACK").await;
    let error = done.expect_err(statement);
    let code = error.as_database_error().and_then(|it| it.code());
    assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
}

/// Every row of every table.
async fn all_rows(admin: &mut PgConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let query = format!("SELECT t::text FROM {table} t ORDER BY 1");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query));
        let more: Vec<String> = query.fetch_all(&mut *admin).await.unwrap();
        rows.extend(more);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn ineffective_row_level_security_is_refused() {
    with_role(|_, owner| async move {
        // Policies do not apply to a superuser.
        let refused = secured().connect(&owner).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    })
    .await;
    with_role(|plain, _| async move {
        secured().connect(&plain).await.unwrap();
        // Without naming entities the tables would look empty.
        let refused = PgStore::connect(&plain).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    })
    .await;
}
