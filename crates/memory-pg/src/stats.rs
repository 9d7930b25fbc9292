//! [`Store::entity_stats`](memory_core::Store::entity_stats) and
//! [`Store::list_entities`](memory_core::Store::list_entities).

use memory_core::{EntityId, EntityStats, MemoryResult, limits};
use sqlx::Row;

use crate::database::{Database, Scope};
use crate::read::{read, read_of};
use crate::row;
use crate::sql::Sql;

pub(crate) async fn entity_stats(
    database: &Database,
    entity: &EntityId,
) -> MemoryResult<EntityStats> {
    const OPERATION: &str = "entity_stats";
    database.open(OPERATION)?;
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT e.generation, e.memory_count, e.archived_count FROM entity e \
         WHERE e.entity_id = {of}"
    ));
    read(database, OPERATION, entity, sql, |rows| {
        let Some(row) = rows.first() else {
            return Ok(EntityStats::default());
        };
        Ok(EntityStats {
            generation: row::generation(row)?,
            memory_count: row::unsigned("memory_count", row.try_get("memory_count")?)?,
            archived_count: row::unsigned("archived_count", row.try_get("archived_count")?)?,
        })
    })
    .await
}

pub(crate) async fn list_entities(
    database: &Database,
    after: Option<&EntityId>,
    limit: usize,
) -> MemoryResult<Vec<EntityId>> {
    const OPERATION: &str = "list_entities";
    database.open(OPERATION)?;
    limits::check_limit(limit)?;
    let mut sql = Sql::new();
    sql.push("SELECT e.entity_id FROM entity e WHERE e.memory_count + e.archived_count > 0");
    if let Some(after) = after {
        let after = sql.value(after.as_str(), "text");
        sql.push(format!(" AND e.entity_id > {after}"));
    }
    let limit = sql.value(row::signed(limit as u64), "bigint");
    sql.push(format!(" ORDER BY e.entity_id LIMIT {limit}"));
    read_of(database, OPERATION, Scope::Names, sql, |rows| {
        rows.iter()
            .map(|row| Ok(EntityId::from(row.try_get::<&str, _>("entity_id")?)))
            .collect()
    })
    .await
}
