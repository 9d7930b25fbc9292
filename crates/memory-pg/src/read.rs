//! Reads: one statement each.

use memory_core::{EntityId, MemoryResult};
use sqlx::postgres::PgRow;

use crate::database::{Database, Link, Scope};
use crate::error::Failure;
use crate::sql::Sql;

/// Runs a statement that reads of one entity, and makes of its rows what `made`
/// says.
pub(crate) async fn read<T>(
    database: &Database,
    operation: &'static str,
    entity: &EntityId,
    sql: Sql,
    made: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error>,
) -> MemoryResult<T> {
    read_of(database, operation, Scope::Of(&[entity]), sql, made).await
}

/// The same, of whatever the scope says.
pub(crate) async fn read_of<T>(
    database: &Database,
    operation: &'static str,
    scope: Scope<'_>,
    sql: Sql,
    made: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error>,
) -> MemoryResult<T> {
    let rows = rows(database, scope, sql)
        .await
        .map_err(|failure| failure.told(operation))?;
    made(&rows).map_err(|error| Failure::from(error).told(operation))
}

async fn rows(database: &Database, scope: Scope<'_>, sql: Sql) -> Result<Vec<PgRow>, Failure> {
    let query = sql.query()?;
    let mut link = database.link().await?;
    let begun = link.begin_reading(scope).await?;
    let rows = link.rows(query).await;
    match &rows {
        Err(failure) if !failure.is_refusal() => drop(link),
        // The server refused, at most: the connection is in order.
        _ => end(link, begun).await,
    }
    rows
}

/// Gives the connection back, after its transaction if there is one. Where that
/// does not end, the connection is cut.
pub(crate) async fn end(mut link: Link, begun: bool) {
    if !begun || link.script("ROLLBACK").await.is_ok() {
        link.release();
    }
}
