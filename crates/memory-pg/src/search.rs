//! [`Store::search`](memory_core::Store::search): both retrievers in one
//! statement.

use std::sync::Arc;

use memory_core::{EntityId, MemoryResult, ScoreStats, SearchHit, SearchOutcome, SearchRequest};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::database::Database;
use crate::filter::conditions;
use crate::rows::{self, MemoryRow};
use crate::sql::SqlBuilder;
use crate::{ann_search, dense, lexical};

pub(crate) const OPERATION: &str = "search";

pub(crate) async fn search(
    database: &Arc<Database>,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<SearchOutcome> {
    database.check_open(OPERATION)?;
    request.validate()?;
    if let Some(found) = ann_search::search(database, entity, request).await? {
        return Ok(found);
    }
    let mut sql = SqlBuilder::new();
    push_statement(&mut sql, entity, request);
    let (dense, lexical) = (request.dense.is_some(), request.lexical.is_some());
    let owner = entity.clone();
    let decode = move |rows: &[PgRow]| decode_hits(rows, &owner, dense, lexical);
    database.read(OPERATION, entity, sql, decode).await
}

/// Decodes the hits, with the score statistics of those retrievers whose columns
/// are in the rows.
pub(crate) fn decode_hits(
    rows: &[PgRow],
    entity: &EntityId,
    dense: bool,
    lexical: bool,
) -> Result<SearchOutcome, sqlx::Error> {
    let mut found = SearchOutcome::default();
    if let Some(row) = rows.first() {
        found.generation = rows::generation(row)?;
        if dense {
            found.dense = Some(score_stats(row, "dense_mean", "dense_deviation")?);
            found.compared = u64::try_from(row.try_get::<i64, _>("dense_count")?).ok();
        }
        if lexical {
            found.lexical = Some(score_stats(row, "lexical_mean", "lexical_deviation")?);
        }
    }
    for row in rows {
        if let Some(memory) = MemoryRow(row).memory(entity)? {
            found.candidates.push(
                SearchHit::new(memory)
                    .similarity(row.try_get("similarity")?)
                    .lexical(row.try_get("score")?),
            );
        }
    }
    Ok(found)
}

/// The statement of an exact search: each retriever scores all memories that match
/// the filter, the top k of each are selected with the scores of both, and only
/// those are read.
pub(crate) fn push_statement(sql: &mut SqlBuilder, entity: &EntityId, request: &SearchRequest) {
    let entity_param = sql.value(entity.as_str(), "text");
    let conditions = conditions(sql, &request.filter);
    let limit = sql.value(rows::signed(request.limit as u64), "bigint");
    let top_k = |value: &str| {
        format!(
            "(SELECT * FROM retrievers WHERE {value} IS NOT NULL \
             ORDER BY {value} DESC, memory_id LIMIT {limit})"
        )
    };
    sql.push("WITH ");
    match (&request.dense, &request.lexical) {
        (Some(query), None) => {
            dense::push_retriever(sql, &entity_param, query, &conditions);
            sql.push(", retrievers AS (SELECT *, NULL::real AS score FROM dense), found AS ");
            sql.push(top_k("similarity"));
        }
        (None, Some(text)) => {
            lexical::push_retriever(sql, &entity_param, text, &conditions);
            sql.push(
                ", retrievers AS (SELECT *, NULL::real AS similarity FROM lexical), found AS ",
            );
            sql.push(top_k("score"));
        }
        (Some(query), Some(text)) => {
            dense::push_retriever(sql, &entity_param, query, &conditions);
            sql.push(", ");
            lexical::push_retriever(sql, &entity_param, text, &conditions);
            // A full join takes one pass over both, whatever the planner expects.
            sql.push(
                ", retrievers AS MATERIALIZED (SELECT memory_id, similarity, score \
                 FROM dense FULL JOIN lexical USING (memory_id)), found AS (",
            );
            sql.push(top_k("similarity") + " UNION " + &top_k("score") + ")");
        }
        (None, None) => {
            sql.push(format!(
                "found AS (SELECT NULL::uuid AS memory_id, NULL::real AS similarity, \
                 NULL::real AS score LIMIT least({limit}, 0))"
            ));
        }
    }
    let (score_stats, columns) = score_stats_joins(&entity_param, request, &conditions);
    sql.push(format!(
        " SELECT g.generation, {}, f.similarity, f.score{columns} FROM {}{score_stats} \
         LEFT JOIN (found f \
         JOIN ({}) ON m.entity_id = {entity_param} AND m.memory_id = f.memory_id) ON true",
        MemoryRow::COLUMNS,
        rows::generation_of(&entity_param),
        MemoryRow::TABLES,
    ));
}

/// The joins with the score statistics of the retrievers, and their columns.
fn score_stats_joins(
    entity_param: &str,
    request: &SearchRequest,
    conditions: &str,
) -> (String, &'static str) {
    let dense = request.dense.as_ref().map(|_| dense::score_stats());
    let lexical = request.lexical.as_ref();
    let lexical = lexical.map(|_| lexical::score_stats(entity_param, conditions));
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

/// Decodes score statistics from the columns of these names.
fn score_stats(row: &PgRow, mean: &str, deviation: &str) -> Result<ScoreStats, sqlx::Error> {
    Ok(ScoreStats {
        mean: row.try_get(mean)?,
        deviation: row.try_get(deviation)?,
    })
}
