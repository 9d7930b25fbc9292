//! [`Store::search`](memory_core::Store::search): both arms in one statement.

use memory_core::{Candidate, Candidates, EntityId, Generation, MemoryResult, SearchRequest};
use sqlx::Row;

use crate::database::Database;
use crate::filter::push_conditions;
use crate::read::read;
use crate::row;
use crate::sql::Sql;
use crate::{dense, lexical};

const OPERATION: &str = "search";

pub(crate) async fn search(
    database: &Database,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<Candidates> {
    database.open(OPERATION)?;
    request.validate()?;
    let sql = statement(entity, request);
    read(database, OPERATION, sql, |rows| {
        let mut found = Candidates {
            generation: Generation::ZERO,
            candidates: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            found.generation = row::generation(row)?;
            if let Some(memory) = row::memory(row, entity)? {
                found.candidates.push(Candidate {
                    memory,
                    similarity: row.try_get("similarity")?,
                    lexical: row.try_get("score")?,
                });
            }
        }
        Ok(found)
    })
    .await
}

/// Each arm values all that is admitted; the best of each are found; what is
/// found is read with the values of both.
pub(crate) fn statement(entity: &EntityId, request: &SearchRequest) -> Sql {
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    sql.push("WITH ");
    let (mut admits_dense, mut admits_lexical) = ("", "");
    if !request.filter.is_empty() {
        sql.push(format!(
            "admitted AS MATERIALIZED (SELECT m.memory_id FROM memory m WHERE m.entity_id = {of}"
        ));
        push_conditions(&mut sql, &request.filter);
        sql.push("), ");
        admits_dense = " AND v.memory_id IN (SELECT f.memory_id FROM admitted f)";
        admits_lexical = " AND h.memory_id IN (SELECT f.memory_id FROM admitted f)";
    }
    match &request.dense {
        Some(query) => dense::push_arm(&mut sql, &of, query, admits_dense),
        None => drop(
            sql.push("dense AS (SELECT NULL::uuid AS memory_id, NULL::real AS similarity LIMIT 0)"),
        ),
    }
    sql.push(", ");
    match &request.lexical {
        Some(text) => lexical::push_arm(&mut sql, &of, text, admits_lexical),
        None => drop(
            sql.push("lexical AS (SELECT NULL::uuid AS memory_id, NULL::real AS score LIMIT 0)"),
        ),
    }
    let limit = sql.value(row::signed(request.limit as u64), "bigint");
    sql.push(format!(
        ", found AS (\
           (SELECT d.memory_id FROM dense d ORDER BY d.similarity DESC, d.memory_id LIMIT {limit}) \
           UNION \
           (SELECT l.memory_id FROM lexical l ORDER BY l.score DESC, l.memory_id LIMIT {limit})) \
         SELECT g.generation, {}, d.similarity, l.score FROM {} LEFT JOIN (found f \
         JOIN ({}) ON m.entity_id = {of} AND m.memory_id = f.memory_id \
         LEFT JOIN dense d ON d.memory_id = f.memory_id \
         LEFT JOIN lexical l ON l.memory_id = f.memory_id) ON true",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
    sql
}
