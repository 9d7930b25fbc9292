//! The tables: making them, and bringing them up to date.

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::database::{Database, Link};
use crate::error::Failure;
use crate::options::Migrations;
use crate::security;

const OPERATION: &str = "open";

/// The migrations, oldest first; the first is version 1. What was published is
/// never changed: later versions are added.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_memory.sql"),
    include_str!("../migrations/0002_archive.sql"),
    include_str!("../migrations/0003_approximate.sql"),
];

/// Makes sure that the tables are those of this program.
///
/// Those who open at once take turns, by a lock that ends with the
/// transaction; whoever finds everything in order takes none.
pub(crate) async fn prepare(database: &Database) -> MemoryResult<()> {
    let outcome = bring_up_to_date(database).await;
    outcome.map_err(|failure| failure.told(OPERATION))
}

async fn bring_up_to_date(database: &Database) -> Result<(), Failure> {
    let mut link = database.link().await?;
    // Behind a pooler only a transaction stays with one session.
    link.script("BEGIN").await?;
    let state = State::read(&mut link).await?;
    link.script("COMMIT").await?;
    state.check()?;
    if state.is_current() {
        return security::prepare(database, link).await;
    }
    if database.options.migrations == Migrations::Check {
        return Err(behind(&state));
    }
    begin_alone(&mut link).await?;
    let state = State::read(&mut link).await?;
    state.check()?;
    for (index, text) in MIGRATIONS.iter().copied().enumerate() {
        if index >= state.checksums.len() {
            link.script(text).await?;
        }
        let known = state.checksums.get(index).is_some_and(Option::is_some);
        if !known {
            stamp(&mut link, version(index), text).await?;
        }
    }
    link.know_types().await?;
    link.script("COMMIT").await?;
    security::prepare(database, link).await
}

/// Begins a transaction that takes turns with others of its kind and has all
/// the time that it needs.
pub(crate) async fn begin_alone(link: &mut Link) -> Result<(), Failure> {
    link.script("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('memory-pg'), hashtext(current_schema()))";
    link.rows(sqlx::query(lock)).await?;
    Ok(())
}

/// Writes down what was applied, by us or by psql.
async fn stamp(link: &mut Link, version: i32, text: &str) -> Result<(), Failure> {
    let query =
        sqlx::query("UPDATE memory_schema SET checksum = $2::bytea WHERE version = $1::integer");
    link.run(query.bind(version).bind(checksum(text))).await?;
    Ok(())
}

/// What the database says of itself.
struct State {
    /// One for each version that is there; none where psql applied it.
    checksums: Vec<Option<Vec<u8>>>,
    /// Tables of our names, though ours would be on record.
    is_foreign: bool,
}

impl State {
    async fn read(link: &mut Link) -> Result<Self, Failure> {
        // The catalog itself is asked: a look-up by name could remember that
        // there was nothing, from before the wait for the lock.
        let query = sqlx::query(
            "SELECT coalesce(bool_or(c.relname = 'memory_schema'), false) AS ours, \
             coalesce(bool_or(c.relname IN ('memory', 'entity')), false) AS taken \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() \
             AND c.relname IN ('memory_schema', 'memory', 'entity')",
        );
        let rows = link.rows(query).await?;
        let (mut is_ours, mut is_taken) = (false, false);
        for row in &rows {
            is_ours = row.try_get("ours")?;
            is_taken = row.try_get("taken")?;
        }
        if !is_ours {
            return Ok(Self {
                checksums: Vec::new(),
                is_foreign: is_taken,
            });
        }
        let query = sqlx::query("SELECT checksum FROM memory_schema ORDER BY version");
        let rows = link.rows(query).await?;
        let checksums = rows.iter().map(|row| row.try_get("checksum"));
        Ok(Self {
            checksums: checksums.collect::<Result<_, _>>()?,
            is_foreign: false,
        })
    }

    fn is_current(&self) -> bool {
        self.checksums.len() == MIGRATIONS.len() && self.checksums.iter().all(Option::is_some)
    }

    /// Refuses what is not ours, or not ours any more.
    fn check(&self) -> Result<(), Failure> {
        if self.is_foreign {
            return Err(refusal(
                ErrorKind::ForeignData,
                "tables named entity or memory are there and not of this program; give the \
                 role a search_path that begins with a schema of its own",
            ));
        }
        if self.checksums.len() > MIGRATIONS.len() {
            let (found, known) = (self.checksums.len(), MIGRATIONS.len());
            return Err(refusal(
                ErrorKind::NewerSchema,
                format!("the schema has version {found}; this program knows up to {known}"),
            ));
        }
        for (index, (found, text)) in self.checksums.iter().zip(MIGRATIONS).enumerate() {
            if found.as_ref().is_some_and(|found| *found != checksum(text)) {
                let version = version(index);
                return Err(refusal(
                    ErrorKind::ForeignData,
                    format!("migration {version} was applied with another text than this one's"),
                ));
            }
        }
        Ok(())
    }
}

fn behind(state: &State) -> Failure {
    let (found, wanted) = (state.checksums.len(), MIGRATIONS.len());
    refusal(
        ErrorKind::Missing,
        format!(
            "the schema has version {found} and has to have {wanted}; apply the files of \
             migrations/postgres with psql, or open with Migrations::Apply"
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
