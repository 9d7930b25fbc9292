//! Migrations of databases that are in use, from each older version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use memory_core::{EntityId, Store};
use memory_pg::{PgOptions, PgStore};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::task::JoinHandle;

use crate::row_level_security::with_role;
use crate::support::{connect, run, with_database};

/// All of them, oldest first.
pub(crate) const MIGRATIONS: [&str; 13] = [
    include_str!("../../migrations/0001_memory.sql"),
    include_str!("../../migrations/0002_archive.sql"),
    include_str!("../../migrations/0003_approximate.sql"),
    include_str!("../../migrations/0004_tombstones.sql"),
    include_str!("../../migrations/0005_episodes.sql"),
    include_str!("../../migrations/0006_terms.sql"),
    include_str!("../../migrations/0007_contractions.sql"),
    include_str!("../../migrations/0008_index_tuning.sql"),
    include_str!("../../migrations/0009_words_of_more_scripts.sql"),
    include_str!("../../migrations/0010_snapshot_pages.sql"),
    include_str!("../../migrations/0011_lookups_by_id.sql"),
    include_str!("../../migrations/0012_more_emoji.sql"),
    include_str!("../../migrations/0013_tombstone_counts.sql"),
];

/// Rows of two entities, which every version can have.
const ROWS: &str = r"
    INSERT INTO memory (entity_id, memory_id, kind, content, timestamp, importance, decay_rate,
            metadata, related, tags, version, word_count)
        SELECT 'mira', gen_random_uuid(), 'world', 'a lantern of Mira ' || n, now(), 0.5, 0.1,
            '{}', '{}', '{}', 1, 5
        FROM generate_series(1, 8000) n;
    INSERT INTO entity (entity_id, generation, memory_count, word_count)
        VALUES ('mira', 1, 8000, 40000), ('tam', 0, 0, 0);";

/// In the order in which a search by words locks the tables, and in that of other reads.
const READS: [&str; 2] = [
    "WITH found AS MATERIALIZED (SELECT count(*) AS count FROM memory WHERE entity_id = 'mira') \
     SELECT f.count, (SELECT e.generation FROM entity e WHERE e.entity_id = 'mira') FROM found f",
    "SELECT g.generation, count(m.memory_id), count(v.chunk), \
       (SELECT count(*) FROM memory_tombstone WHERE entity_id = 'tam') \
     FROM (SELECT generation FROM entity WHERE entity_id = 'tam') g \
     LEFT JOIN memory m ON m.entity_id = 'tam' \
     LEFT JOIN memory_embedding v ON v.entity_id = 'tam' AND v.memory_id = m.memory_id GROUP BY 1",
];

/// In the order in which writers lock the tables.
const WRITE: &str = "BEGIN; \
     UPDATE entity SET generation = generation + 1, memory_count = memory_count + 1, \
       word_count = word_count + 1 WHERE entity_id = 'tam'; \
     WITH new AS (INSERT INTO memory (entity_id, memory_id, kind, content, timestamp, \
         importance, decay_rate, metadata, related, tags, version, word_count) \
       SELECT 'tam', gen_random_uuid(), 'world', 'saddle', now(), 0.5, 0.1, '{}', '{}', '{}', \
         e.generation, 1 FROM entity e WHERE e.entity_id = 'tam' RETURNING memory_id) \
       INSERT INTO memory_embedding (entity_id, memory_id, model, chunk, half) \
       SELECT 'tam', n.memory_id, 'model', 0, '[1,2]' FROM new n; \
     INSERT INTO memory_tombstone VALUES ('tam', gen_random_uuid(), 1); COMMIT";

const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE relation = 'memory'::regclass \
     AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// What reads and writes while something else happens.
struct Users {
    is_over: Arc<AtomicBool>,
    reads: Arc<AtomicI64>,
    writes: Arc<AtomicI64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Users {
    async fn start(url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (reads, writes) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let mut tasks = Vec::new();
        for (text, users, done) in [
            (READS[0], 6, &reads),
            (READS[1], 3, &reads),
            (WRITE, 3, &writes),
        ] {
            for _ in 0..users {
                let (url, is_over, done) = (url.to_owned(), Arc::clone(&is_over), Arc::clone(done));
                tasks.push(tokio::spawn(async move {
                    let mut connection = connect(&url).await;
                    while !is_over.load(Ordering::SeqCst) {
                        run(&mut connection, text).await;
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                }));
            }
        }
        while reads.load(Ordering::SeqCst) < 20 || writes.load(Ordering::SeqCst) < 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self {
            is_over,
            reads,
            writes,
            tasks,
        }
    }

    /// Ends them, none of which may have failed. Returns how many memories they wrote.
    async fn end(self) -> i64 {
        let (reads, writes) = (
            self.reads.load(Ordering::SeqCst),
            self.writes.load(Ordering::SeqCst),
        );
        while self.reads.load(Ordering::SeqCst) < reads + 20
            || self.writes.load(Ordering::SeqCst) < writes + 20
        {
            assert!(self.tasks.iter().all(|task| !task.is_finished()));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.writes.load(Ordering::SeqCst)
    }
}

async fn scalar(connection: &mut PgConnection, query: &str) -> i64 {
    let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
    query.fetch_one(connection).await.unwrap()
}

/// Several processes open it at once, while those of the older version go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_migrated_from_every_version() {
    for version in 1..MIGRATIONS.len() {
        with_database(move |url| async move {
            let mut psql = connect(&url).await;
            for migration in &MIGRATIONS[..version] {
                run(&mut psql, migration).await;
            }
            run(&mut psql, ROWS).await;
            let users = Users::start(&url).await;
            let opening: Vec<_> = (0..2)
                .map(|_| {
                    let url = url.clone();
                    tokio::spawn(async move { PgStore::connect(&url).await })
                })
                .collect();
            for opened in opening {
                let opened = opened.await.unwrap();
                opened.unwrap_or_else(|error| panic!("from version {version}: {error}"));
            }
            let written = users.end().await;
            let store = PgStore::connect(&url).await.unwrap();
            for (name, expected) in [("mira", 8_000), ("tam", written)] {
                let entity = EntityId::from(name);
                let stats = store.entity_stats(&entity).await.unwrap();
                assert_eq!(stats.memory_count, expected.cast_unsigned(), "{name}");
                let count = format!("SELECT count(*) FROM memory WHERE entity_id = '{name}'");
                assert_eq!(scalar(&mut psql, &count).await, expected, "{name}");
            }
            let recorded = scalar(&mut psql, "SELECT count(checksum) FROM memory_schema").await;
            assert_eq!(usize::try_from(recorded).unwrap(), MIGRATIONS.len());
            store.close().await.unwrap();
        })
        .await;
    }
}

/// Such as a dump, which has locked a table and goes on to another.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_a_long_transaction() {
    with_database(|url| async move {
        let mut psql = connect(&url).await;
        run(&mut psql, MIGRATIONS[0]).await;
        run(&mut psql, ROWS).await;
        // What a process that was killed has left.
        let statements = MIGRATIONS[1].split(';');
        let begun = |it: &&str| it.contains("memory_embedding") || it.contains("TABLE entity");
        for statement in statements.filter(begun) {
            run(&mut psql, statement).await;
        }
        let mut dump = connect(&url).await;
        run(&mut dump, "BEGIN; LOCK TABLE memory IN ACCESS SHARE MODE").await;
        let opening = url.clone();
        let opening = tokio::spawn(async move { PgStore::connect(&opening).await });
        while scalar(&mut psql, WAITING).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run(&mut dump, "LOCK TABLE entity IN ACCESS SHARE MODE; COMMIT").await;
        opening.await.unwrap().unwrap();
    })
    .await;
}

/// Policies lock all tables, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn policies_are_created_on_a_database_in_use() {
    with_role(|url, owner| async move {
        let secured = || PgOptions::new().row_level_security(true).connect(&url);
        secured().await.unwrap();
        let mut admin = connect(&owner).await;
        run(&mut admin, ROWS).await;
        for _ in 0..5 {
            let disable = "ALTER TABLE entity DISABLE ROW LEVEL SECURITY";
            run(&mut admin, disable).await;
            let users = Users::start(&owner).await;
            secured().await.unwrap();
            users.end().await;
        }
    })
    .await;
}

/// The owner of the tables sees no row of them unless it names an entity, and what a
/// migration counts is of all entities.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_migrated_under_row_level_security() {
    with_role(|url, owner| async move {
        let mut plain = connect(&url).await;
        for migration in &MIGRATIONS[..3] {
            run(&mut plain, migration).await;
        }
        let mut admin = connect(&owner).await;
        run(
            &mut admin,
            "INSERT INTO entity (entity_id, generation, memory_count, word_count) \
               VALUES ('mira', 1, 0, 0), ('tam', 1, 0, 0); \
             INSERT INTO memory_tombstone VALUES ('mira', gen_random_uuid(), 1); \
             INSERT INTO memory_approximate VALUES ('i', 'mira', 'model', 2, 'hnsw', '', 1); \
             DO $$ DECLARE of text; BEGIN \
               FOREACH of IN ARRAY ARRAY['entity', 'memory', 'memory_embedding', 'memory_access', \
                 'memory_entity', 'memory_tombstone', 'memory_approximate'] \
               LOOP \
                 EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', of); \
                 EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', of); \
                 EXECUTE format('CREATE POLICY memory_named ON %I USING (entity_id = ANY ((SELECT \
                   coalesce(nullif(current_setting(''memory.entities'', true), ''''), ''{}'') \
                   ::text[])::text[]))', of); \
               END LOOP; END $$",
        )
        .await;
        let secured = || PgOptions::new().row_level_security(true);
        secured().connect(&url).await.unwrap();
        let tombstones = "SELECT sum(tombstone_count)::bigint FROM entity";
        assert_eq!(scalar(&mut admin, tombstones).await, 1);
        let width = "SELECT search_width::bigint FROM memory_approximate";
        assert_eq!(scalar(&mut admin, width).await, 100);
        // As a program left it that applied migration 4 while policies hid the tombstones.
        run(
            &mut admin,
            "UPDATE entity SET tombstone_count = CASE entity_id WHEN 'tam' THEN 2 ELSE 0 END; \
             DELETE FROM memory_schema WHERE version >= 13",
        )
        .await;
        secured().connect(&url).await.unwrap();
        // Of tam it may be more than there are.
        assert_eq!(scalar(&mut admin, tombstones).await, 3);
        let unforced =
            "SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity";
        assert_eq!(scalar(&mut admin, unforced).await, 0);
    })
    .await;
}
