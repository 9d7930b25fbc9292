//! The schema: checking which application owns a database, and migrations.

use std::time::{Duration, Instant};

use memory_core::{ErrorKind, MemoryError};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqlSafeStr};

use crate::error::{Failure, SQLITE_BUSY};
use crate::open::connection::OPERATION;
use crate::options::{RequiredSchema, SqliteOptions};
use crate::reindex;
use crate::reindex::analysis_state::AnalysisState;

/// The application id in the header of every memory database, which SQLite and
/// `file` read: "Memo" in ASCII.
const APPLICATION_ID: i64 = 0x4d65_6d6f;

/// The oldest SQLite that may be used. 3.51.0 has every function (`jsonb_each`); 3.51.3 fixes
/// the damage of databases in which two connections write and checkpoint at one moment
/// (<https://sqlite.org/wal.html>, "The WAL-Reset Bug").
const MIN_VERSION: [u32; 3] = [3, 51, 3];

/// Every migration, oldest first. A released migration never changes.
const MIGRATIONS: [(i64, &str, &str); 9] = [
    (1, "memory", include_str!("../migrations/0001_memory.sql")),
    (2, "archive", include_str!("../migrations/0002_archive.sql")),
    (3, "erase", include_str!("../migrations/0003_erase.sql")),
    (
        4,
        "tombstones",
        include_str!("../migrations/0004_tombstones.sql"),
    ),
    (
        5,
        "episodes",
        include_str!("../migrations/0005_episodes.sql"),
    ),
    (
        6,
        "search_pages",
        include_str!("../migrations/0006_search_pages.sql"),
    ),
    (
        7,
        "text_analysis",
        include_str!("../migrations/0007_text_analysis.sql"),
    ),
    (
        8,
        "snapshot_pages",
        include_str!("../migrations/0008_snapshot_pages.sql"),
    ),
    (
        9,
        "background_analysis",
        include_str!("../migrations/0009_background_analysis.sql"),
    ),
];

/// The table in which the driver records applied migrations.
const MIGRATION_TABLE: &str = "_sqlx_migrations";

/// The newest schema version that this program knows.
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Which application owns a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// None: it has no tables and no application id.
    Empty,
    /// This one, with a schema that is not newer than this program.
    Memory,
}

/// Reads which application owns a database.
///
/// # Errors
/// [`ErrorKind::ForeignData`], [`ErrorKind::NewerSchema`], or SQLite's own.
pub(crate) async fn read_owner(conn: &mut SqliteConnection) -> Result<Owner, Failure> {
    // One statement, because another process may be creating the database at
    // this moment.
    let (application_id, version, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(conn)
    .await?;
    match application_id {
        APPLICATION_ID if version > NEWEST => Err(newer_schema(version)),
        APPLICATION_ID => Ok(Owner::Memory),
        0 if tables == 0 => Ok(Owner::Empty),
        _ => Err(refuse(
            ErrorKind::ForeignData,
            "the database belongs to another application (its application id or tables are not those of a memory database)",
        )),
    }
}

/// Claims an empty database, or checks that it is a memory database, applies the
/// missing migrations, and begins to convert what is indexed by an older analysis of texts.
pub(crate) async fn prepare(
    conn: &mut SqliteConnection,
    in_file: bool,
    options: &SqliteOptions,
) -> Result<(), Failure> {
    if read_owner(conn).await? == Owner::Empty {
        claim(conn).await?;
    }
    if in_file {
        enable_wal_mode(conn, options.busy_timeout).await?;
    }
    if !is_current(conn).await? {
        migrate(conn).await?;
    }
    reindex::begin(conn).await
}

/// Checks the schema of a database that is opened without migrating it.
pub(crate) async fn check(
    conn: &mut SqliteConnection,
    required: RequiredSchema,
) -> Result<(), Failure> {
    if read_owner(conn).await? == Owner::Memory {
        if required == RequiredSchema::CurrentOrOlder {
            return Ok(());
        }
        if is_current(conn).await? {
            return AnalysisState::read(conn).await?.check(OPERATION).map(drop);
        }
    }
    let version = read_number(conn, "PRAGMA user_version").await?;
    Err(outdated(version))
}

/// The version of a schema that is older than this program's.
pub(crate) async fn read_outdated_version(
    conn: &mut SqliteConnection,
) -> Result<Option<i64>, Failure> {
    let version = read_number(conn, "PRAGMA user_version").await?;
    Ok(Some(version).filter(|version| *version < NEWEST))
}

/// The error for an older schema that must not be migrated.
pub(crate) fn outdated(version: i64) -> Failure {
    refuse(
        ErrorKind::ReadOnly,
        format!(
            "the schema of the database has version {version} and this program needs version {NEWEST}; it was not migrated, because the database was opened for reading; open it once for writing"
        ),
    )
}

/// Writes the application id, under an exclusive lock.
///
/// It is written before WAL mode begins, so that it is in the main file: from
/// then on the header alone identifies the database.
async fn claim(conn: &mut SqliteConnection) -> Result<(), Failure> {
    conn.execute("BEGIN EXCLUSIVE").await?;
    let claimed = match read_owner(conn).await {
        Ok(Owner::Memory) => Ok(()),
        Ok(Owner::Empty) => {
            let set_id = format!("PRAGMA application_id = {APPLICATION_ID}");
            conn.execute(AssertSqlSafe(set_id))
                .await
                .map(drop)
                .map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    if claimed.is_ok() {
        conn.execute("COMMIT").await?;
    } else {
        conn.execute("ROLLBACK").await?;
    }
    claimed
}

/// Switches to WAL mode, where that was not done before.
///
/// SQLite does not wait for other connections here, so it is retried until the
/// timeout.
async fn enable_wal_mode(
    conn: &mut SqliteConnection,
    busy_timeout: Duration,
) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(10);
    let started = Instant::now();
    loop {
        let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL");
        match mode.fetch_one(&mut *conn).await.map_err(Failure::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                return Err(refuse(
                    ErrorKind::Configuration,
                    "the file system does not support SQLite's WAL mode; put the database on a local disk",
                ));
            }
            Err(failure)
                if failure.primary_code() == Some(SQLITE_BUSY)
                    && started.elapsed() < busy_timeout =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether every migration that this program knows is applied.
async fn is_current(conn: &mut SqliteConnection) -> Result<bool, Failure> {
    Ok(read_number(conn, "PRAGMA user_version").await? == NEWEST
        && missing_migrations(conn).await?.is_empty())
}

/// Applies the missing migrations in one transaction under a lock: of two
/// processes that open a new file at once, one waits for the other.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    let table = transaction.ensure_migrations_table(MIGRATION_TABLE).await;
    table.map_err(migration_failure)?;
    for migration in missing_migrations(&mut transaction).await? {
        let applied = transaction.apply(MIGRATION_TABLE, &migration).await;
        applied.map_err(migration_failure)?;
    }
    let version = format!("PRAGMA user_version = {NEWEST}");
    transaction.execute(AssertSqlSafe(version)).await?;
    transaction.commit().await?;
    Ok(())
}

/// The migrations that are not applied yet; the applied ones must be known and
/// unchanged.
async fn missing_migrations(conn: &mut SqliteConnection) -> Result<Vec<Migration>, Failure> {
    let applied = conn.list_applied_migrations(MIGRATION_TABLE).await;
    let mut missing = migrations();
    for one in applied.map_err(migration_failure)? {
        let index = missing
            .iter()
            .position(|known| known.version == one.version);
        let known = missing.remove(index.ok_or_else(|| newer_schema(one.version))?);
        if known.checksum != one.checksum {
            let message = "the checksum of an applied migration differs: the database was migrated by a program with other migrations";
            return Err(refuse(ErrorKind::Configuration, message));
        }
    }
    Ok(missing)
}

fn migrations() -> Vec<Migration> {
    MIGRATIONS
        .map(|(version, name, sql)| {
            // A checkout may have changed the line ends; the checksum must not.
            let sql = AssertSqlSafe(sql.replace("\r\n", "\n")).into_sql_str();
            Migration::new(version, name.into(), MigrationType::Simple, sql, false)
        })
        .into()
}

/// Checks that the SQLite library linked into this program has the version and
/// the features needed.
pub(crate) async fn check_library() -> Result<(), Failure> {
    let library = SqliteConnectOptions::new().disable_statement_logging();
    let mut conn = library.connect().await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut conn)
        .await?;
    let fts5 = "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'";
    let has_fts5 = read_number(&mut conn, fts5).await? > 0;
    conn.close().await?;
    check_version(&version, has_fts5)
}

fn check_version(version: &str, has_fts5: bool) -> Result<(), Failure> {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = MIN_VERSION.map(|_| parts.next().unwrap_or(0));
    let [major, minor, patch] = MIN_VERSION;
    if found < MIN_VERSION {
        let message = format!(
            "this program is linked with SQLite {version}; version {major}.{minor}.{patch} or later is needed"
        );
        return Err(refuse(ErrorKind::Missing, message));
    }
    if !has_fts5 {
        let message = "this program is linked with an SQLite without FTS5; build SQLite with SQLITE_ENABLE_FTS5";
        return Err(refuse(ErrorKind::Missing, message));
    }
    Ok(())
}

async fn read_number(conn: &mut SqliteConnection, sql: &'static str) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
}

fn newer_schema(version: i64) -> Failure {
    let message = format!(
        "the database has schema {version}, and this program knows schemas up to {NEWEST}; use a newer version of this program"
    );
    refuse(ErrorKind::NewerSchema, message)
}

/// The driver wraps the error that stopped a migration.
fn migration_failure(error: MigrateError) -> Failure {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        error => sqlx::Error::from(error).into(),
    }
}

fn refuse(kind: ErrorKind, message: impl Into<String>) -> Failure {
    MemoryError::store(kind, OPERATION, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_library_or_one_without_fts5_is_refused() {
        assert!(check_version("3.51.3", true).is_ok());
        assert!(check_version("3.53", true).is_ok());
        assert!(check_version("4.0", true).is_ok());
        for (version, fts5, wanted) in [
            ("3.51.2", true, "3.51.3 or later"),
            ("3.50.4", true, "3.50.4"),
            ("3.9.0", true, "3.9.0"),
            ("nonsense", true, "nonsense"),
            ("3.51.3", false, "FTS5"),
        ] {
            let error = check_version(version, fts5)
                .unwrap_err()
                .into_error(OPERATION);
            assert_eq!(error.kind(), ErrorKind::Missing);
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
