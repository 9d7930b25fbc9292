//! [`Store::search`](memory_core::Store::search): both retrievers in one
//! statement, and candidates by pairs of words ([`pairs`]) in two more.

pub(crate) mod dense;
pub(crate) mod filter;
pub(crate) mod lexical;
pub(crate) mod pairs;
#[cfg(test)]
pub(crate) mod query_plan_tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::{
    EntityId, MemoryResult, ScoreStats, SearchHit, SearchOutcome, SearchRequest, TermStats,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use crate::ann::ann_search;
use crate::connections::database::Database;
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, MemoryRow};
use crate::search::filter::Conditions;
use crate::search::lexical::LexicalQuery;
use crate::search::pairs::PairRecords;

pub(crate) const OPERATION: &str = "search";

/// What the statement of a search found.
#[derive(Default)]
pub(crate) struct StatementOutcome {
    pub(crate) outcome: SearchOutcome,
    /// Of memories that may contain pairs, see [`pairs`].
    pub(crate) with_pair_words: PairRecords,
}

pub(crate) async fn search(
    database: &Arc<Database>,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<SearchOutcome> {
    database.check_open(OPERATION)?;
    request.validate()?;
    let words = match &request.lexical {
        Some(text) => {
            let language = database.options.language;
            Some(LexicalQuery::analyze(OPERATION, text, language).await?)
        }
        None => None,
    };
    let found = match ann_search::search(database, entity, request, words.as_ref()).await? {
        Some(found) => found,
        None => search_exactly(database, entity, request, words.as_ref()).await?,
    };
    match words {
        Some(words) => pairs::add_candidates(database, entity, request, words, found).await,
        None => Ok(found.outcome),
    }
}

async fn search_exactly(
    database: &Database,
    entity: &EntityId,
    request: &SearchRequest,
    words: Option<&LexicalQuery>,
) -> MemoryResult<StatementOutcome> {
    let mut sql = SqlBuilder::new();
    push_statement(&mut sql, entity, request, words);
    let (dense, lexical) = (request.dense.is_some(), words.is_some());
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
) -> Result<StatementOutcome, sqlx::Error> {
    let mut found = SearchOutcome::default();
    let mut with_pair_words = PairRecords::default();
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
            with_pair_words = PairRecords::of(row)?;
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
    Ok(StatementOutcome {
        outcome: found,
        with_pair_words,
    })
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
    words: Option<&LexicalQuery>,
) {
    let entity_param = sql.value(entity.as_str(), "text");
    let conditions = Conditions::new(sql, &entity_param, &request.filter);
    sql.push("WITH ");
    match &request.dense {
        Some(query) => dense::push_retriever(sql, &entity_param, query, &conditions),
        None => dense::push_nothing(sql),
    }
    if let Some(words) = words {
        sql.push(", ");
        lexical::push_retriever(sql, &entity_param, words, &conditions);
    }
    push_hits(sql, &conditions, request, words.is_some());
    let (score_stats, columns) = score_stats_joins(&entity_param, request, words, &conditions);
    sql.push(format!(
        " SELECT g.generation, {}, f.similarity, f.chunks, f.score, f.is_candidate, f.is_sampled{columns} \
         FROM {}{score_stats} LEFT JOIN (hits f CROSS JOIN LATERAL ({}) m) ON true",
        MemoryRow::COLUMNS_BY_ID,
        rows::generation_of(&entity_param),
        MemoryRow::by_id(&entity_param, "f.memory_id"),
    ));
}

/// Adds the table expression `hits`: the top k of each retriever, and a sample of all that
/// match, by a hash of the id; with the values of both retrievers.
fn push_hits(
    sql: &mut SqlBuilder,
    conditions: &Conditions,
    request: &SearchRequest,
    lexical: bool,
) {
    let top_k = |sql: &mut SqlBuilder, retriever: &str, value: &str| {
        let limit = sql.value(rows::signed(request.limit as u64), "bigint");
        format!(
            "(SELECT r.memory_id, true AS is_candidate, false AS is_sampled FROM {retriever} r \
             ORDER BY r.{value} DESC, r.memory_id LIMIT {limit})"
        )
    };
    let mut chosen = Vec::new();
    if request.dense.is_some() {
        chosen.push(top_k(sql, "dense", "value"));
    }
    if lexical {
        chosen.push(top_k(sql, "lexical", "score"));
    }
    if request.sample > 0 {
        let size = sql.value(rows::signed(request.sample as u64), "bigint");
        chosen.push(format!(
            "(SELECT m.memory_id, false AS is_candidate, true AS is_sampled {} \
             ORDER BY uuid_hash(m.memory_id), m.memory_id LIMIT {size})",
            conditions.all
        ));
    }
    if chosen.is_empty() {
        sql.push(
            ", hits AS (SELECT NULL::uuid AS memory_id, false AS is_candidate, \
             false AS is_sampled, NULL::real AS similarity, NULL::integer AS chunks, \
             NULL::real AS score LIMIT 0)",
        );
        return;
    }
    let chosen = format!(
        "SELECT c.memory_id, bool_or(c.is_candidate) AS is_candidate, \
           bool_or(c.is_sampled) AS is_sampled FROM ({}) c GROUP BY c.memory_id",
        chosen.join(" UNION ALL ")
    );
    let with_similarities = dense::with_similarities(&chosen);
    let hits = match lexical {
        true => lexical::with_scores(&with_similarities),
        false => format!("SELECT h.*, NULL::real AS score FROM ({with_similarities}) h"),
    };
    sql.push(format!(", hits AS ({hits})"));
}

/// The joins with the score statistics of the retrievers, and their columns.
fn score_stats_joins(
    entity_param: &str,
    request: &SearchRequest,
    words: Option<&LexicalQuery>,
    conditions: &Conditions,
) -> (String, String) {
    let (mut joins, mut columns) = (String::new(), String::new());
    if request.dense.is_some() {
        joins.push_str(&dense::score_stats());
        columns.push_str(", ds.*");
    }
    if let Some(words) = words {
        joins.push_str(&lexical::score_stats(entity_param, conditions));
        columns.push_str(", ls.*");
        columns.push_str(&words.pair_words.column());
    }
    (joins, columns)
}

/// Decodes score statistics from the columns of these names.
fn score_stats(row: &PgRow, mean: &str, deviation: &str) -> Result<ScoreStats, sqlx::Error> {
    Ok(ScoreStats {
        mean: row.try_get(mean)?,
        deviation: row.try_get(deviation)?,
    })
}
