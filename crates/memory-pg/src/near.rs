//! Search of a very large entity: the dense retriever by its approximate index.

use std::sync::Arc;

use memory_core::{DenseQuery, EntityId, MemoryResult, SearchOutcome, SearchRequest};
use pgvector::Vector;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::approximate::predicate;
use crate::database::Database;
use crate::error::Failure;
use crate::filter::{LIVE, conditions};
use crate::read::end;
use crate::row;
use crate::search::{OPERATION, candidates};
use crate::sql::Sql;
use crate::{lexical, vectors};

/// So many times as many vectors are looked at as memories are asked for: some
/// have several, and an index that goes on scanning gives them a little out of
/// order.
const MARGIN: usize = 2;

/// Searches by an index, where the entity has one. `None` where it has not, or
/// where fewer were found than asked for: then only all vectors together tell.
pub(crate) async fn search(
    database: &Arc<Database>,
    entity: &EntityId,
    request: &SearchRequest,
) -> MemoryResult<Option<SearchOutcome>> {
    let Some(query) = &request.dense else {
        return Ok(None);
    };
    if database.options.approximate.method().is_none() {
        return Ok(None);
    }
    refresh(database);
    let dimensions = query.vector.len() as u64;
    let known = database.catalog.find(entity, &query.fingerprint);
    if known != Some(dimensions) || vectors::halved(&query.vector).is_err() {
        return Ok(None);
    }
    let mut sql = Sql::new();
    push_statement(&mut sql, entity, request, query);
    let rows = rows(database, sql, request.limit).await;
    let rows = rows.map_err(|failure| failure.told(OPERATION))?;
    let found = found(&rows, entity, request);
    found.map_err(|error| Failure::from(error).told(OPERATION))
}

/// Reads the catalog in the background, now and then.
fn refresh(database: &Arc<Database>) {
    if !database.catalog.is_due() {
        return;
    }
    let database = Arc::clone(database);
    tokio::spawn(async move {
        // Where it fails, what was known stays; exact search needs none of it.
        if let Ok(mut link) = database.link().await
            && database.catalog.read(&mut link).await.is_ok()
        {
            link.release();
        }
    });
}

async fn rows(database: &Database, sql: Sql, limit: usize) -> Result<Vec<PgRow>, Failure> {
    let query = sql.query()?;
    let mut link = database.link().await?;
    link.script(&begin(database, limit)).await?;
    let rows = link.rows(query).await;
    match &rows {
        Err(failure) if !failure.is_refusal() => drop(link),
        _ => end(link, true).await,
    }
    rows
}

/// Settings of the search end with its transaction.
pub(crate) fn begin(database: &Database, limit: usize) -> String {
    let settings = database.options.approximate.settings(limit * MARGIN);
    let begin = &database.manners.begin_reading;
    format!("{begin}; {settings}")
}

fn found(
    rows: &[PgRow],
    entity: &EntityId,
    request: &SearchRequest,
) -> Result<Option<SearchOutcome>, sqlx::Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let near = row::unsigned("near", first.try_get("near")?)?;
    if near < request.limit as u64 {
        return Ok(None);
    }
    candidates(rows, entity, false, request.lexical.is_some()).map(Some)
}

/// Both retrievers in one statement, as the exact search; what is found is then
/// compared exactly.
pub(crate) fn push_statement(
    sql: &mut Sql,
    entity: &EntityId,
    request: &SearchRequest,
    query: &DenseQuery,
) {
    let of = sql.value(entity.as_str(), "text");
    let model = sql.value(query.fingerprint.as_str(), "text");
    let vector = sql.value(Vector::from(query.vector.clone()), "vector");
    let conditions = conditions(sql, &request.filter);
    let limit = sql.value(row::signed(request.limit as u64), "bigint");
    let scanned = sql.value(row::signed((request.limit * MARGIN) as u64), "bigint");
    let dimensions = query.vector.len() as u64;
    // A join would be turned round, and the whole index read, where the planner
    // takes the entity for small; `OFFSET` keeps this to one look a vector.
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(
            " AND EXISTS (SELECT FROM memory m WHERE m.entity_id = {of} \
             AND m.memory_id = v.memory_id{LIVE}{conditions} OFFSET 0)"
        )
    };
    let distance = format!("(v.half::halfvec({dimensions})) <=> ({vector})::halfvec({dimensions})");
    sql.push(format!(
        "WITH near AS MATERIALIZED (SELECT c.memory_id FROM (\
           SELECT v.memory_id, {distance} AS distance FROM memory_embedding v \
           WHERE {}{filter} ORDER BY {distance} LIMIT {scanned}) c \
           GROUP BY c.memory_id ORDER BY min(c.distance), c.memory_id LIMIT {limit}), ",
        predicate(
            entity.as_str(),
            query.fingerprint.as_str(),
            dimensions,
            "v."
        ),
    ));
    let (mut score, mut words, mut summary) = ("NULL::real", "", String::new());
    if let Some(text) = &request.lexical {
        lexical::push_arm(sql, &of, text, &conditions);
        sql.push(format!(
            ", found AS (SELECT memory_id FROM near UNION (SELECT memory_id FROM lexical \
             ORDER BY score DESC, memory_id LIMIT {limit}))"
        ));
        score = "l.score";
        words = " LEFT JOIN lexical l ON l.memory_id = f.memory_id";
        summary = lexical::summary(&of, &conditions);
    } else {
        sql.push("found AS (SELECT memory_id FROM near)");
    }
    let called = if summary.is_empty() { "" } else { ", ls.*" };
    // Vectors of single precision are in no index: with one of them, what was
    // found may not be the nearest.
    sql.push(format!(
        " SELECT g.generation, n.near, {}, s.similarity, {score} AS score{called} \
         FROM {} CROSS JOIN (SELECT CASE WHEN EXISTS (SELECT FROM memory_embedding v \
           WHERE v.entity_id = {of} AND v.model = {model} AND v.single IS NOT NULL \
           AND NOT v.archived) THEN 0 ELSE count(*) END AS near FROM near) n{summary} \
         LEFT JOIN (found f JOIN ({}) ON m.entity_id = {of} AND m.memory_id = f.memory_id{words} \
         LEFT JOIN LATERAL (SELECT (1 - min(v.half <=> {vector}::halfvec))::real AS similarity \
           FROM memory_embedding v WHERE v.entity_id = {of} AND v.memory_id = f.memory_id \
           AND v.model = {model} AND vector_dims(v.half) = {dimensions}) s ON true) ON true",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
}
