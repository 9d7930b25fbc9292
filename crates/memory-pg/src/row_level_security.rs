//! Row-level security: creating the policies, and checking that they apply to
//! the current role.

use memory_core::ErrorKind;
use sqlx::Row;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Failure;
use crate::schema::{begin_exclusive, refusal};
use crate::sql;

const POLICIES: &str = include_str!("../migrations/optional/row_level_security.sql");

/// The number of tables with policies.
const TABLES: i64 = 8;

/// Creates the policies where the options ask for them, and refuses a schema that
/// contradicts the options: under policies, a transaction that names no entity
/// finds every table empty.
pub(crate) async fn prepare(
    database: &Database,
    mut connection: Connection,
) -> Result<(), Failure> {
    let required = database.options.row_level_security;
    let mut active = count_active(&mut connection).await?;
    if required && active < TABLES && database.may_migrate() {
        begin_exclusive(&mut connection).await?;
        connection.execute_all(&sql::statements(POLICIES)).await?;
        connection.execute_batch("COMMIT").await?;
        active = count_active(&mut connection).await?;
    }
    match (required, active) {
        (true, TABLES) | (false, 0) => {
            connection.release();
            Ok(())
        }
        (true, _) => Err(refusal(
            ErrorKind::Configuration,
            "row-level security is not in effect: the role is a superuser or has BYPASSRLS, or \
             migrations/postgres/optional/row_level_security.sql has not been applied",
        )),
        (false, _) => Err(refusal(
            ErrorKind::Configuration,
            "the tables have row-level security enabled; open with \
             PgOptions::row_level_security(true) or ?row_level_security=on",
        )),
    }
}

/// The number of tables whose policies apply to the current role.
async fn count_active(connection: &mut Connection) -> Result<i64, Failure> {
    connection.execute_batch("BEGIN").await?;
    let query = sqlx::query(
        "SELECT count(*) AS active FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname IN ('entity', \
           'memory', 'memory_embedding', 'memory_access', 'memory_entity', 'memory_tombstone', \
           'memory_approximate', 'snapshot_page') \
         AND c.relrowsecurity AND row_security_active(c.oid)",
    );
    let rows = connection.fetch_all(query).await?;
    connection.execute_batch("COMMIT").await?;
    let active = rows.first().map_or(Ok(0), |row| row.try_get("active"))?;
    Ok(active)
}
