//! The dense arm: every vector of the entity is compared, so that nothing is
//! missed under any filter.

use memory_core::DenseQuery;
use pgvector::Vector;

use crate::row::signed;
use crate::sql::Sql;
use crate::vectors;

/// Adds the table expression `dense (memory_id, similarity)`: every admitted
/// memory that has a comparable vector.
///
/// The rows come from the index `idx_memory_embedding` alone, where an entity's
/// vectors of a model stand side by side. As the best of a memory's chunks is
/// taken before anything is put in order, no approximate index can offer
/// itself. `admitted` restricts the alias `v`.
pub(crate) fn push_arm(sql: &mut Sql, of: &str, query: &DenseQuery, admitted: &str) {
    let model = sql.value(query.fingerprint.as_str(), "text");
    let dimensions = sql.value(signed(query.vector.len() as u64), "bigint");
    // What half precision cannot hold is compared with no half vector.
    let half = sql.value(vectors::halved(&query.vector).ok(), "halfvec");
    let single = sql.value(Vector::from(query.vector.clone()), "vector");
    let compared = |rows: &str| {
        format!(
            "SELECT v.memory_id, coalesce(v.half <=> {half}, v.single <=> {single}) AS distance \
             FROM memory_embedding v \
             WHERE v.entity_id = {of} AND v.model = {model} AND {rows} \
             AND coalesce(vector_dims(v.half), vector_dims(v.single)) = {dimensions}{admitted}"
        )
    };
    sql.push(format!(
        "dense AS MATERIALIZED (SELECT c.memory_id, (1 - min(c.distance))::real AS similarity \
         FROM ({} UNION ALL {}) c WHERE c.distance IS NOT NULL GROUP BY c.memory_id)",
        compared("v.compact"),
        compared("NOT v.compact"),
    ));
}
