//! [`Store::entity_stats`](memory_core::Store::entity_stats),
//! [`Store::list_entities`](memory_core::Store::list_entities) and
//! [`Store::recently_accessed_entities`](memory_core::Store::recently_accessed_entities).

use memory_core::{EntityId, EntityStats, MemoryError, MemoryResult, limits};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, EntityRow};

pub(crate) async fn entity_stats(
    database: &Database,
    entity: &EntityId,
) -> MemoryResult<EntityStats> {
    const OPERATION: &str = "entity_stats";
    database.check_open(OPERATION)?;
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT {} FROM entity e WHERE e.entity_id = {entity_param}",
        EntityRow::COLUMNS,
    ));
    let decode = |rows: &[PgRow]| {
        let Some(row) = rows.first() else {
            return Ok(EntityStats::default());
        };
        let row = EntityRow::decode(row)?;
        Ok(EntityStats::new(row.generation, row.memories, row.archived))
    };
    let entities = [entity];
    let target = ReadTarget::small(&entities);
    database.read_target(OPERATION, target, sql, decode).await
}

pub(crate) async fn list_entities(
    database: &Database,
    after: Option<&EntityId>,
    limit: usize,
) -> MemoryResult<Vec<EntityId>> {
    const OPERATION: &str = "list_entities";
    database.check_open(OPERATION)?;
    limits::check_limit(limit)?;
    let mut sql = SqlBuilder::new();
    sql.push("SELECT e.entity_id FROM entity e WHERE e.memory_count + e.archived_count > 0");
    if let Some(after) = after {
        let after = sql.value(after.as_str(), "text");
        sql.push(format!(" AND e.entity_id > {after}"));
    }
    let limit = sql.value(rows::signed(limit as u64), "bigint");
    sql.push(format!(" ORDER BY e.entity_id LIMIT {limit}"));
    let target = ReadTarget::new(Scope::EntityNames);
    database
        .read_target(OPERATION, target, sql, entity_names)
        .await
}

/// Reads the whole table of accesses, whose indexes are by entity. Under row-level
/// security no transaction sees the accesses of all entities.
pub(crate) async fn recently_accessed_entities(
    database: &Database,
    limit: usize,
) -> MemoryResult<Vec<EntityId>> {
    const OPERATION: &str = "recently_accessed_entities";
    database.check_open(OPERATION)?;
    if database.options.row_level_security {
        return Err(MemoryError::Unsupported {
            operation: OPERATION,
            backend: "postgres",
        });
    }
    limits::check_limit(limit)?;
    let mut sql = SqlBuilder::new();
    let limit = sql.value(rows::signed(limit as u64), "bigint");
    sql.push(format!(
        "SELECT a.entity_id FROM memory_access a WHERE a.last_accessed IS NOT NULL \
         GROUP BY a.entity_id ORDER BY max(a.last_accessed) DESC, a.entity_id LIMIT {limit}"
    ));
    let target = ReadTarget::new(Scope::EntityNames);
    database
        .read_target(OPERATION, target, sql, entity_names)
        .await
}

fn entity_names(rows: &[PgRow]) -> Result<Vec<EntityId>, sqlx::Error> {
    rows.iter()
        .map(|row| Ok(EntityId::from(row.try_get::<&str, _>("entity_id")?)))
        .collect()
}
