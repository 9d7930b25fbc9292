//! The dense retriever: exact search, which compares every vector of the entity
//! and misses nothing under any filter.

use memory_core::DenseQuery;
use pgvector::Vector;

use crate::rows::signed;
use crate::rows::sql::SqlBuilder;
use crate::rows::vectors;
use crate::search::filter::Conditions;

/// Adds the table expression `dense (memory_id, similarity, chunks, value)`:
/// every memory that meets the conditions on `m` and has a comparable vector.
///
/// Without conditions the rows come from the index `idx_memory_embedding`
/// alone, which stores an entity's vectors of a model contiguously, in the order of
/// memories; those that fit no index are grouped by themselves, so that the order is kept.
/// Since the best of a memory's chunks is taken before anything is sorted, the planner
/// cannot use an ANN index here.
pub(crate) fn push_retriever(
    sql: &mut SqlBuilder,
    entity_param: &str,
    query: &DenseQuery,
    conditions: &Conditions,
) {
    // An array is looked up in the index. A join, where the statistics know of few memories
    // of the entity yet, could read all of its vectors for each memory.
    let filter = if conditions.are_empty() {
        ""
    } else {
        sql.push(format!(
            "matching AS (SELECT ARRAY(SELECT m.memory_id {}) AS ids), ",
            conditions.all
        ));
        " AND v.memory_id = ANY ((SELECT q.ids FROM matching q)::uuid[])"
    };
    let params = QueryParams::new(sql, query);
    let compared = |rows: &str| {
        format!(
            "SELECT c.memory_id, min(c.distance) AS distance, count(c.distance) AS chunks \
             FROM (SELECT v.memory_id, {} AS distance FROM memory_embedding v \
               WHERE v.entity_id = {entity_param} AND v.model = {} AND NOT v.archived \
                 AND {rows}{filter}) c \
             GROUP BY c.memory_id",
            params.distance(),
            params.model,
        )
    };
    sql.push(format!(
        "dense AS (SELECT b.memory_id, {} FROM (SELECT memory_id, \
           least(c.distance, l.distance) AS distance, \
           coalesce(c.chunks, 0) + coalesce(l.chunks, 0) AS chunks \
           FROM ({}) c FULL JOIN ({}) l USING (memory_id)) b WHERE b.distance IS NOT NULL)",
        params.values(),
        compared("v.compact"),
        compared("NOT v.compact"),
    ));
}

/// As [`push_retriever`], of the memories in the table expression `wanted
/// (memory_id)`, whose vectors are looked up by memory.
pub(crate) fn push_retriever_of(
    sql: &mut SqlBuilder,
    entity_param: &str,
    query: &DenseQuery,
    wanted: &str,
) {
    let params = QueryParams::new(sql, query);
    sql.push(format!(
        "dense AS (SELECT b.memory_id, {} FROM (SELECT w.memory_id, \
           min({}) AS distance, count({}) AS chunks \
           FROM {wanted} w CROSS JOIN LATERAL (SELECT v.half, v.single FROM memory_embedding v \
             WHERE v.entity_id = {entity_param} AND v.memory_id = w.memory_id \
             AND v.model = {} AND NOT v.archived OFFSET 0) v GROUP BY w.memory_id) b \
           WHERE b.distance IS NOT NULL)",
        params.values(),
        params.distance(),
        params.distance(),
        params.model,
    ));
}

/// Adds a table expression as [`push_retriever`] does, where nothing is asked for.
pub(crate) fn push_nothing(sql: &mut SqlBuilder) {
    sql.push(
        "dense AS (SELECT NULL::uuid AS memory_id, NULL::real AS similarity, \
         NULL::integer AS chunks LIMIT 0)",
    );
}

/// A query for the rows of another one, which has a column `memory_id`, with the
/// `similarity` and the `chunks` of each. The full join takes one pass over all vectors,
/// whatever the planner expects, and is one since its condition may be met by rows of
/// either side.
pub(crate) fn with_similarities(wanted: &str) -> String {
    format!(
        "SELECT c.*, d.similarity, d.chunks FROM (SELECT true AS is_compared, c.* FROM ({wanted}) c) c \
         FULL JOIN dense d ON d.memory_id = c.memory_id WHERE coalesce(c.is_compared, false)"
    )
}

/// The parameters of a query.
struct QueryParams {
    model: String,
    dimensions: String,
    half: String,
    single: String,
    discount: String,
}

impl QueryParams {
    fn new(sql: &mut SqlBuilder, query: &DenseQuery) -> Self {
        Self {
            model: sql.value(query.fingerprint.as_str(), "text"),
            dimensions: sql.value(signed(query.vector.len() as u64), "bigint"),
            // A vector beyond the range of half precision is not compared with half vectors.
            half: sql.value(vectors::to_half(&query.vector).ok(), "halfvec"),
            single: sql.value(Vector::from(query.vector.clone()), "vector"),
            discount: sql.value(f64::from(query.chunk_discount), "double precision"),
        }
    }

    /// The distance of a vector; `NULL` of one with other dimensions. They are checked here
    /// and not in a condition: the planner would expect hardly any row to meet it.
    fn distance(&self) -> String {
        let Self {
            dimensions,
            half,
            single,
            ..
        } = self;
        format!(
            "CASE {dimensions} WHEN vector_dims(v.half) THEN v.half <=> {half} \
             WHEN vector_dims(v.single) THEN v.single <=> {single} END"
        )
    }

    /// The columns `similarity, chunks, value` of the memory `b`.
    fn values(&self) -> String {
        let discount = &self.discount;
        format!(
            "(1 - b.distance)::real AS similarity, b.chunks::integer AS chunks, \
             (1 - b.distance - {discount} * ln(greatest(b.chunks, 1)::double precision))::real \
               AS value"
        )
    }
}

/// ` CROSS JOIN …` with the mean and deviation of the retriever's values over all
/// memories that match the filter.
pub(crate) fn score_stats() -> String {
    " CROSS JOIN (SELECT coalesce(avg(d.value), 0)::real AS dense_mean, \
         coalesce(stddev_pop(d.value), 0)::real AS dense_deviation, \
         count(*) AS dense_count FROM dense d) ds"
        .to_owned()
}
