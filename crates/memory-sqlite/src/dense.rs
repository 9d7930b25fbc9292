//! The dense retriever: the cosine with every vector that the filter lets through.

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{DenseQuery, MemoryFilter, ScoreStatsBuilder};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row};

use crate::best::Best;
use crate::entity::EntityRow;
use crate::error::Failure;
use crate::filter::push_conditions;
use crate::keys;
use crate::offload::fold;
use crate::space;
use crate::vectors::best_cosine;

/// What a sweep over an entity's vectors gathers.
pub(crate) struct Sweep {
    query: Arc<[f32]>,
    /// The memories nearest to the query.
    pub(crate) best: Best,
    /// Memories that another retriever has found, with their similarity where they
    /// have a vector to compare.
    pub(crate) others: HashMap<i64, Option<f32>>,
    /// Every similarity, whether or not it is among the best.
    pub(crate) tally: ScoreStatsBuilder,
    buffer: Vec<f32>,
}

/// Compares the query with the vectors of all admitted memories, in one sweep
/// over contiguous rows; memory holds the best `limit` and `others`.
pub(crate) async fn sweep(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    filter: &MemoryFilter,
    dense: DenseQuery,
    limit: usize,
    others: HashMap<i64, Option<f32>>,
) -> Result<Sweep, Failure> {
    let sweep = Sweep {
        query: dense.vector.into(),
        best: Best::new(limit),
        others,
        tally: ScoreStatsBuilder::default(),
        buffer: Vec::new(),
    };
    let Some(space) = space::find(conn, entity.key, &dense.fingerprint).await? else {
        return Ok(sweep);
    };
    space.check(sweep.query.len())?;
    let mut query = rows(entity.key, space.key, filter);
    fold(query.build().fetch(conn), sweep, Sweep::compare).await
}

/// Selects memory keys with their vectors.
fn rows(entity_key: i64, space_key: i64, filter: &MemoryFilter) -> QueryBuilder<sqlx::Sqlite> {
    let to_memory = keys::shift(space_key, entity_key);
    let mut query = QueryBuilder::new("");
    if filter.is_empty() {
        let range = keys::range(space_key);
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

impl Sweep {
    fn compare(&mut self, row: &SqliteRow) -> Result<(), Failure> {
        let key: i64 = row.try_get(0)?;
        let similarity = best_cosine(row.try_get(1)?, &self.query, &mut self.buffer)?;
        self.tally.add(similarity);
        self.best.offer(key, similarity);
        if let Some(other) = self.others.get_mut(&key) {
            *other = Some(similarity);
        }
        Ok(())
    }
}
