//! The dense retriever: exact search, which compares every vector of the entity
//! and misses nothing under any filter.

use memory_core::DenseQuery;
use pgvector::Vector;

use crate::filter::LIVE;
use crate::rows::signed;
use crate::sql::SqlBuilder;
use crate::vectors;

/// Adds the table expression `dense (memory_id, similarity, chunks, value)`:
/// every memory that meets the conditions on `m` and has a comparable vector.
///
/// Without conditions the rows come from the index `idx_memory_embedding`
/// alone, which stores an entity's vectors of a model contiguously. Since the
/// best of a memory's chunks is taken before anything is sorted, the planner
/// cannot use an ANN index here.
pub(crate) fn push_retriever(
    sql: &mut SqlBuilder,
    entity_param: &str,
    query: &DenseQuery,
    conditions: &str,
) {
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(
            " JOIN memory m ON m.entity_id = {entity_param} AND m.memory_id = v.memory_id{LIVE}{conditions}"
        )
    };
    push_comparison(sql, entity_param, query, &filter);
}

/// As [`push_retriever`], of the memories in the table expression `wanted
/// (memory_id)`.
pub(crate) fn push_retriever_of(
    sql: &mut SqlBuilder,
    entity_param: &str,
    query: &DenseQuery,
    wanted: &str,
) {
    let join = format!(" JOIN {wanted} w ON v.memory_id = w.memory_id");
    push_comparison(sql, entity_param, query, &join);
}

fn push_comparison(sql: &mut SqlBuilder, entity_param: &str, query: &DenseQuery, join: &str) {
    let model = sql.value(query.fingerprint.as_str(), "text");
    let dimensions = sql.value(signed(query.vector.len() as u64), "bigint");
    // A vector beyond the range of half precision is not compared with half vectors.
    let half = sql.value(vectors::to_half(&query.vector).ok(), "halfvec");
    let single = sql.value(Vector::from(query.vector.clone()), "vector");
    let discount = sql.value(f64::from(query.chunk_discount), "double precision");
    // The dimensions are checked here and not in a condition: the planner would
    // expect hardly any row to meet it.
    let compared = |rows: &str| {
        format!(
            "SELECT v.memory_id, CASE {dimensions} WHEN vector_dims(v.half) THEN v.half <=> {half} \
             WHEN vector_dims(v.single) THEN v.single <=> {single} END AS distance \
             FROM memory_embedding v{join} \
             WHERE v.entity_id = {entity_param} AND v.model = {model} AND NOT v.archived AND {rows}"
        )
    };
    sql.push(format!(
        "dense AS (SELECT c.memory_id, (1 - min(c.distance))::real AS similarity, \
           count(c.distance)::integer AS chunks, (1 - min(c.distance) \
             - {discount} * ln(greatest(count(c.distance), 1)::double precision))::real AS value \
         FROM ({} UNION ALL {}) c GROUP BY c.memory_id HAVING min(c.distance) IS NOT NULL)",
        compared("v.compact"),
        compared("NOT v.compact"),
    ));
}

/// ` CROSS JOIN …` with the mean and deviation of the retriever's values over all
/// memories that match the filter.
pub(crate) fn score_stats() -> String {
    " CROSS JOIN (SELECT coalesce(avg(d.value), 0)::real AS dense_mean, \
         coalesce(stddev_pop(d.value), 0)::real AS dense_deviation, \
         count(*) AS dense_count FROM dense d) ds"
        .to_owned()
}
