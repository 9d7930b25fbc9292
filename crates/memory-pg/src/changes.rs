//! [`Store::changes_since`](memory_core::Store::changes_since).

use memory_core::{
    ChangeSet, EmbeddedMemory, Embedding, EntityId, Fingerprint, Generation, MemoryId, MemoryResult,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::database::Database;
use crate::read::read;
use crate::row;
use crate::sql::Sql;
use crate::vectors;

const OPERATION: &str = "changes_since";

pub(crate) async fn changes_since(
    database: &Database,
    entity: &EntityId,
    since: Generation,
    fingerprint: &Fingerprint,
) -> MemoryResult<ChangeSet> {
    database.open(OPERATION)?;
    let sql = statement(entity, since, fingerprint);
    read(database, OPERATION, entity, sql, |rows| {
        let mut changes = ChangeSet::default();
        if let Some(first) = rows.first() {
            changes.generation = row::generation(first)?;
            changes.reset = first.try_get("reset")?;
            changes.removed = removed(first)?;
        }
        for row in rows {
            changes.written.extend(written(row, entity, fingerprint)?);
        }
        Ok(changes)
    })
    .await
}

/// The first row bears the removals as well.
fn statement(entity: &EntityId, since: Generation, fingerprint: &Fingerprint) -> Sql {
    let mut sql = Sql::new();
    let of = sql.value(entity.as_str(), "text");
    let since = sql.value(row::signed(since.0), "bigint");
    let model = sql.value(fingerprint.as_str(), "text");
    sql.push(format!(
        "SELECT s.generation, s.reset, CASE WHEN row_number() OVER () = 1 THEN \
         (SELECT array_agg(t.memory_id) FROM (\
            SELECT memory_id FROM memory_tombstone \
            WHERE entity_id = {of} AND version > s.since \
            UNION ALL SELECT memory_id FROM memory \
            WHERE entity_id = {of} AND version > s.since AND archived_by IS NOT NULL) t) \
         END AS removed, \
         {}, v.halves, v.singles \
         FROM (SELECT g.generation, {since} > g.generation AS reset, \
               CASE WHEN {since} > g.generation THEN 0 ELSE {since} END AS since FROM {}) s \
         LEFT JOIN ({}) ON m.entity_id = {of} AND m.version > s.since \
         AND m.archived_by IS NULL \
         LEFT JOIN LATERAL (SELECT array_agg(w.half ORDER BY w.chunk) AS halves, \
                array_agg(w.single ORDER BY w.chunk) AS singles FROM memory_embedding w \
                WHERE w.entity_id = {of} AND w.memory_id = m.memory_id AND w.model = {model}) v \
         ON true",
        row::COLUMNS,
        row::generation_of(&of),
        row::TABLES,
    ));
    sql
}

fn written(
    row: &PgRow,
    entity: &EntityId,
    fingerprint: &Fingerprint,
) -> Result<Option<EmbeddedMemory>, sqlx::Error> {
    let Some(memory) = row::memory(row, entity)? else {
        return Ok(None);
    };
    Ok(Some(EmbeddedMemory {
        memory,
        embedding: Embedding {
            fingerprint: fingerprint.clone(),
            vectors: vectors::read(row)?,
        },
    }))
}

fn removed(row: &PgRow) -> Result<Vec<MemoryId>, sqlx::Error> {
    let ids: Option<Vec<Uuid>> = row.try_get("removed")?;
    Ok(ids.into_iter().flatten().map(MemoryId::from).collect())
}
