//! [`Store::search`](memory_core::Store::search): both retrievers in one statement.

use std::sync::Arc;

use memory_core::{EntityId, MemoryResult, ScoreStats, SearchHit, SearchOutcome, SearchRequest};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::database::Database;
use crate::filter::conditions;
use crate::read::read;
use crate::row;
use crate::sql::Sql;
use crate::{dense, lexical, near};

pub(crate) const OPERATION: &str = "search";

pub(crate) async fn search(
    database: &Arc<Database>,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<SearchOutcome> {
    database.open(OPERATION)?;
    request.validate()?;
    if let Some(found) = near::search(database, entity, request).await? {
        return Ok(found);
    }
    let mut sql = Sql::new();
    push_statement(&mut sql, entity, request);
    let (dense, lexical) = (request.dense.is_some(), request.lexical.is_some());
    read(database, OPERATION, entity, sql, |rows| {
        candidates(rows, entity, dense, lexical)
    })
    .await
}

/// What was found, with the summaries of those retrievers that have one in the rows.
pub(crate) fn candidates(
    rows: &[PgRow],
    entity: &EntityId,
    dense: bool,
    lexical: bool,
) -> Result<SearchOutcome, sqlx::Error> {
    let mut found = SearchOutcome::default();
    if let Some(row) = rows.first() {
        found.generation = row::generation(row)?;
        if dense {
            found.dense = Some(summary(row, "dense_mean", "dense_deviation")?);
        }
        if lexical {
            found.lexical = Some(summary(row, "lexical_mean", "lexical_deviation")?);
        }
    }
    for row in rows {
        if let Some(memory) = row::memory(row, entity)? {
            found.candidates.push(SearchHit {
                memory,
                similarity: row.try_get("similarity")?,
                lexical: row.try_get("score")?,
            });
        }
    }
    Ok(found)
}

/// Each retriever values all that is admitted; the best of each are found, with the
/// values of both; what is found is read.
pub(crate) fn push_statement(sql: &mut Sql, entity: &EntityId, request: &SearchRequest) {
    let of = sql.value(entity.as_str(), "text");
    let conditions = conditions(sql, &request.filter);
    let limit = sql.value(row::signed(request.limit as u64), "bigint");
    let best = |value: &str| {
        format!(
            "(SELECT * FROM retrievers WHERE {value} IS NOT NULL \
             ORDER BY {value} DESC, memory_id LIMIT {limit})"
        )
    };
    sql.push("WITH ");
    match (&request.dense, &request.lexical) {
        (Some(query), None) => {
            dense::push_arm(sql, &of, query, &conditions);
            sql.push(", retrievers AS (SELECT *, NULL::real AS score FROM dense), found AS ");
            sql.push(best("similarity"));
        }
        (None, Some(text)) => {
            lexical::push_arm(sql, &of, text, &conditions);
            sql.push(
                ", retrievers AS (SELECT *, NULL::real AS similarity FROM lexical), found AS ",
            );
            sql.push(best("score"));
        }
        (Some(query), Some(text)) => {
            dense::push_arm(sql, &of, query, &conditions);
            sql.push(", ");
            lexical::push_arm(sql, &of, text, &conditions);
            // A full join is one pass over both, whatever the planner expects.
            sql.push(
                ", retrievers AS MATERIALIZED (SELECT memory_id, similarity, score \
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
    let (summaries, columns) = summaries(&of, request, &conditions);
    sql.push(format!(
        " SELECT g.generation, {}, f.similarity, f.score{columns} FROM {}{summaries} \
         LEFT JOIN (found f \
         JOIN ({}) ON m.entity_id = {of} AND m.memory_id = f.memory_id) ON true",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
}

/// Where the summaries of the retrievers come from, and what they are called.
fn summaries(of: &str, request: &SearchRequest, conditions: &str) -> (String, &'static str) {
    let dense = request.dense.as_ref().map(|_| dense::summary());
    let lexical = request.lexical.as_ref();
    let lexical = lexical.map(|_| lexical::summary(of, conditions));
    let columns = match (&dense, &lexical) {
        (Some(_), Some(_)) => ", ds.*, ls.*",
        (Some(_), None) => ", ds.*",
        (None, Some(_)) => ", ls.*",
        (None, None) => "",
    };
    (
        dense.unwrap_or_default() + &lexical.unwrap_or_default(),
        columns,
    )
}

/// What a retriever's values are like, of a row with the columns so named.
fn summary(row: &PgRow, mean: &str, deviation: &str) -> Result<ScoreStats, sqlx::Error> {
    Ok(ScoreStats {
        mean: row.try_get(mean)?,
        deviation: row.try_get(deviation)?,
    })
}
