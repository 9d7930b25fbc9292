//! Opening a database: the schema is created once, and other programs' tables are
//! left alone.

use std::time::Duration;

use memory_core::{EntityId, ErrorKind, MaintenanceRequest, Store};
use memory_pg::{Migrations, PgOptions, PgStore};

use crate::memories;
use crate::migrations::MIGRATIONS;
use crate::support::{connect, run, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_openers_create_the_schema_once() {
    with_database(|url| async move {
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { PgStore::connect(&url).await })
            })
            .collect();
        for store in opening {
            let store = store.await.unwrap().unwrap();
            store.insert(&memories("mira", 3)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_applied_by_psql_is_accepted() {
    with_database(|url| async move {
        let check = || PgOptions::new().migrations(Migrations::Check).connect(&url);
        let refused = check().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Missing, "{refused}");
        let mut psql = connect(&url).await;
        run(&mut psql, MIGRATIONS[0]).await;
        PgStore::connect(&url).await.unwrap();
        check().await.unwrap();
    })
    .await;
}

/// The tables, and the versions with recorded checksums.
async fn schema_state(url: &str) -> (i64, Option<i64>) {
    let mut other = connect(url).await;
    let tables = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut other)
        .await
        .unwrap();
    let recorded = sqlx::query_scalar("SELECT count(checksum) FROM memory_schema")
        .fetch_one(&mut other)
        .await;
    (tables, recorded.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_for_reading_creates_nothing() {
    with_database(|url| async move {
        for options in [
            PgOptions::new().read_only(),
            PgOptions::new().create_if_missing(false),
            PgOptions::new().migrations(Migrations::Check),
        ] {
            let refused = options.connect(&url).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Missing, "{refused}");
            assert!(
                refused.to_string().contains("migrations/postgres"),
                "{refused}"
            );
            assert_eq!(schema_state(&url).await, (0, None));
        }
        // An old schema is not migrated either.
        run(&mut connect(&url).await, MIGRATIONS[0]).await;
        let old = schema_state(&url).await;
        let refused = PgOptions::new()
            .read_only()
            .connect(&url)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert!(refused.to_string().contains("version 1"), "{refused}");
        assert_eq!(schema_state(&url).await, old);
        let migrating = PgOptions::new().create_if_missing(false);
        migrating.connect(&url).await.unwrap();
        assert_ne!(schema_state(&url).await, old);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_store_reads_and_refuses_writes() {
    with_database(|url| async move {
        let batch = memories("mira", 3);
        PgStore::connect(&url)
            .await
            .unwrap()
            .insert(&batch)
            .await
            .unwrap();
        // As psql leaves it.
        run(
            &mut connect(&url).await,
            "UPDATE memory_schema SET checksum = NULL",
        )
        .await;
        let before = schema_state(&url).await;
        for url in [url.clone(), format!("{url}&pooler=transaction")] {
            let store = PgOptions::new().read_only().connect(&url).await.unwrap();
            let mira = EntityId::from("mira");
            let stats = store.entity_stats(&mira).await.unwrap();
            assert_eq!(stats.memory_count, 3);
            let refused = store.insert(&memories("tam", 1)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
            let refused = store
                .delete(&mira, &[batch[0].memory.id])
                .await
                .unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
            let refused = store
                .maintain_indexes(&MaintenanceRequest::new())
                .await
                .unwrap_err();
            assert_ne!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        }
        assert_eq!(schema_state(&url).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_schema_is_refused_and_unchanged() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        store.insert(&memories("mira", 3)).await.unwrap();
        let mut newer = connect(&url).await;
        run(
            &mut newer,
            "INSERT INTO memory_schema (version) SELECT max(version) + 1 FROM memory_schema",
        )
        .await;
        let refused = PgStore::connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NewerSchema, "{refused}");
        run(
            &mut newer,
            "DELETE FROM memory_schema WHERE version = (SELECT max(version) FROM memory_schema)",
        )
        .await;
        let store = PgStore::connect(&url).await.unwrap();
        let stats = store.entity_stats(&EntityId::from("mira")).await.unwrap();
        assert_eq!(stats.memory_count, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_migration_and_foreign_table_are_refused() {
    with_database(|url| async move {
        PgStore::connect(&url).await.unwrap();
        let mut other = connect(&url).await;
        run(&mut other, "UPDATE memory_schema SET checksum = 'other'").await;
        let refused = PgStore::connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ForeignData, "{refused}");
    })
    .await;
    with_database(|url| async move {
        let mut other = connect(&url).await;
        run(&mut other, "CREATE TABLE memory (theirs text)").await;
        let refused = PgStore::connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ForeignData, "{refused}");
        run(&mut other, "SELECT theirs FROM memory").await;
    })
    .await;
}

/// The extension exists, and its types do not for the role.
#[tokio::test(flavor = "multi_thread")]
async fn extension_outside_of_the_search_path_is_missing() {
    with_database(|url| async move {
        let create = "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions; \
                      CREATE EXTENSION btree_gin SCHEMA extensions";
        run(&mut connect(&url).await, create).await;
        let refused = PgStore::connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Missing, "{refused}");
        assert!(refused.to_string().contains("search_path"), "{refused}");
        let found = format!("{url}&options=-c search_path=public,extensions");
        PgStore::connect(&found).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_server_is_unavailable() {
    let options = PgOptions::new().acquire_timeout(std::time::Duration::from_millis(300));
    let nowhere = "postgres:///memory?host=/nonexistent&user=nobody";
    let refused = options.connect(nowhere).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let refused = PgStore::connect("no address, password=secret").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(!refused.to_string().contains("secret"), "{refused}");
}

/// The message names the server and the cause, and no password.
#[tokio::test(flavor = "multi_thread")]
async fn unreachable_server_error_names_server_and_cause() {
    let wait = std::time::Duration::from_millis(300);
    let options = || PgOptions::new().acquire_timeout(wait);
    // A port that was free a moment ago refuses connections.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    // A label has at most 63 characters, so that no resolver is asked for one of these.
    let host = format!("{}.test", "n".repeat(64));
    for (url, server, cause) in [
        (
            format!("postgres://app:hunter2@127.0.0.1:{port}/memories"),
            format!("127.0.0.1:{port}"),
            "refused",
        ),
        (
            format!("postgres://app:hunter2@{host}/memories"),
            format!("{host}:5432"),
            "failed to lookup address",
        ),
        (
            "postgres:///memories?host=/nonexistent&user=app&password=hunter2".to_owned(),
            "/nonexistent/.s.PGSQL.5432".to_owned(),
            "No such file",
        ),
    ] {
        let refused = options().connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        let message = refused.to_string();
        assert!(message.contains(&server), "{message}");
        assert!(message.contains(cause), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// What the table `memory` is locked with by those that wait.
async fn awaited_lock(url: &str) -> String {
    let mut other = connect(url).await;
    for _ in 0..600 {
        let mode = sqlx::query_scalar(
            "SELECT mode FROM pg_locks WHERE relation = 'memory'::regclass AND NOT granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        if let Some(mode) = mode.fetch_optional(&mut other).await.unwrap() {
            return mode;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody waits for the table");
}

/// The indexes of converted and unconverted rows, and the newest version.
async fn outdated_indexes(url: &str) -> (Vec<String>, i32) {
    let mut other = connect(url).await;
    let indexes = "SELECT d.indexdef FROM pg_indexes d JOIN pg_index i \
                   ON i.indexrelid = to_regclass(d.indexname) AND i.indisvalid \
                   WHERE d.indexname LIKE 'idx_memory_outdated%' ORDER BY 1";
    let indexes = sqlx::query_scalar(indexes).fetch_all(&mut other).await;
    let version = sqlx::query_scalar("SELECT max(version) FROM memory_schema");
    (
        indexes.unwrap(),
        version.fetch_one(&mut other).await.unwrap(),
    )
}

/// Reads must not wait for what migrations 9 and 12 build, whether or not a process began it
/// and was killed.
#[tokio::test(flavor = "multi_thread")]
async fn memories_are_read_while_the_index_of_outdated_ones_is_built() {
    with_database(|created| async move {
        PgStore::connect(&created).await.unwrap();
        let expected = outdated_indexes(&created).await;
        assert_eq!(expected.0.len(), 1);
        for (applied, analysis, is_begun) in
            [(8, 6, false), (8, 6, true), (11, 7, false), (11, 7, true)]
        {
            let expected = expected.clone();
            with_database(move |url| async move {
                let mut psql = connect(&url).await;
                for migration in &MIGRATIONS[..applied] {
                    run(&mut psql, migration).await;
                }
                if is_begun {
                    let left = format!(
                        "CREATE INDEX idx_memory_outdated_{analysis} \
                         ON memory (entity_id, memory_id) WHERE analysis < {analysis}"
                    );
                    run(&mut psql, &left).await;
                }
                run(&mut psql, "BEGIN; LOCK TABLE memory IN ROW EXCLUSIVE MODE").await;
                let opening = url.clone();
                let opening = tokio::spawn(async move { PgStore::connect(&opening).await });
                if !is_begun {
                    assert_eq!(awaited_lock(&url).await, "ShareLock");
                    let mut reader = connect(&url).await;
                    let read = "SET lock_timeout = '10s'; SELECT count(*) FROM memory";
                    run(&mut reader, read).await;
                }
                run(&mut psql, "ROLLBACK").await;
                let store = opening.await.unwrap().unwrap();
                assert_eq!(outdated_indexes(&url).await, expected);
                assert_eq!(schema_state(&url).await.1, Some(i64::from(expected.1)));
                store.insert(&memories("mira", 3)).await.unwrap();
                PgStore::connect(&url).await.unwrap();
            })
            .await;
        }
    })
    .await;
}
