//! Migration of databases with earlier schemas.

use std::path::Path;

use futures_util::future::join;
use memory_core::{BackupOptions, ErrorKind, ListRequest, MemoryFilter, MemoryId, Store};
use memory_sqlite::{SqliteOptions, SqliteStore};
use sqlx::migrate::{Migrate, Migration, MigrationType};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
use tempfile::tempdir;

use crate::common::{connect, lexical, memories, mira, open, run_sql};

const FIRST: &str = include_str!("../../migrations/0001_memory.sql");

/// The rows that the first version of this crate wrote for one memory and one
/// that links to it.
const ROWS: &str = "
    PRAGMA application_id = 1298492783;
    PRAGMA user_version = 1;
    INSERT INTO entity (entity_key, entity_id, generation, memory_count, word_count, next_number)
    VALUES (1, 'mira', 1, 2, 2, 2);
    INSERT INTO memory (memory_key, entity_key, memory_id, kind, content, timestamp, importance,
        decay_rate, related, word_count, version)
    VALUES
        (4294967296, 1, x'0193d4c8a0007000800000000000000a', 0, 'mill', 0, 0.5, 0.005, NULL, 1, 1),
        (4294967297, 1, x'0193d4c8a0007000800000000000000b', 1, 'bridge', 1, 0.5, 0.01,
         '{\"0193d4c8-a000-7000-8000-00000000000a\":\"near\"}', 1, 1);
    INSERT INTO memory_words (rowid, words) VALUES (4294967296, '1_mill'), (4294967297, '1_bridg');";

#[tokio::test]
async fn without_migration_an_older_schema_is_refused_and_unchanged() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    open(&path).await.close().await.unwrap();
    run_sql(&path, "PRAGMA user_version = 1").await;
    let before = std::fs::read(&path).unwrap();
    let options = SqliteOptions::new(&path).migrate(false);
    let error = SqliteStore::open_with(options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(error.to_string().contains("version 1"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    open(&path).await.close().await.unwrap();
    let store = SqliteStore::open_with(options).await.unwrap();
    store.close().await.unwrap();
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "closing removes the files next to the database");

    for (name, content) in [("missing.db", None), ("empty.db", Some(""))] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let options = SqliteOptions::new(&path).migrate(false);
        let error = SqliteStore::open_with(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
        assert_eq!(path.exists(), content.is_some());
    }
}

async fn create_first_schema(path: &Path) {
    let mut conn = connect(path).await;
    conn.ensure_migrations_table("_sqlx_migrations")
        .await
        .unwrap();
    apply(&mut conn, 1, "memory", FIRST).await;
    conn.close().await.unwrap();
}

async fn apply(conn: &mut SqliteConnection, version: i64, name: &str, sql: impl SqlSafeStr) {
    let name = name.to_owned().into();
    let sql = sql.into_sql_str();
    let migration = Migration::new(version, name, MigrationType::Simple, sql, false);
    conn.apply("_sqlx_migrations", &migration).await.unwrap();
}

/// Every migration after the first, in order, by number and name.
fn later_migrations() -> Vec<(i64, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut migrations: Vec<_> = paths
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let (number, name) = stem.split_once('_').unwrap();
            let sql = std::fs::read_to_string(&path).unwrap();
            (number.parse().unwrap(), name.to_owned(), sql)
        })
        .filter(|(number, _, _)| *number > 1)
        .collect();
    migrations.sort_unstable();
    migrations
}

/// Every table, index and trigger, as it was created.
async fn schema_of(path: &Path) -> Vec<(String, String)> {
    let mut conn = connect(path).await;
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let schema = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    schema
}

/// By two stores at once, as two processes of a new version start.
#[tokio::test(flavor = "multi_thread")]
async fn every_earlier_schema_is_migrated() {
    let folder = tempdir().unwrap();
    let new = folder.path().join("new.db");
    open(&new).await.close().await.unwrap();
    let expected = schema_of(&new).await;
    let later = later_migrations();
    for version in 1..=later.len() {
        let path = folder.path().join(format!("{version}.db"));
        create_first_schema(&path).await;
        run_sql(&path, ROWS).await;
        let mut conn = connect(&path).await;
        for (number, name, sql) in &later[..version - 1] {
            apply(&mut conn, *number, name, AssertSqlSafe(sql.clone())).await;
        }
        let sql = format!("PRAGMA user_version = {version}");
        conn.execute(AssertSqlSafe(sql)).await.unwrap();
        conn.close().await.unwrap();

        let (one, other) = join(open(&path), open(&path)).await;
        for store in [&one, &other] {
            let page = store.list(&mira(), &ListRequest::new(10)).await.unwrap();
            let contents: Vec<_> = page.memories.iter().map(|it| &*it.content).collect();
            assert_eq!(contents, ["bridge", "mill"], "from {version}");
        }
        let found = one.search(&mira(), &lexical("mills")).await.unwrap();
        assert_eq!(found.candidates.len(), 1, "from {version}");
        one.insert(&memories(3, 1)).await.unwrap();
        let stats = other.entity_stats(&mira()).await.unwrap();
        assert_eq!(stats.memory_count, 5, "from {version}");
        one.close().await.unwrap();
        other.close().await.unwrap();
        assert_eq!(schema_of(&path).await, expected, "from {version}");
    }
}

#[tokio::test]
async fn an_older_schema_is_backed_up_as_it_is() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_first_schema(&path).await;
    run_sql(&path, ROWS).await;
    let before = std::fs::read(&path).unwrap();
    for (name, options) in [
        ("copy.db", SqliteOptions::new(&path)),
        ("copy-ro.db", SqliteOptions::new(&path).read_only()),
    ] {
        let copy = folder.path().join(name);
        options.backup(&copy, &BackupOptions::new()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before, "not migrated");

        let old = SqliteOptions::new(&copy).migrate(false);
        let refused = SqliteStore::open_with(old).await.unwrap_err();
        assert!(refused.to_string().contains("version 1"), "{refused}");
        let restored = open(&copy).await;
        let stats = restored.entity_stats(&mira()).await.unwrap();
        assert_eq!(stats.memory_count, 2);
        restored.close().await.unwrap();
    }

    let target = folder.path().join("none.db");
    let missing = SqliteOptions::new(folder.path().join("missing.db"));
    run_sql(
        &folder.path().join("newer.db"),
        "PRAGMA application_id = 1298492783; PRAGMA user_version = 99;",
    )
    .await;
    let newer = SqliteOptions::new(folder.path().join("newer.db"));
    run_sql(&folder.path().join("other.db"), "CREATE TABLE note (x)").await;
    let other = SqliteOptions::new(folder.path().join("other.db"));
    for (options, kind) in [
        (missing, ErrorKind::Missing),
        (newer, ErrorKind::NewerSchema),
        (other, ErrorKind::ForeignData),
        (SqliteOptions::in_memory(), ErrorKind::Configuration),
    ] {
        let refused = options.backup(&target, &BackupOptions::new()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(!target.exists());
    }
}

#[tokio::test]
async fn the_first_schema_is_migrated() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_first_schema(&path).await;
    run_sql(&path, ROWS).await;

    let store = open(&path).await;
    let stats = store.entity_stats(&mira()).await.unwrap();
    assert_eq!((stats.memory_count, stats.archived_count), (2, 0));
    let mill: MemoryId = "0193d4c8-a000-7000-8000-00000000000a".parse().unwrap();
    let near = ListRequest::new(10).filter(MemoryFilter::new().relates_to(mill));
    let near = store.list(&mira(), &near).await.unwrap().memories;
    assert_eq!(
        near.len(),
        1,
        "links of existing rows are found by their target"
    );
    assert_eq!(near[0].content, "bridge");
    let gone = store.delete(&mira(), &[mill]).await.unwrap();
    assert_eq!(gone.unlinked, [near[0].id]);
}

/// Tombstones of earlier schemas count, so that the first removal after the
/// migration compacts them.
#[tokio::test]
async fn tombstones_of_earlier_schemas_are_counted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("agent.db");
    create_first_schema(&path).await;
    run_sql(&path, ROWS).await;
    run_sql(
        &path,
        "INSERT INTO memory_tombstone (entity_key, memory_id, version)
         WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number LIMIT 3000)
         SELECT 1, CAST(printf('%016d', n) AS BLOB), 1 FROM number",
    )
    .await;
    let store = open(&path).await;
    let mill: MemoryId = "0193d4c8-a000-7000-8000-00000000000a".parse().unwrap();
    store.delete(&mira(), &[mill]).await.unwrap();
    let mut conn = connect(&path).await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM memory_tombstone")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(left, 1, "all 3,000 have the same version");
}
