//! The dense retriever: cosine similarity with every vector that passes the filter.

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{DenseQuery, MemoryFilter, ScoreStatsBuilder};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, query};

use crate::blocking::fold_rows;
use crate::error::Failure;
use crate::filter::push_conditions;
use crate::rows::{EntityRow, to_json};
use crate::top_k::TopK;
use crate::vectors::{BestChunk, best_chunk};
use crate::{embedding_space, row_keys};

/// The state of a scan over an entity's vectors.
pub(crate) struct DenseScan {
    query: Arc<DenseQuery>,
    /// The memories with the highest values.
    pub(crate) top_k: TopK<BestChunk>,
    /// Memories that were found otherwise, with their best chunk where they have
    /// a vector to compare.
    pub(crate) others: HashMap<i64, Option<BestChunk>>,
    /// Statistics of every value, whether or not it is in the top k.
    pub(crate) stats: ScoreStatsBuilder,
    buffer: Vec<f32>,
}

/// Compares the query with the vectors of all matching memories in one scan
/// over contiguous rows; only the top `limit` and `others` stay in memory.
pub(crate) async fn scan(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
    dense: DenseQuery,
    limit: usize,
    others: HashMap<i64, Option<BestChunk>>,
) -> Result<DenseScan, Failure> {
    let scan = DenseScan {
        query: Arc::new(dense),
        top_k: TopK::new(limit),
        others,
        stats: ScoreStatsBuilder::default(),
        buffer: Vec::new(),
    };
    let Some(space) = embedding_space::find(conn, entity.key, &scan.query.fingerprint).await?
    else {
        return Ok(scan);
    };
    space.check_dimensions(scan.query.vector.len())?;
    let mut query = select_vectors(entity.key, space.key, filter);
    fold_rows(query.build().fetch(conn), scan, DenseScan::compare).await
}

/// Selects memory keys with their vectors.
fn select_vectors(
    entity_key: i64,
    space_key: i64,
    filter: &MemoryFilter,
) -> QueryBuilder<sqlx::Sqlite> {
    let to_memory = row_keys::shift(space_key, entity_key);
    let mut query = QueryBuilder::new("");
    if filter.is_empty() {
        let range = row_keys::range(space_key);
        query
            .push("SELECT embedding_key + ")
            .push_bind(to_memory)
            .push(", vectors FROM memory_embedding WHERE embedding_key BETWEEN ")
            .push_bind(*range.start())
            .push(" AND ")
            .push_bind(*range.end());
    } else {
        query
            .push(
                "SELECT m.memory_key, e.vectors FROM memory AS m
                 CROSS JOIN memory_embedding AS e ON e.embedding_key = m.memory_key - ",
            )
            .push_bind(to_memory)
            .push(" WHERE m.entity_key = ")
            .push_bind(entity_key);
        push_conditions(&mut query, entity_key, filter);
    }
    query
}

impl DenseScan {
    fn compare(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let key: i64 = row.try_get(0)?;
        let best = best_chunk(row.try_get(1)?, &self.query.vector, &mut self.buffer)?;
        let value = self.query.value(best.similarity, best.chunks);
        self.stats.add(value);
        self.top_k.offer(key, value, best);
        if let Some(other) = self.others.get_mut(&key) {
            *other = Some(best);
        }
        Ok(())
    }
}

/// Compares the query with the vectors of these memories, by their keys.
pub(crate) async fn compare(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    dense: DenseQuery,
    keys: &[i64],
) -> Result<HashMap<i64, BestChunk>, Failure> {
    let Some(space) = embedding_space::find(conn, entity.key, &dense.fingerprint).await? else {
        return Ok(HashMap::new());
    };
    space.check_dimensions(dense.vector.len())?;
    let rows = query(
        "SELECT wanted.value, e.vectors FROM json_each(?1) AS wanted
         CROSS JOIN memory_embedding AS e ON e.embedding_key = wanted.value - ?2",
    )
    .bind(to_json(&keys)?)
    .bind(row_keys::shift(space.key, entity.key))
    .fetch(conn);
    let state = (HashMap::new(), Vec::new(), Arc::<[f32]>::from(dense.vector));
    let (compared, _, _) = fold_rows(rows, state, |(compared, buffer, vector), row| {
        let best = best_chunk(row.try_get(1)?, vector, buffer)?;
        compared.insert(row.try_get(0)?, best);
        Ok(())
    })
    .await?;
    Ok(compared)
}
