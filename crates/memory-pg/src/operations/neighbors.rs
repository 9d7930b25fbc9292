//! [`Store::neighbors`](memory_core::Store::neighbors), in one statement.

use memory_core::{
    EntityId, EpisodePart, MemoryId, MemoryResult, NeighborOutcome, NeighborRequest, SearchHit,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connections::database::Database;
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, MemoryRow};
use crate::search::dense;
use crate::search::filter::{Conditions, LIVE};

const OPERATION: &str = "neighbors";

pub(crate) async fn neighbors(
    database: &Database,
    entity: &EntityId,
    request: &NeighborRequest,
) -> MemoryResult<NeighborOutcome> {
    database.check_open(OPERATION)?;
    request.validate()?;
    let mut sql = SqlBuilder::new();
    push_statement(&mut sql, entity, request);
    let owner = entity.clone();
    let decode = move |rows: &[PgRow]| decode(rows, &owner);
    database.read(OPERATION, entity, sql, decode).await
}

/// A row for each memory asked about, and one for each neighbor.
pub(crate) fn push_statement(sql: &mut SqlBuilder, entity: &EntityId, request: &NeighborRequest) {
    let entity_param = sql.value(entity.as_str(), "text");
    let ids: Vec<Uuid> = request.ids.iter().map(|id| *id.as_uuid()).collect();
    let ids = sql.value(ids, "uuid[]");
    let reach = sql.value(rows::signed(request.reach as u64), "bigint");
    let max_length = sql.value(rows::signed(request.max_length as u64), "bigint");
    let conditions = Conditions::new(sql, &entity_param, &request.filter).of_few;
    // The terms of the index `idx_memory_context`; the digest preselects.
    let episode = format!(
        "FROM memory m WHERE m.entity_id = {entity_param} AND md5(m.context) = md5(a.context) \
         AND m.context = a.context AND m.context IS NOT NULL{LIVE}{conditions}"
    );
    let side = |comparison: &str, order: &str| {
        format!(
            "ARRAY(SELECT m.memory_id {episode} \
             AND (m.timestamp, m.memory_id) {comparison} (a.timestamp, a.memory_id) \
             ORDER BY m.timestamp{order}, m.memory_id{order} LIMIT {reach})"
        )
    };
    sql.push(format!(
        "WITH asked AS MATERIALIZED (SELECT m.memory_id, m.context, m.timestamp \
           FROM (SELECT m.* FROM memory m WHERE m.entity_id = {entity_param} \
             AND m.memory_id = ANY ({ids}) OFFSET 0) m \
           WHERE m.context IS NOT NULL{LIVE}{conditions}), \
         parts AS MATERIALIZED (SELECT a.memory_id AS asked, {} AS before, {} AS after, \
           (SELECT count(*) FROM (SELECT 1 {episode} LIMIT {max_length}) c) AS length \
           FROM asked a), \
         wanted AS MATERIALIZED (\
           SELECT DISTINCT n.memory_id FROM parts p, unnest(p.before || p.after) AS n(memory_id)), ",
        side("<", " DESC"),
        side(">", ""),
    ));
    match &request.dense {
        Some(query) => dense::push_retriever_of(sql, &entity_param, query, "wanted"),
        None => dense::push_nothing(sql),
    }
    // No join on `false`: a distributed server reads no rows of its tables.
    sql.push(format!(
        " SELECT g.generation, x.asked, x.before, x.after, x.length, {}, d.similarity, d.chunks \
         FROM {} LEFT JOIN (\
           SELECT p.asked, p.before, p.after, p.length, NULL::uuid AS wanted FROM parts p \
           UNION ALL SELECT NULL, NULL, NULL, NULL, w.memory_id FROM wanted w) x ON true \
         LEFT JOIN LATERAL ({}) m ON true LEFT JOIN dense d ON d.memory_id = x.wanted",
        MemoryRow::COLUMNS_BY_ID,
        rows::generation_of(&entity_param),
        MemoryRow::by_id(&entity_param, "x.wanted"),
    ));
}

fn decode(rows: &[PgRow], entity: &EntityId) -> Result<NeighborOutcome, sqlx::Error> {
    let mut found = NeighborOutcome::default();
    for row in rows {
        found.generation = rows::generation(row)?;
        if let Some(memory) = MemoryRow(row).memory(entity)? {
            let chunks: Option<i32> = row.try_get("chunks")?;
            found.hits.push(
                SearchHit::new(memory)
                    .similarity(row.try_get("similarity")?)
                    .chunks(chunks.map(i32::cast_unsigned)),
            );
        } else if let Some(asked) = row.try_get::<Option<Uuid>, _>("asked")? {
            let ids = |column| -> Result<Vec<MemoryId>, sqlx::Error> {
                let ids: Vec<Uuid> = row.try_get(column)?;
                Ok(ids.into_iter().map(MemoryId::from).collect())
            };
            found.episodes.push(EpisodePart {
                before: ids("before")?,
                memory: MemoryId::from(asked),
                after: ids("after")?,
                length: rows::unsigned("length", row.try_get("length")?)?,
            });
        }
    }
    Ok(found)
}
