//! The migrations: their texts, and applying them while others use the tables.
//!
//! Readers lock tables in different orders, and the server ends one of two sessions that wait
//! for each other. So each migration is applied in a transaction of its own, and locks readers
//! out of one table: it has none that others want while it waits for another. One that
//! concerns more is applied in parts.

use sqlx::Row;

use crate::connections::connection::Connection;
use crate::connections::transaction::Attempts;
use crate::error::Failure;
use crate::rows::sql;
use crate::schema::{State, checksum, version};

/// A migration.
pub(crate) struct Migration {
    pub(crate) text: &'static str,
    /// Parts that are applied before, each in a transaction of its own, and what is left for
    /// the last.
    parts: Option<(&'static [Part], &'static str)>,
    /// The tables of which it writes rows of all entities, and reads them.
    data: &'static [&'static str],
}

impl Migration {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            parts: None,
            data: &[],
        }
    }

    /// One that is applied in parts. A distributed server applies it as a whole.
    const fn in_parts(mut self, before: &'static [Part], last: &'static str) -> Self {
        self.parts = Some((before, last));
        self
    }

    /// One that writes or reads rows of these tables.
    const fn with_data(mut self, data: &'static [&'static str]) -> Self {
        self.data = data;
        self
    }
}

/// A part of a migration that is applied before the rest.
struct Part {
    text: &'static str,
    /// The relation and the column of it that are there where the part was applied, by this
    /// process or another one, which may have been killed since.
    makes: (&'static str, &'static str),
}

impl Part {
    async fn is_applied(&self, connection: &mut Connection) -> Result<bool, Failure> {
        let query = sqlx::query(
            "SELECT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relname = $1::text \
             AND a.attname = $2::text AND NOT a.attisdropped) AS is_applied",
        );
        let (relation, column) = self.makes;
        let rows = connection.fetch_all(query.bind(relation).bind(column));
        let rows = rows.await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get("is_applied")?)
    }
}

/// The migrations, oldest first; the first is version 1. A published migration
/// never changes: changes are added as new versions.
///
/// Migration 11 locks readers out of two tables. Those that read both have locked `memory`
/// first, as it does, so that nobody has the second when it has the first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration::new(include_str!("../../migrations/0001_memory.sql")),
    Migration::new(include_str!("../../migrations/0002_archive.sql"))
        .in_parts(&[ARCHIVE_ENTITIES, ARCHIVE_VECTORS], ARCHIVE_MEMORIES),
    Migration::new(include_str!("../../migrations/0003_approximate.sql")),
    Migration::new(include_str!("../../migrations/0004_tombstones.sql"))
        .with_data(&["entity", "memory_tombstone"]),
    Migration::new(include_str!("../../migrations/0005_episodes.sql")),
    Migration::new(include_str!("../../migrations/0006_terms.sql")),
    Migration::new(include_str!("../../migrations/0007_contractions.sql")),
    Migration::new(include_str!("../../migrations/0008_index_tuning.sql"))
        .with_data(&["memory_approximate"]),
    Migration::new(include_str!(
        "../../migrations/0009_words_of_more_scripts.sql"
    ))
    .in_parts(&[BUILD_OUTDATED_INDEX_V6], SWAP_OUTDATED_INDEX_V6),
    Migration::new(include_str!("../../migrations/0010_snapshot_pages.sql")),
    Migration::new(include_str!("../../migrations/0011_lookups_by_id.sql")),
    Migration::new(include_str!("../../migrations/0012_more_emoji.sql"))
        .in_parts(&[BUILD_OUTDATED_INDEX_V7], SWAP_OUTDATED_INDEX_V7),
    Migration::new(include_str!("../../migrations/0013_tombstone_counts.sql"))
        .with_data(&["entity", "memory_tombstone"]),
];

/// The parts of migration 2, by table. Processes of version 1 do not mind the columns.
const ARCHIVE_ENTITIES: Part = Part {
    text: "ALTER TABLE entity ADD COLUMN archived_count bigint NOT NULL DEFAULT 0",
    makes: ("entity", "archived_count"),
};
const ARCHIVE_VECTORS: Part = Part {
    text: "\
    ALTER TABLE memory_embedding ADD COLUMN archived boolean NOT NULL DEFAULT false; \
    DROP INDEX idx_memory_embedding; \
    CREATE INDEX idx_memory_embedding ON memory_embedding (entity_id, model, memory_id) \
        INCLUDE (half, single) WHERE compact AND NOT archived; \
    DROP INDEX idx_memory_embedding_large; \
    CREATE INDEX idx_memory_embedding_large ON memory_embedding (entity_id, model, memory_id) \
        WHERE NOT compact AND NOT archived",
    makes: ("memory_embedding", "archived"),
};
const ARCHIVE_MEMORIES: &str = "\
    ALTER TABLE memory ADD COLUMN archived_by uuid; \
    DROP INDEX idx_memory_entity_timestamp; \
    CREATE INDEX idx_memory_entity_timestamp ON memory (entity_id, timestamp, memory_id) \
        WHERE archived_by IS NULL; \
    DROP INDEX idx_memory_entity_kind_timestamp; \
    CREATE INDEX idx_memory_entity_kind_timestamp \
        ON memory (entity_id, kind, timestamp, memory_id) WHERE archived_by IS NULL; \
    DROP INDEX idx_memory_lexemes; \
    CREATE INDEX idx_memory_lexemes ON memory USING gin (entity_id, lexemes) \
        WHERE archived_by IS NULL; \
    DROP INDEX idx_memory_tags; \
    CREATE INDEX idx_memory_tags ON memory USING gin (entity_id, tags) \
        WHERE archived_by IS NULL; \
    DROP INDEX idx_memory_metadata; \
    CREATE INDEX idx_memory_metadata ON memory USING gin (entity_id, metadata jsonb_path_ops) \
        WHERE archived_by IS NULL; \
    CREATE INDEX idx_memory_archived ON memory (entity_id, archived_by, timestamp, memory_id) \
        WHERE archived_by IS NOT NULL; \
    CREATE INDEX idx_memory_related ON memory USING gin (entity_id, related) \
        WHERE related <> '{}'; \
    INSERT INTO memory_schema (version) VALUES (2)";

/// Builds the index of migration 9 under another name: writes to `memory` wait for it, and
/// reads do not. The migration's own first statement would lock both out while it builds.
const BUILD_OUTDATED_INDEX_V6: Part = Part {
    text: "CREATE INDEX idx_memory_outdated_6 ON memory (entity_id, memory_id) \
           WHERE analysis < 6",
    makes: ("idx_memory_outdated_6", "entity_id"),
};

/// What migration 9 does, where [`BUILD_OUTDATED_INDEX_V6`] was done before. Locks reads out for an
/// instant.
const SWAP_OUTDATED_INDEX_V6: &str = "DROP INDEX idx_memory_outdated; \
     ALTER INDEX idx_memory_outdated_6 RENAME TO idx_memory_outdated; \
     INSERT INTO memory_schema (version) VALUES (9)";

/// As above, for migration 12 (version 7 of the analysis).
const BUILD_OUTDATED_INDEX_V7: Part = Part {
    text: "CREATE INDEX idx_memory_outdated_7 ON memory (entity_id, memory_id) \
           WHERE analysis < 7",
    makes: ("idx_memory_outdated_7", "entity_id"),
};
const SWAP_OUTDATED_INDEX_V7: &str = "DROP INDEX idx_memory_outdated; \
     ALTER INDEX idx_memory_outdated_7 RENAME TO idx_memory_outdated; \
     INSERT INTO memory_schema (version) VALUES (12)";

/// Begins a transaction that excludes others of its kind and has no time limit
/// on the server. After the wait it reads what others have committed meanwhile.
pub(crate) async fn begin_exclusive(connection: &mut Connection) -> Result<(), Failure> {
    connection
        .execute_batch(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; \
             SET LOCAL lock_timeout = 0",
        )
        .await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('memory-pg'), hashtext(current_schema()))";
    connection.fetch_all(sqlx::query(lock)).await?;
    Ok(())
}

/// Applies all that are missing. Processes that come meanwhile wait for each part, and go
/// on from there.
pub(crate) async fn apply_all(
    connection: &mut Connection,
    is_distributed: bool,
) -> Result<(), Failure> {
    let mut attempts = Attempts::new();
    loop {
        match apply_next(connection, is_distributed).await {
            Ok(true) => return Ok(()),
            Ok(false) => attempts = Attempts::new(),
            Err(failure) => {
                attempts.after(failure).await?;
                connection.execute_batch("ROLLBACK").await?;
            }
        }
    }
}

/// Applies the first that is missing or a part of it, or all of them to a new schema.
/// Returns whether none is missing then.
async fn apply_next(connection: &mut Connection, is_distributed: bool) -> Result<bool, Failure> {
    begin_exclusive(connection).await?;
    if is_distributed {
        // A table is distributed in a transaction only where the statements before it used
        // one connection for each server.
        connection
            .execute_batch("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
            .await?;
    }
    let state = State::read(connection).await?;
    state.check()?;
    let missing = MIGRATIONS.get(state.version()..).unwrap_or_default();
    let mut applied = MIGRATIONS.len();
    if state.is_empty() {
        for migration in missing {
            execute_script(connection, migration.text).await?;
        }
    } else if let Some(next) = missing.first() {
        applied = state.version() + 1;
        let parts = next.parts.filter(|_| !is_distributed);
        for part in parts.map_or(&[][..], |(before, _)| before) {
            if !part.is_applied(connection).await? {
                execute_script(connection, part.text).await?;
                connection.execute_batch("COMMIT").await?;
                return Ok(false);
            }
        }
        let forced = lift_policies(connection, next.data).await?;
        let text = parts.map_or(next.text, |(_, last)| last);
        execute_script(connection, text).await?;
        for table in forced {
            let force = format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY");
            connection.execute_batch(&force).await?;
        }
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().take(applied) {
        if !state.is_recorded(index) {
            record_checksum(connection, version(index), migration.text).await?;
        }
    }
    let is_last = applied == MIGRATIONS.len();
    if is_last {
        connection.prefetch_types().await?;
    }
    connection.execute_batch("COMMIT").await?;
    Ok(is_last)
}

/// A distributed server takes one statement in a message.
async fn execute_script(connection: &mut Connection, script: &str) -> Result<(), Failure> {
    connection.execute_all(&sql::statements(script)).await
}

/// Lets the owner write and read rows of all entities of these tables, where policies would
/// hide them. Returns which have such policies. They are locked in this order, which is that
/// of readers.
async fn lift_policies(
    connection: &mut Connection,
    tables: &'static [&'static str],
) -> Result<Vec<&'static str>, Failure> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(
        "SELECT c.relname::text AS name FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relname = ANY ($1::text[]) \
         AND c.relforcerowsecurity",
    );
    let rows = connection.fetch_all(query.bind(tables)).await?;
    let names = rows.iter().map(|row| row.try_get("name"));
    let names = names.collect::<Result<Vec<String>, _>>()?;
    let forced = tables
        .iter()
        .filter(|it| names.iter().any(|name| name == *it));
    let forced: Vec<&'static str> = forced.copied().collect();
    for table in &forced {
        let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
        connection.execute_batch(&lift).await?;
    }
    Ok(forced)
}

/// Records the checksum of an applied migration.
async fn record_checksum(
    connection: &mut Connection,
    version: i32,
    text: &str,
) -> Result<(), Failure> {
    let query =
        sqlx::query("UPDATE memory_schema SET checksum = $2::bytea WHERE version = $1::integer");
    connection
        .execute(query.bind(version).bind(checksum(text)))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn statements_of<'a>(scripts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let statements = scripts.into_iter().flat_map(sql::statements);
        let words = statements.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
        words.collect()
    }

    #[test]
    fn parts_are_the_whole_migration() {
        let archive = &MIGRATIONS[1];
        let (before, last) = archive.parts.unwrap();
        assert_eq!(
            statements_of(before.iter().map(|part| part.text).chain([last])),
            statements_of([archive.text])
        );
    }
}
