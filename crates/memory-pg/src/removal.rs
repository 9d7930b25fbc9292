//! Removing memories with everything that depends on them, for
//! [`Store::delete`](memory_core::Store::delete) and for evictions by
//! [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::BTreeMap;

use memory_core::{EntityId, Generation, MemoryId, RemoveOutcome};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Connection;
use crate::entity::CountDeltas;
use crate::error::Failure;
use crate::rows::{self, EntityRow};

/// Removes memories and, recursively, the summaries that were made from them.
const MEMORIES: &str = "WITH RECURSIVE gone AS (\
       SELECT m.entity_id, m.memory_id, m.archived_by FROM memory m JOIN \
         (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id) u \
         ON m.entity_id = u.entity_id AND m.memory_id = u.memory_id \
       UNION \
       SELECT m.entity_id, m.memory_id, m.archived_by FROM gone g JOIN memory m \
         ON m.entity_id = g.entity_id AND m.memory_id = g.archived_by) \
     DELETE FROM memory m USING gone g \
     WHERE m.entity_id = g.entity_id AND m.memory_id = g.memory_id \
     RETURNING m.entity_id, m.memory_id, m.word_count, m.archived_by IS NOT NULL AS archived";

/// Removes the dependent rows of removed memories, and inserts tombstones.
const DEPENDENTS: &str = "WITH u AS MATERIALIZED (SELECT unnest($1::text[]) AS entity_id, \
         unnest($2::uuid[]) AS memory_id, unnest($3::bigint[]) AS version), \
       v AS (DELETE FROM memory_embedding t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id), \
       a AS (DELETE FROM memory_access t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id), \
       i AS (DELETE FROM memory_entity t USING u \
         WHERE t.entity_id = u.entity_id AND t.memory_id = u.memory_id) \
     INSERT INTO memory_tombstone (entity_id, memory_id, version) \
     SELECT u.entity_id, u.memory_id, u.version FROM u \
     ON CONFLICT (entity_id, memory_id) DO UPDATE SET version = excluded.version";

/// Restores the sources of removed summaries, with their vectors.
const RESTORE: &str = "WITH r AS (UPDATE memory m SET archived_by = NULL, version = u.version \
       FROM (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id, \
         unnest($3::bigint[]) AS version) u \
       WHERE m.entity_id = u.entity_id AND m.archived_by = u.memory_id \
       RETURNING m.entity_id, m.memory_id, m.word_count), \
     v AS (UPDATE memory_embedding v SET archived = false FROM r \
       WHERE v.entity_id = r.entity_id AND v.memory_id = r.memory_id) \
     SELECT r.* FROM r";

/// Drops links to removed memories.
const UNLINK: &str = "UPDATE memory m SET related = m.related - u.ids, version = u.version \
     FROM (SELECT w.entity_id, array_agg(w.memory_id::text) AS ids, max(w.version) AS version \
       FROM (SELECT unnest($1::text[]) AS entity_id, unnest($2::uuid[]) AS memory_id, \
         unnest($3::bigint[]) AS version) w GROUP BY w.entity_id) u \
     WHERE m.entity_id = u.entity_id AND m.related <> '{}' AND m.related ?| u.ids \
     RETURNING m.entity_id, m.memory_id";

/// The oldest half of an entity's tombstones is removed when it has more than so
/// many, and more than live memories.
pub(crate) const MIN_TOMBSTONES_KEPT: u64 = 1_000;

/// Removes the oldest half of an entity's tombstones if there are more than `$2`,
/// with all of the same generation as the last of them, which becomes the floor.
const COMPACT_TOMBSTONES: &str = "WITH t AS (SELECT version, \
         row_number() OVER (ORDER BY version) AS position, count(*) OVER () AS total \
       FROM memory_tombstone WHERE entity_id = $1::text), \
     f AS (SELECT version FROM t WHERE total > $2::bigint AND position = total / 2), \
     d AS (DELETE FROM memory_tombstone USING f WHERE entity_id = $1::text \
       AND memory_tombstone.version <= f.version RETURNING memory_id) \
     UPDATE entity SET tombstone_floor = coalesce((SELECT version FROM f), tombstone_floor), \
       tombstone_count = (SELECT count(*) FROM t) - (SELECT count(*) FROM d) \
     WHERE entity_id = $1::text";

/// What was removed, for each entity of which something was.
pub(crate) type Removed = BTreeMap<EntityId, RemoveOutcome>;

/// Removes memories of locked entities, at the generation after that in
/// `entity_rows`. Takes the same number of statements for any number of memories.
/// The caller has to add `deltas` to the entities' counts.
pub(crate) async fn remove(
    connection: &mut Connection,
    ids: &[(&EntityId, MemoryId)],
    entity_rows: &BTreeMap<EntityId, EntityRow>,
    deltas: &mut CountDeltas,
) -> Result<Removed, Failure> {
    let mut removed = Removed::new();
    let names: Vec<&str> = ids.iter().map(|(entity, _)| entity.as_str()).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|(_, id)| *id.as_uuid()).collect();
    let rows = connection
        .fetch_all(sqlx::query(MEMORIES).bind(names).bind(uuids))
        .await?;
    if rows.is_empty() {
        return Ok(removed);
    }
    let mut removed_rows = RemovedRows::default();
    for row in &rows {
        let (entity, id) = key(row)?;
        let generation = next_generation(entity_rows, &entity);
        removed_rows.push(&entity, id, generation);
        let delta = deltas.entry(entity.clone()).or_default();
        delta.tombstones += 1;
        if row.try_get("archived")? {
            delta.archived -= 1;
        } else {
            delta.subtract(row.try_get("word_count")?);
        }
        let outcome = removed.entry(entity).or_default();
        outcome.generation = generation;
        outcome.removed.push(id);
    }
    removed_rows.execute(connection, DEPENDENTS).await?;
    // Where nothing is archived, no removed memory is a summary.
    let has_archived = |entity| entity_rows.get(entity).is_some_and(|it| it.archived > 0);
    if removed.keys().any(has_archived) {
        for row in &removed_rows.execute(connection, RESTORE).await? {
            let (entity, id) = key(row)?;
            let delta = deltas.entry(entity.clone()).or_default();
            delta.archived -= 1;
            delta.add(row.try_get("word_count")?);
            removed.entry(entity).or_default().restored.push(id);
        }
    }
    for row in &removed_rows.execute(connection, UNLINK).await? {
        let (entity, id) = key(row)?;
        removed.entry(entity).or_default().unlinked.push(id);
    }
    Ok(removed)
}

/// Limits the number of tombstones of entities that were raised after a removal.
/// Readers that need a removed tombstone get the whole state from
/// [`Store::changes_since`](memory_core::Store::changes_since) instead.
pub(crate) async fn compact_tombstones(
    connection: &mut Connection,
    raised: &BTreeMap<EntityId, EntityRow>,
) -> Result<(), Failure> {
    for (entity, row) in raised {
        let limit = row.memories.max(MIN_TOMBSTONES_KEPT);
        if row.tombstones > limit {
            let query = sqlx::query(COMPACT_TOMBSTONES)
                .bind(entity.as_str())
                .bind(rows::signed(limit));
            connection.execute(query).await?;
        }
    }
    Ok(())
}

/// The generation of the current write.
fn next_generation(entity_rows: &BTreeMap<EntityId, EntityRow>, entity: &EntityId) -> Generation {
    let before = entity_rows.get(entity).map(|it| it.generation);
    before.unwrap_or_default().next()
}

fn key(row: &PgRow) -> Result<(EntityId, MemoryId), sqlx::Error> {
    let entity = EntityId::from(row.try_get::<&str, _>("entity_id")?);
    let id: Uuid = row.try_get("memory_id")?;
    Ok((entity, MemoryId::from(id)))
}

/// The keys of removed memories, as columns.
#[derive(Default)]
struct RemovedRows {
    entities: Vec<String>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
}

impl RemovedRows {
    fn push(&mut self, entity: &EntityId, id: MemoryId, generation: Generation) {
        self.entities.push(entity.as_str().to_owned());
        self.ids.push(*id.as_uuid());
        self.versions.push(rows::signed(generation.0));
    }

    async fn execute(
        &self,
        connection: &mut Connection,
        text: &'static str,
    ) -> Result<Vec<PgRow>, Failure> {
        let query = sqlx::query(text)
            .bind(&self.entities)
            .bind(&self.ids)
            .bind(&self.versions);
        connection.fetch_all(query).await
    }
}
