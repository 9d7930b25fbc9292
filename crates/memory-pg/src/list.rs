//! [`Store::list`](memory_core::Store::list) and
//! [`Store::count`](memory_core::Store::count).

use memory_core::{
    EntityId, Generation, ListPage, ListRequest, ListScope, MemoryFilter, MemoryResult, PageCursor,
};
use sqlx::Row;

use crate::database::Database;
use crate::filter::{LIVE, conditions};
use crate::read::read;
use crate::row;
use crate::sql::Sql;

pub(crate) async fn list(
    database: &Database,
    entity: &EntityId,
    request: &ListRequest,
) -> MemoryResult<ListPage> {
    const OPERATION: &str = "list";
    database.open(OPERATION)?;
    request.validate()?;
    // One more than asked for tells whether there is a next page.
    let limit = request.limit + 1;
    let sql = page(entity, request, limit);
    read(database, OPERATION, entity, sql, |rows| {
        let mut page = ListPage {
            generation: Generation::ZERO,
            memories: Vec::with_capacity(rows.len()),
            next: None,
        };
        for row in rows {
            page.generation = row::generation(row)?;
            page.memories.extend(row::memory(row, entity)?);
        }
        if page.memories.len() == limit {
            page.memories.truncate(request.limit);
            page.next = page.memories.last().map(PageCursor::from);
        }
        Ok(page)
    })
    .await
}

/// The statement of [`list`].
pub(crate) fn page(entity: &EntityId, request: &ListRequest, limit: usize) -> Sql {
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT g.generation, {} FROM {} LEFT JOIN LATERAL \
         (SELECT * FROM memory m WHERE m.entity_id = {of}",
        row::COLUMNS,
        row::generation_of(&of),
    ));
    match request.scope {
        ListScope::Archived => {
            sql.push(" AND m.archived_by IS NOT NULL");
        }
        ListScope::SourcesOf(summary) => {
            let summary = sql.value(*summary.as_uuid(), "uuid");
            sql.push(format!(" AND m.archived_by = {summary}"));
        }
        _ => {
            sql.push(LIVE);
        }
    }
    let admitted = conditions(&mut sql, &request.filter);
    sql.push(admitted);
    if let Some(after) = request.after {
        let time = sql.value(after.timestamp, "timestamptz");
        let id = sql.value(*after.id.as_uuid(), "uuid");
        sql.push(format!(" AND (m.timestamp, m.memory_id) < ({time}, {id})"));
    }
    let limit = sql.value(row::signed(limit as u64), "bigint");
    sql.push(format!(
        " ORDER BY m.timestamp DESC, m.memory_id DESC LIMIT {limit}) m ON true \
         LEFT JOIN memory_access a ON a.entity_id = m.entity_id AND a.memory_id = m.memory_id \
         ORDER BY m.timestamp DESC, m.memory_id DESC",
    ));
    sql
}

pub(crate) async fn count(
    database: &Database,
    entity: &EntityId,
    filter: &MemoryFilter,
) -> MemoryResult<u64> {
    const OPERATION: &str = "count";
    database.open(OPERATION)?;
    filter.validate()?;
    let sql = number(entity, filter);
    read(database, OPERATION, entity, sql, |rows| {
        rows.first()
            .map_or(Ok(0), |row| row::unsigned("count", row.try_get(0)?))
    })
    .await
}

/// The statement of [`count`].
pub(crate) fn number(entity: &EntityId, filter: &MemoryFilter) -> Sql {
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    if filter.is_empty() {
        // The entity keeps count of what is live.
        sql.push(format!(
            "SELECT coalesce((SELECT e.memory_count FROM entity e WHERE e.entity_id = {of}), 0)"
        ));
    } else {
        sql.push(format!(
            "SELECT count(*) FROM memory m WHERE m.entity_id = {of}{LIVE}"
        ));
        let admitted = conditions(&mut sql, filter);
        sql.push(admitted);
    }
    sql
}
