//! [`Store::search`](memory_core::Store::search): both retrievers in one
//! statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::{
    EntityId, Language, MemoryResult, ScoreStats, SearchHit, SearchOutcome, SearchRequest,
    TermStats,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use crate::database::Database;
use crate::filter::{LIVE, conditions};
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
    push_statement(&mut sql, entity, request, database.options.language);
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
            found.matching = u64::try_from(row.try_get::<i64, _>("matching")?).ok();
            found.terms = Some(term_stats(row)?);
        }
    }
    for row in rows {
        let Some(memory) = MemoryRow(row).memory(entity)? else {
            continue;
        };
        let chunks: Option<i32> = row.try_get("chunks")?;
        let hit = SearchHit::new(memory)
            .similarity(row.try_get("similarity")?)
            .chunks(chunks.map(i32::cast_unsigned))
            .lexical(row.try_get("score")?);
        if row.try_get("is_sampled")? {
            found.sample.push(hit.clone());
        }
        if row.try_get("is_candidate")? {
            found.candidates.push(hit);
        }
    }
    Ok(found)
}

fn term_stats(row: &PgRow) -> Result<TermStats, sqlx::Error> {
    let memories = rows::unsigned("memories", row.try_get("memories")?)?;
    let counts: Option<Json<BTreeMap<String, u64>>> = row.try_get("lexeme_holders")?;
    let counts = counts.map_or_else(BTreeMap::new, |Json(counts)| counts);
    Ok(TermStats::new(
        memories,
        row.try_get("mean_length")?,
        counts,
    ))
}

/// The statement of an exact search: each retriever scores all memories that match
/// the filter, the top k of each are selected with the scores of both, and only
/// those are read.
pub(crate) fn push_statement(
    sql: &mut SqlBuilder,
    entity: &EntityId,
    request: &SearchRequest,
    language: Option<Language>,
) {
    let entity_param = sql.value(entity.as_str(), "text");
    let conditions = conditions(sql, &entity_param, &request.filter);
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
            sql.push(top_k("value"));
        }
        (None, Some(text)) => {
            lexical::push_retriever(sql, &entity_param, text, language, &conditions);
            sql.push(
                ", retrievers AS (SELECT memory_id, NULL::real AS similarity, \
                 NULL::integer AS chunks, NULL::real AS value, score FROM lexical), found AS ",
            );
            sql.push(top_k("score"));
        }
        (Some(query), Some(text)) => {
            dense::push_retriever(sql, &entity_param, query, &conditions);
            sql.push(", ");
            lexical::push_retriever(sql, &entity_param, text, language, &conditions);
            // A full join takes one pass over both, whatever the planner expects.
            sql.push(
                ", retrievers AS MATERIALIZED (SELECT memory_id, similarity, chunks, value, score \
                 FROM dense FULL JOIN lexical USING (memory_id)), found AS (",
            );
            sql.push(top_k("value") + " UNION " + &top_k("score") + ")");
        }
        (None, None) => {
            sql.push(format!(
                "retrievers AS (SELECT NULL::uuid AS memory_id, NULL::real AS similarity, \
                 NULL::integer AS chunks, NULL::real AS value, NULL::real AS score \
                 LIMIT least({limit}, 0)), found AS (SELECT * FROM retrievers)"
            ));
        }
    }
    push_hits(sql, &entity_param, &conditions, request.sample);
    let (score_stats, columns) = score_stats_joins(&entity_param, request, &conditions);
    sql.push(format!(
        " SELECT g.generation, {}, f.similarity, f.chunks, f.score, f.is_candidate, f.is_sampled{columns} \
         FROM {}{score_stats} LEFT JOIN (hits f \
         JOIN ({}) ON m.entity_id = {entity_param} AND m.memory_id = f.memory_id) ON true",
        MemoryRow::columns(&entity_param),
        rows::generation_of(&entity_param),
        MemoryRow::tables(&entity_param),
    ));
}

/// Adds the table expression `hits`: what was found, and a sample of all that
/// match, by a hash of the id.
fn push_hits(sql: &mut SqlBuilder, entity_param: &str, conditions: &str, sample: usize) {
    if sample == 0 {
        sql.push(", hits AS (SELECT *, true AS is_candidate, false AS is_sampled FROM found)");
        return;
    }
    let size = sql.value(rows::signed(sample as u64), "bigint");
    sql.push(format!(
        ", sampled AS MATERIALIZED (SELECT m.memory_id FROM memory m \
           WHERE m.entity_id = {entity_param}{LIVE}{conditions} \
           ORDER BY uuid_hash(m.memory_id), m.memory_id LIMIT {size}), \
         hits AS (SELECT f.*, true AS is_candidate, s.memory_id IS NOT NULL AS is_sampled \
           FROM found f LEFT JOIN sampled s ON s.memory_id = f.memory_id \
           UNION ALL SELECT s.memory_id, r.similarity, r.chunks, r.value, r.score, false, true \
           FROM sampled s LEFT JOIN retrievers r ON r.memory_id = s.memory_id \
           WHERE NOT EXISTS (SELECT FROM found f WHERE f.memory_id = s.memory_id))"
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
