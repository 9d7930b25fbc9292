//! The schema: opening, migrating and checking it.

pub(crate) mod migrations;
pub(crate) mod row_level_security;

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::connections::connecting::CLIENT_CHECK;
use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::session_settings::ServerTraits;
use crate::error::Failure;
use crate::schema::migrations::MIGRATIONS;

const OPERATION: &str = "open";

/// Checks the schema, and migrates it where the options allow it.
///
/// Processes that open the database at once migrate one after the other, by an
/// advisory lock. No lock is taken where the schema is current.
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
    let check = format!("SET LOCAL {CLIENT_CHECK}");
    let checks_client = match connection.execute_batch(&check).await {
        Ok(()) => true,
        // Some platforms refuse it, which ends the transaction.
        Err(failure) if failure.is_refusal() => false,
        Err(failure) => return Err(failure),
    };
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
    database.set_traits(ServerTraits {
        is_distributed: role.is_distributed,
        checks_client,
    });
    database.set_standby(role.is_standby);
    state.check()?;
    let may_migrate = database.may_migrate();
    if state.is_current() && (state.are_all_recorded() || !may_migrate) {
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
    migrations::apply_all(&mut connection, role.is_distributed).await?;
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

/// The state of the schema.
pub(crate) struct State {
    /// One for each applied migration; `None` where psql applied it.
    checksums: Vec<Option<Vec<u8>>>,
    /// Whether there are tables of these names that another program created.
    is_foreign: bool,
}

impl State {
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self, Failure> {
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
    pub(crate) fn version(&self) -> usize {
        self.checksums.len()
    }

    /// Whether no migration was applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.version() == 0
    }

    /// Whether all migrations were applied.
    fn is_current(&self) -> bool {
        self.version() == MIGRATIONS.len()
    }

    /// Whether the checksums of all applied migrations are recorded.
    fn are_all_recorded(&self) -> bool {
        self.checksums.iter().all(Option::is_some)
    }

    /// Whether the checksum of a migration is recorded.
    pub(crate) fn is_recorded(&self, index: usize) -> bool {
        self.checksums.get(index).is_some_and(Option::is_some)
    }

    /// Refuses a schema of another program or of a newer version.
    pub(crate) fn check(&self) -> Result<(), Failure> {
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
        for (index, (found, migration)) in self.checksums.iter().zip(MIGRATIONS).enumerate() {
            if found
                .as_ref()
                .is_some_and(|found| *found != checksum(migration.text))
            {
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

pub(crate) fn version(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

pub(crate) fn checksum(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
