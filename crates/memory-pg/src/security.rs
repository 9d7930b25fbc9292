//! Row-level security, where it is chosen: making the policies, and making sure
//! that they hold for the role that we are.

use memory_core::ErrorKind;
use sqlx::Row;

use crate::database::{Database, Link};
use crate::error::Failure;
use crate::options::Migrations;
use crate::schema::{begin_alone, refusal};

const POLICIES: &str = include_str!("../migrations/choice/row_level_security.sql");

/// How many tables hold what belongs to entities.
const TABLES: i64 = 7;

/// Brings the policies about where they are chosen, and refuses tables that do
/// not fit the choice: below policies that nobody told whom it is about, they
/// would look empty.
pub(crate) async fn prepare(database: &Database, mut link: Link) -> Result<(), Failure> {
    let wanted = database.options.row_level_security;
    let mut active = active(&mut link).await?;
    if wanted && active < TABLES && database.options.migrations == Migrations::Apply {
        begin_alone(&mut link).await?;
        link.script(POLICIES).await?;
        link.script("COMMIT").await?;
        active = self::active(&mut link).await?;
    }
    match (wanted, active) {
        (true, TABLES) | (false, 0) => {
            link.release();
            Ok(())
        }
        (true, _) => Err(refusal(
            ErrorKind::Configuration,
            "row-level security does not hold here: the role is a superuser or has BYPASSRLS, or \
             migrations/postgres/choice/row_level_security.sql has not been applied",
        )),
        (false, _) => Err(refusal(
            ErrorKind::Configuration,
            "the tables are under row-level security: open with row_level_security",
        )),
    }
}

/// How many of our tables are under policies that hold for this role.
async fn active(link: &mut Link) -> Result<i64, Failure> {
    link.script("BEGIN").await?;
    let query = sqlx::query(
        "SELECT count(*) AS active FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname IN ('entity', \
           'memory', 'memory_embedding', 'memory_access', 'memory_entity', 'memory_tombstone', \
           'memory_approximate') \
         AND c.relrowsecurity AND row_security_active(c.oid)",
    );
    let rows = link.rows(query).await?;
    link.script("COMMIT").await?;
    let active = rows.first().map_or(Ok(0), |row| row.try_get("active"))?;
    Ok(active)
}
