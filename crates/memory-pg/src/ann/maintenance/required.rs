//! Which vectors are numerous enough for an ANN index.

use memory_core::{EntityId, Fingerprint};
use sqlx::Row;

use super::records::IndexKey;
use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::rows;

/// Vectors that may get an index.
pub(super) struct RequiredIndex {
    pub(super) key: IndexKey,
    /// How many there are.
    pub(super) rows: u64,
}

/// The largest entities with at least `min_vectors` vectors of a model, up to the maximum
/// number of indexes, the largest first.
pub(super) async fn load(
    connection: &mut Connection,
    min_vectors: u64,
    max_indexes: u32,
) -> Result<Vec<RequiredIndex>, Failure> {
    let large = sqlx::query(
        "SELECT e.entity_id FROM entity e WHERE e.memory_count >= $1::bigint / 16 \
         ORDER BY e.entity_id",
    );
    let large = large.bind(rows::signed(min_vectors));
    let mut required = Vec::new();
    for row in &connection.fetch_all(large).await? {
        let entity: &str = row.try_get("entity_id")?;
        // An index would miss vectors of other dimensions or of single precision:
        // entities with such vectors get none.
        let query = sqlx::query(
            "SELECT v.model, count(*) AS size, max(vector_dims(v.half)) AS dimensions \
             FROM memory_embedding v WHERE v.entity_id = $1::text AND NOT v.archived \
             GROUP BY v.model HAVING count(*) >= $2::bigint AND count(v.half) = count(*) \
               AND min(vector_dims(v.half)) = max(vector_dims(v.half)) \
               AND max(vector_dims(v.half)) <= 4000",
        );
        let query = query.bind(entity).bind(rows::signed(min_vectors));
        for row in &connection.fetch_all(query).await? {
            let dimensions: i32 = row.try_get("dimensions")?;
            required.push(RequiredIndex {
                rows: rows::unsigned("size", row.try_get("size")?)?,
                key: IndexKey {
                    entity: EntityId::from(entity),
                    model: Fingerprint::from(row.try_get::<&str, _>("model")?),
                    dimensions: u64::try_from(dimensions).unwrap_or_default(),
                },
            });
        }
    }
    required.sort_by(|a, b| {
        let by_name = |it: &RequiredIndex| {
            let IndexKey { entity, model, .. } = &it.key;
            (entity.as_str().to_owned(), model.as_str().to_owned())
        };
        let order = b.rows.cmp(&a.rows);
        order.then_with(|| by_name(a).cmp(&by_name(b)))
    });
    required.truncate(max_indexes as usize);
    Ok(required)
}
