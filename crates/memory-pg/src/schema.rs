//! The schema: opening, migrating and checking it.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Failure;
use crate::{row_level_security, sql};

const OPERATION: &str = "open";

/// The migrations, oldest first; the first is version 1. A published migration
/// never changes: changes are added as new versions.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_memory.sql"),
    include_str!("../migrations/0002_archive.sql"),
    include_str!("../migrations/0003_approximate.sql"),
    include_str!("../migrations/0004_tombstones.sql"),
    include_str!("../migrations/0005_episodes.sql"),
    include_str!("../migrations/0006_terms.sql"),
    include_str!("../migrations/0007_contractions.sql"),
    include_str!("../migrations/0008_index_tuning.sql"),
    include_str!("../migrations/0009_words_of_more_scripts.sql"),
    include_str!("../migrations/0010_snapshot_pages.sql"),
    include_str!("../migrations/0011_lookups_by_id.sql"),
];

/// The version whose index is built before it is applied: [`BUILD_INDEX`].
const INDEX_VERSION: usize = 9;

/// Builds the index of migration 9 under another name, in a transaction of its own:
/// writes to `memory` wait for it, and reads do not. The migration's own first statement
/// would lock both out while it builds.
const BUILD_INDEX: &str = "CREATE INDEX IF NOT EXISTS idx_memory_outdated_6 \
     ON memory (entity_id, memory_id) WHERE analysis < 6";

/// What migration 9 does, where [`BUILD_INDEX`] was done before. Locks reads out for an
/// instant.
const SWAP_INDEX: &str = "DROP INDEX idx_memory_outdated; \
     ALTER INDEX idx_memory_outdated_6 RENAME TO idx_memory_outdated; \
     INSERT INTO memory_schema (version) VALUES (9)";

/// Checks the schema, and migrates it where the options allow it.
///
/// Processes that open the database at once migrate one after the other, by an
/// advisory lock that ends with the transaction. No lock is taken where the
/// schema is current.
pub(crate) async fn prepare(database: &mut Database) -> MemoryResult<()> {
    let outcome = check_or_migrate(database).await;
    outcome.map_err(|failure| failure.into_error(OPERATION))
}

async fn check_or_migrate(database: &mut Database) -> Result<(), Failure> {
    let mut connection = database.acquire().await?;
    // Behind a pooler only a transaction stays within one session.
    connection.execute_batch("BEGIN").await?;
    let role = ServerRole::read(&mut connection).await?;
    let state = State::read(&mut connection).await?;
    connection.execute_batch("COMMIT").await?;
    if role.is_distributed && database.options.row_level_security {
        return Err(refusal(
            ErrorKind::Configuration,
            "row-level security cannot be used where the extension citus is installed: it refuses \
             the policies; open without PgOptions::row_level_security, or use a database without \
             that extension",
        ));
    }
    if role.is_distributed && database.has_replicas() {
        return Err(refusal(
            ErrorKind::Configuration,
            "replicas cannot be used where the extension citus is installed: each node has a log \
             of its own; open without PgOptions::replicas",
        ));
    }
    database.set_distributed(role.is_distributed);
    database.set_standby(role.is_standby);
    state.check()?;
    let may_migrate = database.may_migrate();
    if state.is_current() && (state.is_recorded() || !may_migrate) {
        return row_level_security::prepare(database, connection).await;
    }
    if state.is_empty() && !(may_migrate && database.options.create_if_missing) {
        connection.release();
        return Err(missing());
    }
    if !may_migrate {
        connection.release();
        return Err(outdated(&state, database));
    }
    connection.disable_timeout();
    begin_exclusive(&mut connection).await?;
    if role.is_distributed {
        // A table is distributed in a transaction only where the statements before it used
        // one connection for each server.
        connection
            .execute_batch("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
            .await?;
    }
    let mut state = State::read(&mut connection).await?;
    state.check()?;
    let builds_index = !role.is_distributed && state.version() + 1 == INDEX_VERSION;
    if builds_index {
        connection.execute_batch(BUILD_INDEX).await?;
        connection.execute_batch("COMMIT").await?;
        begin_exclusive(&mut connection).await?;
        // Another process may have gone on from here.
        state = State::read(&mut connection).await?;
        state.check()?;
        // In the order of writers: migrations after this one change the table.
        connection
            .execute_batch("LOCK TABLE entity IN ACCESS EXCLUSIVE MODE")
            .await?;
    }
    for (index, text) in MIGRATIONS.iter().copied().enumerate() {
        if index >= state.version() {
            let text = match index + 1 {
                INDEX_VERSION if builds_index => SWAP_INDEX,
                _ => text,
            };
            // A distributed server takes one statement in a message.
            connection.execute_all(&sql::statements(text)).await?;
        }
        let is_recorded = state.checksums.get(index).is_some_and(Option::is_some);
        if !is_recorded {
            record_checksum(&mut connection, version(index), text).await?;
        }
    }
    connection.prefetch_types().await?;
    connection.execute_batch("COMMIT").await?;
    row_level_security::prepare(database, connection).await
}

/// What the server is among others.
struct ServerRole {
    /// Whether it spreads tables over other servers.
    is_distributed: bool,
    /// Whether it is a hot standby, which only reads.
    is_standby: bool,
}

impl ServerRole {
    async fn read(connection: &mut Connection) -> Result<Self, Failure> {
        let query = "SELECT EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'citus') \
             AS is_distributed, pg_is_in_recovery() AS is_standby";
        let rows = connection.fetch_all(sqlx::query(query)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self {
            is_distributed: row.try_get("is_distributed")?,
            is_standby: row.try_get("is_standby")?,
        })
    }
}

/// Begins a transaction that excludes others of its kind and has no time limit
/// on the server.
pub(crate) async fn begin_exclusive(connection: &mut Connection) -> Result<(), Failure> {
    connection
        .execute_batch("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('memory-pg'), hashtext(current_schema()))";
    connection.fetch_all(sqlx::query(lock)).await?;
    Ok(())
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

/// The state of the schema.
struct State {
    /// One for each applied migration; `None` where psql applied it.
    checksums: Vec<Option<Vec<u8>>>,
    /// Whether there are tables of these names that another program created.
    is_foreign: bool,
}

impl State {
    async fn read(connection: &mut Connection) -> Result<Self, Failure> {
        // Query the catalog itself: a lookup by name may be cached from before the
        // wait for the lock.
        let query = sqlx::query(
            "SELECT coalesce(bool_or(c.relname = 'memory_schema'), false) AS is_ours, \
             coalesce(bool_or(c.relname IN ('memory', 'entity')), false) AS is_taken \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() \
             AND c.relname IN ('memory_schema', 'memory', 'entity')",
        );
        let rows = connection.fetch_all(query).await?;
        let (mut is_ours, mut is_taken) = (false, false);
        for row in &rows {
            is_ours = row.try_get("is_ours")?;
            is_taken = row.try_get("is_taken")?;
        }
        if !is_ours {
            return Ok(Self {
                checksums: Vec::new(),
                is_foreign: is_taken,
            });
        }
        let query = sqlx::query("SELECT checksum FROM memory_schema ORDER BY version");
        let rows = connection.fetch_all(query).await?;
        let checksums = rows.iter().map(|row| row.try_get("checksum"));
        Ok(Self {
            checksums: checksums.collect::<Result<_, _>>()?,
            is_foreign: false,
        })
    }

    /// The version of the schema; 0 where no migration was applied.
    fn version(&self) -> usize {
        self.checksums.len()
    }

    /// Whether no migration was applied.
    fn is_empty(&self) -> bool {
        self.version() == 0
    }

    /// Whether all migrations were applied.
    fn is_current(&self) -> bool {
        self.version() == MIGRATIONS.len()
    }

    /// Whether the checksums of all applied migrations are recorded.
    fn is_recorded(&self) -> bool {
        self.checksums.iter().all(Option::is_some)
    }

    /// Refuses a schema of another program or of a newer version.
    fn check(&self) -> Result<(), Failure> {
        if self.is_foreign {
            return Err(refusal(
                ErrorKind::ForeignData,
                "the schema has tables named entity or memory that another program created; give \
                 the role a search_path that begins with a schema of its own",
            ));
        }
        if self.version() > MIGRATIONS.len() {
            let (found, known) = (self.version(), MIGRATIONS.len());
            return Err(refusal(
                ErrorKind::NewerSchema,
                format!(
                    "the schema has version {found}, and this program supports versions up to \
                     {known}; update the program"
                ),
            ));
        }
        for (index, (found, text)) in self.checksums.iter().zip(MIGRATIONS).enumerate() {
            if found.as_ref().is_some_and(|found| *found != checksum(text)) {
                let version = version(index);
                return Err(refusal(
                    ErrorKind::ForeignData,
                    format!(
                        "migration {version} was applied with a different text than this program's"
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn missing() -> Failure {
    refusal(
        ErrorKind::Missing,
        "the database has no memory tables; open it once for writing, which creates them, or \
         apply the files in migrations/postgres with psql",
    )
}

fn outdated(state: &State, database: &Database) -> Failure {
    let (found, required) = (state.version(), MIGRATIONS.len());
    if database.is_standby() {
        let message = format!(
            "the schema has version {found}, this program needs {required}, and the server is a \
             hot standby; migrate the database on its primary"
        );
        return refusal(ErrorKind::ReadOnly, message);
    }
    let kind = match database.options.read_only {
        true => ErrorKind::ReadOnly,
        false => ErrorKind::Missing,
    };
    refusal(
        kind,
        format!(
            "the schema has version {found}, and this program needs {required}; apply the files \
             in migrations/postgres with psql, or open it once for writing with \
             Migrations::Apply"
        ),
    )
}

pub(crate) fn refusal(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure::Memory(MemoryError::store(kind, OPERATION, message))
}

fn version(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

fn checksum(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
