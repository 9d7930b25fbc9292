//! [`Store::search`](memory_core::Store::search): both arms in one statement.

use memory_core::{Candidate, Candidates, EntityId, Generation, MemoryResult, SearchRequest};
use sqlx::Row;

use crate::database::Database;
use crate::filter::conditions;
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
    let mut sql = Sql::new();
    push_statement(&mut sql, entity, request);
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

/// Each arm values all that is admitted; the best of each are found, with the
/// values of both; what is found is read.
pub(crate) fn push_statement(sql: &mut Sql, entity: &EntityId, request: &SearchRequest) {
    let of = sql.value(entity.as_str(), "text");
    let conditions = conditions(sql, &request.filter);
    let limit = sql.value(row::signed(request.limit as u64), "bigint");
    let best = |value: &str| {
        format!(
            "(SELECT * FROM arms WHERE {value} IS NOT NULL \
             ORDER BY {value} DESC, memory_id LIMIT {limit})"
        )
    };
    sql.push("WITH ");
    match (&request.dense, &request.lexical) {
        (Some(query), None) => {
            dense::push_arm(sql, &of, query, &conditions);
            sql.push(", arms AS (SELECT *, NULL::real AS score FROM dense), found AS ");
            sql.push(best("similarity"));
        }
        (None, Some(text)) => {
            lexical::push_arm(sql, &of, text, &conditions);
            sql.push(", arms AS (SELECT *, NULL::real AS similarity FROM lexical), found AS ");
            sql.push(best("score"));
        }
        (Some(query), Some(text)) => {
            dense::push_arm(sql, &of, query, &conditions);
            sql.push(", ");
            lexical::push_arm(sql, &of, text, &conditions);
            // A full join is one pass over both, whatever the planner expects.
            sql.push(
                ", arms AS MATERIALIZED (SELECT memory_id, similarity, score \
                 FROM dense FULL JOIN lexical USING (memory_id)), found AS (",
            );
            sql.push(best("similarity") + " UNION " + &best("score") + ")");
        }
        (None, None) => {
            sql.push(format!(
                "found AS (SELECT NULL::uuid AS memory_id, NULL::real AS similarity, \
                 NULL::real AS score LIMIT least({limit}, 0))"
            ));
        }
    }
    sql.push(format!(
        " SELECT g.generation, {}, f.similarity, f.score FROM {} LEFT JOIN (found f \
         JOIN ({}) ON m.entity_id = {of} AND m.memory_id = f.memory_id) ON true",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
}
