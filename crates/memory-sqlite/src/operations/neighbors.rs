//! [`Store::neighbors`](memory_core::Store::neighbors).

use std::collections::{BTreeSet, HashMap};

use memory_core::{
    EntityId, EpisodePart, MemoryFilter, MemoryId, NeighborOutcome, NeighborRequest, SearchHit,
};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::connections::blocking::fold_rows;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::entity;
use crate::rows::{self, MemoryRow};
use crate::search::dense;
use crate::search::filter::push_row_conditions;
use crate::search::find_memories;

pub(crate) struct Neighbors {
    pub(crate) entity: EntityId,
    pub(crate) request: NeighborRequest,
}

impl Transaction for Neighbors {
    type Output = NeighborOutcome;
    const OPERATION: &'static str = "neighbors";

    async fn run(self, conn: &mut SqliteConnection) -> Result<NeighborOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(NeighborOutcome::default());
        };
        let mut select = select_parts(entity.key, &self.request)?;
        let rows = select.build().fetch(&mut *conn);
        let parts = fold_rows(rows, Parts::default(), Parts::add).await?;
        let keys: Vec<i64> = parts.keys.iter().copied().collect();
        let mut compared = HashMap::new();
        if let Some(query) = self.request.dense {
            compared = dense::compare(conn, &entity, &query, &keys).await?;
        }
        let memories = find_memories(conn, self.entity, keys.iter()).await?;
        let hit = |MemoryRow { key, memory }| {
            let best = compared.get(&key);
            SearchHit::new(memory)
                .similarity(best.map(|best| best.similarity))
                .chunks(best.map(|best| best.chunks))
        };
        let hits = memories.into_iter().map(hit).collect();
        Ok(NeighborOutcome::new(
            entity.generation,
            parts.episodes(),
            hits,
        ))
    }
}

/// Selects, for each memory asked about, a row of its own with the length of its
/// episode, and one for each neighbor: memory, whether it comes before, its key,
/// its id, its timestamp, the length.
fn select_parts(
    entity_key: i64,
    request: &NeighborRequest,
) -> Result<QueryBuilder<Sqlite>, Failure> {
    let filter = &request.filter;
    let mut query = QueryBuilder::new(
        "WITH asked AS MATERIALIZED (
             SELECT m.memory_key, m.memory_id, m.context, m.timestamp FROM json_each(",
    );
    query
        .push_bind(rows::encode_ids(&request.ids)?)
        .push(") AS wanted CROSS JOIN memory AS m ON m.entity_key = ")
        .push_bind(entity_key)
        .push(
            " AND m.memory_id = unhex(wanted.value)
             WHERE m.archived_by IS NULL AND m.context IS NOT NULL",
        );
    push_row_conditions(&mut query, entity_key, filter);
    query.push(
        ") SELECT a.memory_id AS asked, NULL AS side, 0 AS memory_key, a.memory_id, a.timestamp,
             (SELECT count(*) FROM (SELECT 1",
    );
    push_episode(&mut query, entity_key, filter);
    query
        .push(" LIMIT ")
        .push_bind(signed(request.max_length))
        .push(")) AS length FROM asked AS a");
    for (side, comparison, order) in [(-1, "<", " DESC"), (1, ">", "")] {
        query.push(format!(
            " UNION ALL SELECT a.memory_id, {side}, n.memory_key, n.memory_id, n.timestamp, 0
             FROM asked AS a CROSS JOIN memory AS n
             WHERE n.memory_key IN (SELECT m.memory_key"
        ));
        push_episode(&mut query, entity_key, filter);
        query
            .push(format!(
                " AND (m.timestamp, m.memory_id) {comparison} (a.timestamp, a.memory_id)
                 ORDER BY m.timestamp{order}, m.memory_id{order} LIMIT "
            ))
            .push_bind(signed(request.reach))
            .push(")");
    }
    Ok(query)
}

/// Appends ` FROM …` with the memories of the episode of `a`.
fn push_episode(query: &mut QueryBuilder<Sqlite>, entity_key: i64, filter: &MemoryFilter) {
    query
        .push(" FROM memory AS m WHERE m.entity_key = ")
        .push_bind(entity_key)
        .push(" AND m.context = a.context AND m.context IS NOT NULL AND m.archived_by IS NULL");
    push_row_conditions(query, entity_key, filter);
}

fn signed(count: usize) -> i64 {
    rows::encode_count(count as u64)
}

/// The rows of [`select_parts`].
#[derive(Default)]
struct Parts {
    lengths: HashMap<MemoryId, u64>,
    /// Timestamps and ids of the neighbors of each memory, in the order of time.
    before: HashMap<MemoryId, BTreeSet<(i64, MemoryId)>>,
    after: HashMap<MemoryId, BTreeSet<(i64, MemoryId)>>,
    /// The keys of all neighbors.
    keys: BTreeSet<i64>,
}

impl Parts {
    fn add(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let asked = rows::decode_id(row.try_get(0)?)?;
        let side: Option<i64> = row.try_get(1)?;
        let Some(side) = side else {
            self.lengths.insert(asked, row.try_get(5)?);
            return Ok(());
        };
        let place = (row.try_get(4)?, rows::decode_id(row.try_get(3)?)?);
        self.keys.insert(row.try_get(2)?);
        let neighbors = if side < 0 {
            &mut self.before
        } else {
            &mut self.after
        };
        neighbors.entry(asked).or_default().insert(place);
        Ok(())
    }

    fn episodes(mut self) -> Vec<EpisodePart> {
        let id = |(_, id)| id;
        let lengths = self.lengths.into_iter();
        lengths
            .map(|(memory, length)| EpisodePart {
                before: self
                    .before
                    .remove(&memory)
                    .unwrap_or_default()
                    .into_iter()
                    .rev()
                    .map(id)
                    .collect(),
                memory,
                after: self
                    .after
                    .remove(&memory)
                    .unwrap_or_default()
                    .into_iter()
                    .map(id)
                    .collect(),
                length,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{MemoryTagMode, Store};
    use memory_testkit::fixtures;
    use sqlx::SqlitePool;

    use super::*;
    use crate::SqliteStore;

    /// Neither the rest of an episode nor the rest of the entity is read.
    #[tokio::test]
    async fn neighbors_come_from_the_index_over_contexts() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("plan.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        store.close().await.unwrap();
        let pool = SqlitePool::connect(&url).await.unwrap();
        for filter in [
            MemoryFilter::new(),
            MemoryFilter::new().since(fixtures::at(9)),
            MemoryFilter::new().tags(["mill"], MemoryTagMode::AnyStrict),
        ] {
            let has_tags = !filter.tags.is_empty();
            let request = NeighborRequest::new([MemoryId::new()], 3).filter(filter);
            let select = select_parts(1, &request).unwrap();
            let statement = format!("EXPLAIN QUERY PLAN {}", select.sql().as_str());
            // What is not bound is NULL, which the plan does not depend on.
            let explain = sqlx::query(sqlx::AssertSqlSafe(statement));
            let rows = explain.fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let scans = plan
                .iter()
                .filter(|line| line.contains("memory_by_context"));
            assert_eq!(scans.count(), 3, "{plan:#?}");
            let sorts = plan.iter().filter(|line| line.contains("TEMP B-TREE"));
            assert_eq!(sorts.count(), 0, "{plan:#?}");
            // The tags of a row are looked up, not all that have the tag.
            let by_row = |line: &&String| {
                line.contains("memory_label") && line.contains("label=? AND memory_key=?")
            };
            let lookups = plan.iter().filter(by_row).count();
            assert_eq!(lookups, if has_tags { 4 } else { 0 }, "{plan:#?}");
        }
    }
}
