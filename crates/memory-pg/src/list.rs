//! [`Store::list`](memory_core::Store::list) and
//! [`Store::count`](memory_core::Store::count).

use memory_core::{
    EntityId, Generation, ListPage, ListRequest, ListScope, MemoryFilter, MemoryResult, PageCursor,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Scope;
use crate::database::{Database, ReadTarget};
use crate::filter::{LIVE, conditions};
use crate::rows::{self, MemoryRow};
use crate::sql::SqlBuilder;

pub(crate) async fn list(
    database: &Database,
    entity: &EntityId,
    request: &ListRequest,
) -> MemoryResult<ListPage> {
    const OPERATION: &str = "list";
    database.check_open(OPERATION)?;
    request.validate()?;
    // One more than requested shows whether there is a next page.
    let limit = request.limit + 1;
    let sql = list_statement(entity, request, limit);
    let (owner, requested) = (entity.clone(), request.limit);
    let decode = move |rows: &[PgRow]| {
        let mut page = ListPage::new(Generation::ZERO, Vec::with_capacity(rows.len()), None);
        for row in rows {
            page.generation = rows::generation(row)?;
            page.memories.extend(MemoryRow(row).memory(&owner)?);
        }
        if page.memories.len() == limit {
            page.memories.truncate(requested);
            page.next = page.memories.last().map(PageCursor::from);
        }
        Ok(page)
    };
    database.read(OPERATION, entity, sql, decode).await
}

/// The statement of [`list`].
pub(crate) fn list_statement(entity: &EntityId, request: &ListRequest, limit: usize) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    sql.push(format!(
        "SELECT g.generation, {} FROM {} LEFT JOIN LATERAL \
         (SELECT * FROM memory m WHERE m.entity_id = {entity_param}",
        MemoryRow::columns(&entity_param),
        rows::generation_of(&entity_param),
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
    let conditions = conditions(&mut sql, &entity_param, &request.filter);
    sql.push(conditions);
    if let Some(after) = request.after {
        let time = sql.value(after.timestamp, "timestamptz");
        let id = sql.value(*after.id.as_uuid(), "uuid");
        sql.push(format!(" AND (m.timestamp, m.memory_id) < ({time}, {id})"));
    }
    let limit = sql.value(rows::signed(limit as u64), "bigint");
    sql.push(format!(
        " ORDER BY m.timestamp DESC, m.memory_id DESC LIMIT {limit}) m ON true \
         LEFT JOIN memory_access a ON a.entity_id = {entity_param} AND a.memory_id = m.memory_id \
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
    database.check_open(OPERATION)?;
    filter.validate()?;
    let sql = count_statement(entity, filter);
    let decode = |rows: &[PgRow]| {
        rows.first()
            .map_or(Ok(0), |row| rows::unsigned("count", row.try_get(0)?))
    };
    let entities = [entity];
    let target = match filter.is_empty() {
        true => ReadTarget::small(&entities),
        false => ReadTarget::new(Scope::Entities(&entities)),
    };
    database.read_target(OPERATION, target, sql, decode).await
}

/// The statement of [`count`].
pub(crate) fn count_statement(entity: &EntityId, filter: &MemoryFilter) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    if filter.is_empty() {
        // The entity row counts live memories.
        sql.push(format!(
            "SELECT coalesce((SELECT e.memory_count FROM entity e WHERE e.entity_id = {entity_param}), 0)"
        ));
    } else {
        sql.push(format!(
            "SELECT count(*) FROM memory m WHERE m.entity_id = {entity_param}{LIVE}"
        ));
        let conditions = conditions(&mut sql, &entity_param, filter);
        sql.push(conditions);
    }
    sql
}
