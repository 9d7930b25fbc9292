//! The dense retriever: every vector of the entity is compared, so that nothing is
//! missed under any filter.

use memory_core::DenseQuery;
use pgvector::Vector;

use crate::filter::LIVE;
use crate::row::signed;
use crate::sql::Sql;
use crate::vectors;

/// Adds the table expression `dense (memory_id, similarity)`: every memory that
/// meets the conditions on `m` and has a comparable vector.
///
/// Without conditions the rows come from the index `idx_memory_embedding`
/// alone, where an entity's vectors of a model stand side by side. As the best
/// of a memory's chunks is taken before anything is put in order, no
/// approximate index can offer itself.
pub(crate) fn push_arm(sql: &mut Sql, of: &str, query: &DenseQuery, conditions: &str) {
    let model = sql.value(query.fingerprint.as_str(), "text");
    let dimensions = sql.value(signed(query.vector.len() as u64), "bigint");
    // What half precision cannot hold is compared with no half vector.
    let half = sql.value(vectors::halved(&query.vector).ok(), "halfvec");
    let single = sql.value(Vector::from(query.vector.clone()), "vector");
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(
            " JOIN memory m ON m.entity_id = {of} AND m.memory_id = v.memory_id{LIVE}{conditions}"
        )
    };
    // The dimensions are asked for here and not in a condition, of which the
    // planner would think that hardly any row meets it.
    let compared = |rows: &str| {
        format!(
            "SELECT v.memory_id, CASE {dimensions} WHEN vector_dims(v.half) THEN v.half <=> {half} \
             WHEN vector_dims(v.single) THEN v.single <=> {single} END AS distance \
             FROM memory_embedding v{filter} \
             WHERE v.entity_id = {of} AND v.model = {model} AND NOT v.archived AND {rows}"
        )
    };
    sql.push(format!(
        "dense AS (SELECT c.memory_id, (1 - min(c.distance))::real AS similarity \
         FROM ({} UNION ALL {}) c GROUP BY c.memory_id HAVING min(c.distance) IS NOT NULL)",
        compared("v.compact"),
        compared("NOT v.compact"),
    ));
}

/// ` CROSS JOIN …` with mean and deviation of the retriever over all that is
/// admitted.
pub(crate) fn summary() -> String {
    " CROSS JOIN (SELECT coalesce(avg(d.similarity), 0)::real AS dense_mean, \
         coalesce(stddev_pop(d.similarity), 0)::real AS dense_deviation FROM dense d) ds"
        .to_owned()
}
