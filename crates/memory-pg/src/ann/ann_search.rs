//! Search in a very large entity: the dense retriever uses its ANN index.

use std::sync::Arc;

use memory_core::{DenseQuery, EntityId, IndexMethod, MemoryResult, SearchRequest};
use pgvector::Vector;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::ann::ann_index::{AnnIndex, predicate, search_settings};
use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::rows::sql::SqlBuilder;
use crate::rows::vectors;
use crate::rows::{self, MemoryRow};
use crate::search::filter::{Conditions, LIVE};
use crate::search::lexical::{self, LexicalQuery};
use crate::search::{OPERATION, StatementOutcome, decode_hits};

/// How many vectors are requested from the index for each memory: some memories
/// have several, and iterative scans return them slightly out of order.
pub(crate) const OVERSAMPLING: usize = 2;

/// Searches by the entity's ANN index. `None` if there is none, or if it found
/// fewer memories than requested: then the caller has to search exactly.
pub(crate) async fn search(
    database: &Arc<Database>,
    entity: &EntityId,
    request: &SearchRequest,
    words: Option<&LexicalQuery>,
) -> MemoryResult<Option<StatementOutcome>> {
    let Some(query) = &request.dense else {
        return Ok(None);
    };
    let options = database.options.ann_index;
    if options == AnnIndex::None {
        return Ok(None);
    }
    reload_catalog_if_due(database);
    let dimensions = query.vector.len() as u64;
    let entry = database.index_catalog.get(entity, &query.fingerprint);
    let entry = entry.filter(|entry| entry.dimensions == dimensions);
    let Some((method, width)) = entry
        .and_then(|entry| Some((entry.method, entry.search_width(options)?)))
        .filter(|_| vectors::to_half(&query.vector).is_ok())
    else {
        return Ok(None);
    };
    let mut sql = SqlBuilder::new();
    push_statement(&mut sql, method, entity, request, query, words);
    let settings = search_settings(method, width, request.limit * OVERSAMPLING);
    let entities = [entity];
    let target = ReadTarget {
        settings: &settings,
        ..ReadTarget::new(Scope::Entities(&entities))
    };
    let (owner, limit, lexical) = (entity.clone(), request.limit, words.is_some());
    let decode = move |rows: &[PgRow]| decode(rows, &owner, limit, lexical);
    database.read_target(OPERATION, target, sql, decode).await
}

/// Reloads the catalog in the background when it is out of date.
fn reload_catalog_if_due(database: &Arc<Database>) {
    if !database.index_catalog.start_reload_if_due() {
        return;
    }
    let database = Arc::clone(database);
    tokio::spawn(async move {
        // On failure the old catalog stays; exact search does not need it.
        if let Ok(mut connection) = database.acquire().await
            && database.index_catalog.load(&mut connection).await.is_ok()
        {
            connection.release();
        }
    });
}

fn decode(
    rows: &[PgRow],
    entity: &EntityId,
    limit: usize,
    lexical: bool,
) -> Result<Option<StatementOutcome>, sqlx::Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let nearest = rows::unsigned("nearest_count", first.try_get("nearest_count")?)?;
    if nearest < limit as u64 {
        return Ok(None);
    }
    decode_hits(rows, entity, false, lexical).map(Some)
}

/// Both retrievers in one statement, as in the exact search. The similarity of
/// what the index finds is computed exactly.
pub(crate) fn push_statement(
    sql: &mut SqlBuilder,
    method: IndexMethod,
    entity: &EntityId,
    request: &SearchRequest,
    query: &DenseQuery,
    words: Option<&LexicalQuery>,
) {
    let entity_param = sql.value(entity.as_str(), "text");
    let model = sql.value(query.fingerprint.as_str(), "text");
    let vector = sql.value(Vector::from(query.vector.clone()), "vector");
    let conditions = Conditions::new(sql, &entity_param, &request.filter);
    let limit = sql.value(rows::signed(request.limit as u64), "bigint");
    let scanned = sql.value(
        rows::signed((request.limit * OVERSAMPLING) as u64),
        "bigint",
    );
    let dimensions = query.vector.len() as u64;
    // The planner would reorder a join and read the whole index where it expects
    // the entity to be small; `OFFSET` keeps this to one lookup per vector.
    let filter = if conditions.are_empty() {
        String::new()
    } else {
        format!(
            " AND EXISTS (SELECT FROM memory m WHERE m.entity_id = {entity_param} \
             AND m.memory_id = v.memory_id{LIVE}{} OFFSET 0)",
            conditions.of_few
        )
    };
    let distance = format!("(v.half::halfvec({dimensions})) <=> ({vector})::halfvec({dimensions})");
    sql.push(format!(
        "WITH nearest AS MATERIALIZED (SELECT c.memory_id FROM (\
           SELECT v.memory_id, {distance} AS distance FROM memory_embedding v \
           WHERE {}{filter} ORDER BY {distance} LIMIT {scanned}) c \
           GROUP BY c.memory_id ORDER BY min(c.distance), c.memory_id LIMIT {limit})",
        predicate(
            method,
            entity.as_str(),
            query.fingerprint.as_str(),
            dimensions,
            "v."
        ),
    ));
    let (mut score_stats, mut columns) = (String::new(), String::new());
    if let Some(words) = words {
        sql.push(", ");
        lexical::push_retriever(sql, &entity_param, words, &conditions);
        let found = format!(
            "SELECT n.memory_id FROM nearest n UNION (SELECT l.memory_id FROM lexical l \
             ORDER BY l.score DESC, l.memory_id LIMIT {limit})"
        );
        sql.push(format!(", found AS ({})", lexical::with_scores(&found)));
        score_stats = lexical::score_stats(&entity_param, &conditions);
        columns = format!(", ls.*{}", words.pair_words.column());
    } else {
        sql.push(", found AS (SELECT n.memory_id, NULL::real AS score FROM nearest n)");
    }
    // Vectors in single precision are in no index: if the entity has one, the
    // nearest may be missing, so nothing counts as found.
    sql.push(format!(
        " SELECT g.generation, n.nearest_count, {}, s.similarity, s.chunks, f.score, \
           true AS is_candidate, false AS is_sampled{columns} \
         FROM {} CROSS JOIN (SELECT CASE WHEN EXISTS (SELECT FROM memory_embedding v \
           WHERE v.entity_id = {entity_param} AND v.model = {model} AND v.single IS NOT NULL \
           AND NOT v.archived) THEN 0 ELSE count(*) END AS nearest_count FROM nearest) n{score_stats} \
         LEFT JOIN (found f CROSS JOIN LATERAL ({}) m \
         LEFT JOIN LATERAL (SELECT (1 - min(v.half <=> {vector}::halfvec))::real AS similarity, \
           nullif(count(*), 0)::integer AS chunks \
           FROM memory_embedding v WHERE v.entity_id = {entity_param} AND v.memory_id = f.memory_id \
           AND v.model = {model} AND vector_dims(v.half) = {dimensions}) s ON true) ON true",
        MemoryRow::COLUMNS_BY_ID,
        rows::generation_of(&entity_param),
        MemoryRow::by_id(&entity_param, "f.memory_id"),
    ));
}
