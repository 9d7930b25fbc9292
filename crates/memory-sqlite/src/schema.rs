//! Whose a database is, and bringing its schema up to date.

use std::time::{Duration, Instant};

use memory_core::{ErrorKind, MemoryError};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqlSafeStr};

use crate::connect::OPERATION;
use crate::error::{Failure, SQLITE_BUSY};

/// What SQLite and `file` read from the header of every database of ours:
/// "Memo" in ASCII.
const APPLICATION_ID: i64 = 0x4d65_6d6f;

/// The oldest SQLite that has all that is used here: `jsonb_each`.
const MIN_VERSION: (u32, u32) = (3, 51);

/// Every migration, oldest first. One that was released never changes.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "memory", include_str!("../migrations/0001_memory.sql")),
    (2, "archive", include_str!("../migrations/0002_archive.sql")),
    (3, "erase", include_str!("../migrations/0003_erase.sql")),
];

/// Where the driver notes which of them were applied.
const MIGRATION_TABLE: &str = "_sqlx_migrations";

/// The newest schema that this program knows.
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Whose a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It has no tables and bears no application's mark.
    Nobody,
    /// It is ours, and not newer than this program.
    Us,
}

/// Finds out whose a database is.
///
/// # Errors
/// [`ErrorKind::ForeignData`], [`ErrorKind::NewerSchema`], or SQLite's own.
pub(crate) async fn owner(conn: &mut SqliteConnection) -> Result<Owner, Failure> {
    // One statement, because another process may be making the database ours
    // at this moment.
    let (mark, version, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(conn)
    .await?;
    match mark {
        APPLICATION_ID if version > NEWEST => Err(newer(version)),
        APPLICATION_ID => Ok(Owner::Us),
        0 if tables == 0 => Ok(Owner::Nobody),
        _ => Err(refuse(
            ErrorKind::ForeignData,
            "the database belongs to another application",
        )),
    }
}

/// Makes an empty database ours, or checks that it is, and applies every
/// migration that it lacks.
pub(crate) async fn prepare(
    conn: &mut SqliteConnection,
    in_file: bool,
    busy_timeout: Duration,
) -> Result<(), Failure> {
    if owner(conn).await? == Owner::Nobody {
        claim(conn).await?;
    }
    if in_file {
        enter_wal_mode(conn, busy_timeout).await?;
    }
    if !is_current(conn).await? {
        migrate(conn).await?;
    }
    Ok(())
}

/// Checks that a database that is only read needs no migration.
pub(crate) async fn check_current(conn: &mut SqliteConnection) -> Result<(), Failure> {
    if owner(conn).await? == Owner::Us && is_current(conn).await? {
        return Ok(());
    }
    Err(refuse(
        ErrorKind::ReadOnly,
        "the schema is older than this program and cannot be brought up to date while only reading; open it once for writing",
    ))
}

/// Writes our mark, under a lock that keeps others from doing the same.
///
/// It is written before WAL mode begins, so that it stands in the file itself:
/// from then on the header alone says whose the file is.
async fn claim(conn: &mut SqliteConnection) -> Result<(), Failure> {
    conn.execute("BEGIN EXCLUSIVE").await?;
    let claimed = match owner(conn).await {
        Ok(Owner::Us) => Ok(()),
        Ok(Owner::Nobody) => {
            let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
            conn.execute(AssertSqlSafe(mark))
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
/// SQLite does not wait for other connections in this, so it is tried again
/// until the time-out is over.
async fn enter_wal_mode(
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
                    "the file system does not allow the WAL mode; a local disk does",
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

/// Whether every migration that this program knows was applied.
async fn is_current(conn: &mut SqliteConnection) -> Result<bool, Failure> {
    Ok(number(conn, "PRAGMA user_version").await? == NEWEST && lacking(conn).await?.is_empty())
}

/// Applies what is missing, in one transaction under a lock: of two processes
/// that open a new file at once, one waits for the other.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    let table = transaction.ensure_migrations_table(MIGRATION_TABLE).await;
    table.map_err(unmigrated)?;
    for migration in lacking(&mut transaction).await? {
        let applied = transaction.apply(MIGRATION_TABLE, &migration).await;
        applied.map_err(unmigrated)?;
    }
    let version = format!("PRAGMA user_version = {NEWEST}");
    transaction.execute(AssertSqlSafe(version)).await?;
    transaction.commit().await?;
    Ok(())
}

/// The migrations that were not applied yet; those that were must be known and
/// unchanged.
async fn lacking(conn: &mut SqliteConnection) -> Result<Vec<Migration>, Failure> {
    let applied = conn.list_applied_migrations(MIGRATION_TABLE).await;
    let mut lacking = migrations();
    for one in applied.map_err(unmigrated)? {
        let place = lacking
            .iter()
            .position(|known| known.version == one.version);
        let known = lacking.remove(place.ok_or_else(|| newer(one.version))?);
        if known.checksum != one.checksum {
            let message = "the database was migrated by a program with other migrations";
            return Err(refuse(ErrorKind::Configuration, message));
        }
    }
    Ok(lacking)
}

fn migrations() -> Vec<Migration> {
    MIGRATIONS
        .map(|(version, name, sql)| {
            // A check-out may have turned the line ends; the checksum is to stay.
            let sql = AssertSqlSafe(sql.replace("\r\n", "\n")).into_sql_str();
            Migration::new(version, name.into(), MigrationType::Simple, sql, false)
        })
        .into()
}

/// Checks that the SQLite linked into this program can do what is needed.
pub(crate) async fn check_library() -> Result<(), Failure> {
    let library = SqliteConnectOptions::new().disable_statement_logging();
    let mut conn = library.connect().await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut conn)
        .await?;
    let fts5 = "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'";
    let has_fts5 = number(&mut conn, fts5).await? > 0;
    conn.close().await?;
    suits(&version, has_fts5)
}

fn suits(version: &str, has_fts5: bool) -> Result<(), Failure> {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let (major, minor) = MIN_VERSION;
    if found < MIN_VERSION {
        let message = format!("SQLite {version} is linked in; {major}.{minor} or later is needed");
        return Err(refuse(ErrorKind::Missing, message));
    }
    if !has_fts5 {
        let message = "the SQLite that is linked in lacks FTS5; build it with SQLITE_ENABLE_FTS5";
        return Err(refuse(ErrorKind::Missing, message));
    }
    Ok(())
}

async fn number(conn: &mut SqliteConnection, sql: &'static str) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
}

fn newer(version: i64) -> Failure {
    let message = format!("the database has schema {version}; this program knows up to {NEWEST}");
    refuse(ErrorKind::NewerSchema, message)
}

/// The driver wraps the error that stopped a migration.
fn unmigrated(error: MigrateError) -> Failure {
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
    fn an_old_or_crippled_library_is_refused_by_name() {
        assert!(suits("3.51.0", true).is_ok());
        assert!(suits("4.0", true).is_ok());
        for (version, fts5, wanted) in [
            ("3.50.4", true, "3.50.4"),
            ("3.9.0", true, "3.9.0"),
            ("nonsense", true, "nonsense"),
            ("3.51.3", false, "FTS5"),
        ] {
            let error = suits(version, fts5).unwrap_err().during(OPERATION);
            assert_eq!(error.kind(), ErrorKind::Missing);
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
