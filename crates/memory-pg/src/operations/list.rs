//! [`Store::list`](memory_core::Store::list) and
//! [`Store::count`](memory_core::Store::count).

use memory_core::{
    EntityId, Generation, ListPage, ListRequest, ListScope, MemoryFilter, MemoryResult, PageCursor,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, MemoryRow};
use crate::search::filter::{self, Conditions, LIVE};

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

/// Up to so many memories that involve an entity are looked up and sorted, in some tens of
/// milliseconds. Where more do, the memories are read in their order, and what involves each
/// is looked up: of two million, a thousand or so for each that is found.
const MAX_LOOKUPS: u32 = 2_000;

/// The statement of [`list`]. What it joins is looked up for each memory (`OFFSET 0`): where
/// its statistics know of few memories of the entity yet, the server would read all accesses
/// for them, or for each of them all that involves an entity.
pub(crate) fn list_statement(entity: &EntityId, request: &ListRequest, limit: usize) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let scope = match request.scope {
        ListScope::Archived => " AND m.archived_by IS NOT NULL".to_owned(),
        ListScope::SourcesOf(summary) => {
            let summary = sql.value(*summary.as_uuid(), "uuid");
            format!(" AND m.archived_by = {summary}")
        }
        _ => LIVE.to_owned(),
    };
    let mut matches = scope + &filter::without_involved(&mut sql, &request.filter);
    if let Some(after) = request.after.map(PageCursor::to_micros) {
        let time = sql.value(after.timestamp, "timestamptz");
        let id = sql.value(*after.id.as_uuid(), "uuid");
        matches.push_str(&format!(" AND (m.timestamp, m.memory_id) < ({time}, {id})"));
    }
    let limit = sql.value(rows::signed(limit as u64), "bigint");
    let order = format!("ORDER BY m.timestamp DESC, m.memory_id DESC LIMIT {limit}");
    let of_entity = format!("SELECT m.* FROM memory m WHERE m.entity_id = {entity_param}{matches}");
    let found = match &request.filter.involves {
        None => format!("{of_entity} {order}"),
        Some(involved) => {
            let of_involved = filter::of_involved(&mut sql, &entity_param, involved);
            sql.push(format!(
                "WITH involving AS MATERIALIZED (SELECT i.memory_id {of_involved} LIMIT {}) ",
                MAX_LOOKUPS + 1
            ));
            let few = format!("(SELECT count(*) FROM involving) <= {MAX_LOOKUPS}");
            format!(
                "(SELECT m.* FROM involving CROSS JOIN LATERAL \
                 ({of_entity} AND m.memory_id = involving.memory_id OFFSET 0) m \
                 WHERE {few} {order}) \
                 UNION ALL \
                 ({of_entity} AND NOT {few} \
                 AND EXISTS (SELECT {of_involved} AND i.memory_id = m.memory_id OFFSET 0) {order})"
            )
        }
    };
    sql.push(format!(
        "SELECT g.generation, {} FROM {} LEFT JOIN LATERAL ({found}) m ON true \
         LEFT JOIN LATERAL (SELECT a.access_count, a.last_accessed FROM memory_access a \
         WHERE a.entity_id = {entity_param} AND a.memory_id = m.memory_id OFFSET 0) a ON true \
         ORDER BY m.timestamp DESC, m.memory_id DESC",
        MemoryRow::columns(&entity_param),
        rows::generation_of(&entity_param),
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
        return sql;
    }
    let conditions = Conditions::new(&mut sql, &entity_param, filter);
    sql.push(format!("SELECT count(*) {}", conditions.all));
    sql
}

#[cfg(test)]
mod tests {
    use memory_core::{EmbeddedMemory, MemoryKind, Store};
    use memory_testkit::{SeededRng, fixtures};

    use super::*;
    use crate::search::query_plan_tests::support::with_database;
    use crate::store::PgStore;

    /// As many memories as are looked up at most, and one more, are listed in the same order,
    /// each once.
    #[tokio::test(flavor = "multi_thread")]
    async fn pages_of_memories_that_involve_an_entity_are_in_order() {
        with_database(|url| async move {
            let store = PgStore::connect(&url).await.unwrap();
            let mira = EntityId::from("mira");
            let max = MAX_LOOKUPS as usize;
            let mut all = fixtures::varied_memories(&mira, max + 501, &mut SeededRng::new(4));
            for item in all.iter_mut().skip(500) {
                let involved = &mut item.memory.entities;
                involved.insert("zoe".into(), "seen".to_owned());
            }
            let involves = MemoryFilter::new().involves("zoe");
            let (last, first) = all.split_last().unwrap();
            for (new, listed) in [(first, first), (std::slice::from_ref(last), &all[..])] {
                store.insert(new).await.unwrap();
                assert_pages(&store, &mira, &involves, listed).await;
                let worlds = involves.clone().kind(MemoryKind::World);
                assert_pages(&store, &mira, &worlds, listed).await;
            }
        })
        .await;
    }

    /// Checks the pages of a list of live memories.
    async fn assert_pages(
        store: &PgStore,
        entity: &EntityId,
        filter: &MemoryFilter,
        all: &[EmbeddedMemory],
    ) {
        let mut expected: Vec<_> = all
            .iter()
            .map(|item| &item.memory)
            .filter(|it| it.entities.contains_key("zoe"))
            .filter(|it| filter.kinds.is_empty() || filter.kinds.contains(&it.kind))
            .map(|it| (it.timestamp, it.id))
            .collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let mut request = ListRequest::new(300).filter(filter.clone());
        let mut found = Vec::new();
        loop {
            let page = store.list(entity, &request).await.unwrap();
            found.extend(page.memories.iter().map(|it| (it.timestamp, it.id)));
            request.after = page.next;
            if request.after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "of {} memories", all.len());
    }
}
