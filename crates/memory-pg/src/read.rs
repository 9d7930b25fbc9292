//! Reads: one statement each.

use memory_core::MemoryResult;
use sqlx::postgres::PgRow;

use crate::database::Database;
use crate::error::Failure;
use crate::sql::Sql;

/// Runs a statement that reads, and makes of its rows what `made` says.
pub(crate) async fn read<T>(
    database: &Database,
    operation: &'static str,
    sql: Sql,
    made: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error>,
) -> MemoryResult<T> {
    let rows = rows(database, sql)
        .await
        .map_err(|failure| failure.told(operation))?;
    made(&rows).map_err(|error| Failure::from(error).told(operation))
}

async fn rows(database: &Database, sql: Sql) -> Result<Vec<PgRow>, Failure> {
    let query = sql.query()?;
    let mut link = database.link().await?;
    let rows = link.rows(query).await;
    match &rows {
        // The server refused: the connection is in order.
        Err(failure) if !failure.is_refusal() => drop(link),
        _ => link.release(),
    }
    rows
}
