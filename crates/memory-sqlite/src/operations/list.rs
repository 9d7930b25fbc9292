//! [`Store::list`](memory_core::Store::list) and
//! [`Store::count`](memory_core::Store::count).

use memory_core::{EntityId, ListPage, ListRequest, ListScope, MemoryFilter, PageCursor};
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::connections::blocking::fold_rows;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::entity;
use crate::rows::{EntityRow, MemoryRow, memory_columns};
use crate::search::filter::{push_conditions, push_scope};

pub(crate) struct List {
    pub(crate) entity: EntityId,
    pub(crate) request: ListRequest,
}

impl Transaction for List {
    type Output = ListPage;
    const OPERATION: &'static str = "list";

    async fn run(self, conn: &mut SqliteConnection) -> Result<ListPage, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(ListPage::default());
        };
        let limit = self.request.limit;
        let mut query = list_query("", entity.key, self.request);
        let rows = query.build().fetch(conn);
        let (mut memories, _) = fold_rows(
            rows,
            (Vec::new(), self.entity),
            |(memories, entity), row| {
                memories.push(MemoryRow::decode(row, entity)?.memory);
                Ok(())
            },
        )
        .await?;
        let more = memories.len() > limit;
        memories.truncate(limit);
        let next = memories.last().filter(|_| more).map(PageCursor::from);
        Ok(ListPage::new(entity.generation, memories, next))
    }
}

/// The query of [`List`], after a text.
fn list_query(prefix: &str, entity_key: i64, request: ListRequest) -> QueryBuilder<Sqlite> {
    let ListRequest {
        filter,
        limit,
        after,
        scope,
    } = request;
    let mut query = QueryBuilder::new(prefix);
    query.push(concat!(
        "SELECT ",
        memory_columns!(),
        " FROM memory AS m LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key
         WHERE m.entity_key = ",
    ));
    query.push_bind(entity_key);
    push_scope(&mut query, scope);
    push_conditions(&mut query, entity_key, &filter);
    if let Some(PageCursor { timestamp, id }) = after.map(PageCursor::to_micros) {
        query
            .push(" AND (m.timestamp, m.memory_id) < (")
            .push_bind(timestamp.timestamp_micros())
            .push(", ")
            .push_bind(id.as_uuid().as_bytes().to_vec())
            .push(")");
    }
    // One more row than requested shows whether there is a next page.
    let read = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query
        .push(" ORDER BY m.timestamp DESC, m.memory_id DESC LIMIT ")
        .push_bind(read);
    query
}

pub(crate) struct Count {
    pub(crate) entity: EntityId,
    pub(crate) filter: MemoryFilter,
}

impl Transaction for Count {
    type Output = u64;
    const OPERATION: &'static str = "count";

    async fn run(self, conn: &mut SqliteConnection) -> Result<u64, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(0);
        };
        count_matching(conn, &entity, &self.filter).await
    }
}

/// How many live memories match the filter.
pub(crate) async fn count_matching(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
) -> Result<u64, Failure> {
    if filter.is_empty() {
        return Ok(entity.memory_count);
    }
    let mut query = QueryBuilder::new("SELECT count(*) FROM memory AS m WHERE m.entity_key = ");
    query.push_bind(entity.key);
    push_scope(&mut query, ListScope::Live);
    push_conditions(&mut query, entity.key, filter);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryId, MemoryKind, Store};
    use memory_testkit::{SeededRng, fixtures};
    use sqlx::{Connection, Row};

    use super::*;
    use crate::SqliteStore;

    /// A page reads the memories in their order, and the access of each by its key.
    #[tokio::test]
    async fn a_page_is_read_in_order_and_accesses_by_key() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("agent.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        let batch = fixtures::varied_memories(&"mira".into(), 50, &mut SeededRng::new(1));
        store.insert(&batch).await.unwrap();
        store.close().await.unwrap();
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        let new = MemoryFilter::new;
        let filters = [
            new(),
            new().since(fixtures::at(0)).until(fixtures::at(5)),
            new().kind(MemoryKind::World),
            new().involves("tam"),
            new().metadata("place", "mill"),
        ];
        let after = PageCursor::from(&batch[0].memory);
        for filter in &filters {
            for after in [None, Some(after)] {
                let mut request = ListRequest::new(20).filter(filter.clone());
                request.after = after;
                let plan = plan(&mut conn, request).await;
                assert!(
                    plan.contains("SEARCH m USING INDEX memory_by_time"),
                    "{plan}"
                );
                assert!(
                    plan.contains("SEARCH a USING INTEGER PRIMARY KEY"),
                    "{plan}"
                );
                assert!(!plan.contains("FOR ORDER BY"), "{plan}");
            }
        }
        for scope in [ListScope::Archived, ListScope::SourcesOf(MemoryId::new())] {
            let plan = plan(&mut conn, ListRequest::new(20).scope(scope)).await;
            assert!(plan.contains("SEARCH m USING INDEX memory_by_"), "{plan}");
            assert!(
                plan.contains("SEARCH a USING INTEGER PRIMARY KEY"),
                "{plan}"
            );
        }
    }

    async fn plan(conn: &mut SqliteConnection, request: ListRequest) -> String {
        let mut query = list_query("EXPLAIN QUERY PLAN ", 1, request);
        let rows = query.build().fetch_all(conn).await.unwrap();
        let lines = rows.iter().map(|row| row.get::<String, _>("detail"));
        lines.collect::<Vec<_>>().join("\n")
    }
}
