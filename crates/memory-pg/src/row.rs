//! Rows of the table `memory` as [`Memory`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{EntityId, Generation, Memory, MemoryId, MemoryKind};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

/// The columns that [`memory`] reads, of the table `memory` as `m` and of
/// `memory_access` as `a`.
pub(crate) const COLUMNS: &str = "m.memory_id, m.kind, m.content, m.timestamp, m.importance, \
     m.decay_rate, m.context, m.metadata, m.related, m.tags, m.archived_by, \
     (SELECT jsonb_object_agg(i.involved_entity_id, i.role) FROM memory_entity i \
      WHERE i.entity_id = m.entity_id AND i.memory_id = m.memory_id) AS entities, \
     a.access_count, a.last_accessed";

/// The tables that [`COLUMNS`] come from.
pub(crate) const TABLES: &str = "memory m LEFT JOIN memory_access a \
     ON a.entity_id = m.entity_id AND a.memory_id = m.memory_id";

/// The generation that every row bears, 0 where there is none.
///
/// Reads put it before the memories as `(SELECT … AS generation) g`, and join
/// them to it: so one statement tells both, of one moment, and there is a row
/// also where there is no memory.
pub(crate) fn generation_of(entity: &str) -> String {
    format!(
        "(SELECT coalesce((SELECT e.generation FROM entity e WHERE e.entity_id = {entity}), 0) \
         AS generation) g"
    )
}

/// The memory of a row with [`COLUMNS`]; `None` where the row has none.
pub(crate) fn memory(row: &PgRow, entity: &EntityId) -> Result<Option<Memory>, sqlx::Error> {
    let Some(id) = row.try_get::<Option<Uuid>, _>("memory_id")? else {
        return Ok(None);
    };
    let kind: &str = row.try_get("kind")?;
    let kind: MemoryKind = kind.parse().map_err(|error| damaged("kind", error))?;
    let archived_by: Option<Uuid> = row.try_get("archived_by")?;
    let count = row.try_get::<Option<i64>, _>("access_count")?;
    Ok(Some(Memory {
        id: MemoryId::from(id),
        entity_id: entity.clone(),
        kind,
        content: row.try_get("content")?,
        timestamp: row.try_get("timestamp")?,
        last_accessed: row.try_get::<Option<DateTime<Utc>>, _>("last_accessed")?,
        access_count: unsigned("access_count", count.unwrap_or(0))?,
        importance: row.try_get("importance")?,
        decay_rate: row.try_get("decay_rate")?,
        context: row.try_get("context")?,
        metadata: row.try_get::<Json<_>, _>("metadata")?.0,
        related: row.try_get::<Json<_>, _>("related")?.0,
        entities: involved(row)?,
        tags: row
            .try_get::<Vec<String>, _>("tags")?
            .into_iter()
            .collect::<BTreeSet<_>>(),
        archived_by: archived_by.map(MemoryId::from),
    }))
}

/// The generation that a row bears.
pub(crate) fn generation(row: &PgRow) -> Result<Generation, sqlx::Error> {
    let number = row.try_get("generation")?;
    Ok(Generation(unsigned("generation", number)?))
}

/// A number that is never negative, though the column could hold one.
pub(crate) fn unsigned(column: &'static str, number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| damaged(column, error))
}

/// A number of ours as the database's; beyond its largest there is no more.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn involved(row: &PgRow) -> Result<BTreeMap<EntityId, String>, sqlx::Error> {
    let involved: Option<Json<BTreeMap<EntityId, String>>> = row.try_get("entities")?;
    Ok(involved.map_or_else(BTreeMap::new, |Json(entities)| entities))
}

fn damaged(
    column: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}
