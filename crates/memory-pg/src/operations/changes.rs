//! [`Store::changes_since`](memory_core::Store::changes_since).

use memory_core::{
    ChangeSet, EmbeddedMemory, Embedding, EntityId, Fingerprint, Generation, MemoryId, MemoryResult,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connections::blocking::decode_rows;
use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::rows::sql::SqlBuilder;
use crate::rows::vectors;
use crate::rows::{self, MemoryRow};

const OPERATION: &str = "changes_since";

/// A generation that no memory has.
const NEVER: i64 = i64::MAX;

pub(crate) async fn changes_since(
    database: &Database,
    entity: &EntityId,
    since: Generation,
    fingerprint: &Fingerprint,
) -> MemoryResult<ChangeSet> {
    database.check_open(OPERATION)?;
    let entities = [entity];
    let target = ReadTarget {
        min_generation: since,
        ..ReadTarget::new(Scope::Entities(&entities))
    };
    let statement = |max| changes_statement(entity, since, fingerprint, max);
    let rows = database.fetch_or_load(OPERATION, target, "memory_changes", statement, has_left_out);
    let rows = rows.await?;
    let (owner, fingerprint) = (entity.clone(), fingerprint.clone());
    let decode = move |rows: &[PgRow]| {
        let mut changes = ChangeSet::default();
        if let Some(first) = rows.first() {
            changes.generation = rows::generation(first)?;
            changes.reset = first.try_get("reset")?;
            changes.removed = removed(first)?;
        }
        for row in rows {
            changes.written.extend(written(row, &owner, &fingerprint)?);
        }
        Ok(changes)
    };
    decode_rows(OPERATION, rows, decode).await
}

/// Whether there are more memories than the statement reads.
fn has_left_out(rows: &[PgRow], max_memories: i64) -> Result<bool, sqlx::Error> {
    let is_left_out = match rows.first() {
        Some(first) => first.try_get("is_left_out")?,
        None => false,
    };
    Ok(is_left_out || rows.len() as u64 > max_memories.cast_unsigned())
}

/// The statement of [`changes_since`]. The first row has the removals as well; they are
/// not read where the whole state is. If that is of more than `max_memories`, none of them
/// is read (`is_left_out`); of other changes it reads one more at most, which shows that
/// there are more.
///
/// Versions begin at 1: saying so lets the server use the indexes over versions, which
/// only statements that do may use.
pub(crate) fn changes_statement(
    entity: &EntityId,
    since: Generation,
    fingerprint: &Fingerprint,
    max_memories: i64,
) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let since = sql.value(rows::signed(since.0), "bigint");
    let model = sql.value(fingerprint.as_str(), "text");
    let max_rows = sql.value(max_memories.saturating_add(1), "bigint");
    let max_memories = sql.value(max_memories, "bigint");
    sql.push(format!(
        "SELECT s.generation, s.reset, s.since = {NEVER} AS is_left_out, CASE WHEN s.since > 0 AND row_number() OVER () = 1 THEN \
         (SELECT array_agg(t.memory_id) FROM (\
            SELECT memory_id FROM memory_tombstone \
            WHERE entity_id = {entity_param} AND version > s.since AND version > 0 \
            UNION ALL SELECT memory_id FROM memory \
            WHERE entity_id = {entity_param} AND version > s.since AND version > 0 \
              AND archived_by IS NOT NULL) t) \
         END AS removed, \
         {}, v.halves, v.singles \
         FROM (SELECT r.generation, r.reset, CASE WHEN {since} > 0 AND NOT r.reset THEN {since} \
             WHEN coalesce((SELECT e.memory_count FROM entity e \
               WHERE e.entity_id = {entity_param}), 0) <= {max_memories} THEN 0 \
             ELSE {NEVER} END AS since \
           FROM (SELECT g.generation, {since} > g.generation OR ({since} > 0 AND {since} < \
               coalesce((SELECT e.tombstone_floor FROM entity e \
                 WHERE e.entity_id = {entity_param}), 0)) AS reset FROM {}) r) s \
         LEFT JOIN ({}) ON m.entity_id = {entity_param} AND m.version > s.since AND m.version > 0 \
         AND m.archived_by IS NULL \
         LEFT JOIN LATERAL (SELECT array_agg(w.half ORDER BY w.chunk) AS halves, \
                array_agg(w.single ORDER BY w.chunk) AS singles FROM memory_embedding w \
                WHERE w.entity_id = {entity_param} AND w.memory_id = m.memory_id AND w.model = {model}) v \
         ON true LIMIT {max_rows}",
        MemoryRow::columns(&entity_param),
        rows::generation_of(&entity_param),
        MemoryRow::tables(&entity_param),
    ));
    sql
}

fn written(
    row: &PgRow,
    entity: &EntityId,
    fingerprint: &Fingerprint,
) -> Result<Option<EmbeddedMemory>, sqlx::Error> {
    let Some(memory) = MemoryRow(row).memory(entity)? else {
        return Ok(None);
    };
    Ok(Some(EmbeddedMemory {
        memory,
        embedding: Embedding {
            fingerprint: fingerprint.clone(),
            vectors: vectors::decode(row)?,
        },
    }))
}

fn removed(row: &PgRow) -> Result<Vec<MemoryId>, sqlx::Error> {
    let ids: Option<Vec<Uuid>> = row.try_get("removed")?;
    Ok(ids.into_iter().flatten().map(MemoryId::from).collect())
}
