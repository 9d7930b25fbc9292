//! Removing memories with everything that depends on them, for
//! [`Store::delete`](memory_core::Store::delete) and for evictions by
//! [`Store::insert_opts`](memory_core::Store::insert_opts).

use std::collections::BTreeMap;

use memory_core::{EntityId, MemoryId, RemoveOutcome};
use sqlx::Row;
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::operations::snapshot_pages;
use crate::rows::entity::CountDelta;
use crate::rows::sql::RowInsert;
use crate::rows::{self, EntityRow};

/// Removes memories and, recursively, the summaries that were made from them. Neither is a
/// join that could read all memories of the entity: `OFFSET 0` keeps the first to a lookup
/// for each.
const MEMORIES: &str = "WITH RECURSIVE gone AS (\
       SELECT m.memory_id, m.archived_by FROM memory m \
         WHERE m.entity_id = $1::text AND m.memory_id = ANY ($2::uuid[]) \
       UNION \
       SELECT s.memory_id, s.archived_by FROM gone g CROSS JOIN LATERAL (\
         SELECT m.memory_id, m.archived_by FROM memory m \
         WHERE m.entity_id = $1::text AND m.memory_id = g.archived_by OFFSET 0) s) \
     DELETE FROM memory m WHERE m.entity_id = $1::text \
       AND m.memory_id = ANY (ARRAY(SELECT g.memory_id FROM gone g)) \
     RETURNING m.memory_id, m.word_count, m.archived_by IS NOT NULL AS archived";

/// Removes the rows of removed memories in the other tables.
const DEPENDENTS: [&str; 3] = [
    "DELETE FROM memory_embedding t WHERE t.entity_id = $1::text AND t.memory_id = ANY ($2::uuid[])",
    "DELETE FROM memory_access t WHERE t.entity_id = $1::text AND t.memory_id = ANY ($2::uuid[])",
    "DELETE FROM memory_entity t WHERE t.entity_id = $1::text AND t.memory_id = ANY ($2::uuid[])",
];

/// Restores the sources of removed summaries.
const RESTORE: &str = "UPDATE memory m SET archived_by = NULL, version = $3::bigint \
     WHERE m.entity_id = $1::text AND m.archived_by = ANY ($2::uuid[]) \
     RETURNING m.memory_id, m.word_count";

/// Restores the vectors of memories.
const RESTORE_VECTORS: &str = "UPDATE memory_embedding v SET archived = false \
     WHERE v.entity_id = $1::text AND v.memory_id = ANY ($2::uuid[])";

/// Drops links to removed memories.
const UNLINK: &str = "UPDATE memory m SET related = m.related - $2::text[], version = $3::bigint \
     WHERE m.entity_id = $1::text AND m.related <> '{}' AND m.related ?| $2::text[] \
     RETURNING m.memory_id";

/// The oldest half of an entity's tombstones is removed when it has more than so
/// many, and more than live memories.
pub(crate) const MIN_TOMBSTONES_KEPT: u64 = 1_000;

/// Removes memories of a locked entity, at the generation after that of its row, and
/// returns what was removed and what has to be added to the entity's counts; `None`
/// if there was nothing to remove. Takes the same number of statements for any
/// number of memories.
pub(crate) async fn remove(
    connection: &mut Connection,
    entity: &EntityId,
    ids: &[MemoryId],
    entity_row: &EntityRow,
    delta: &mut CountDelta,
) -> Result<Option<RemoveOutcome>, Failure> {
    let uuids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let query = sqlx::query(MEMORIES).bind(entity.as_str()).bind(uuids);
    let rows = connection.fetch_all(query).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut removal = Removal {
        entity,
        version: rows::signed(entity_row.generation.next().0),
        ids: Vec::with_capacity(rows.len()),
    };
    for row in &rows {
        removal.ids.push(row.try_get("memory_id")?);
        delta.tombstones += 1;
        if row.try_get("archived")? {
            delta.archived -= 1;
        } else {
            delta.subtract(row.try_get("word_count")?);
        }
    }
    removal.remove_dependents(connection).await?;
    let removed = removal.ids.iter().copied().map(MemoryId::from).collect();
    let mut outcome = RemoveOutcome::new(entity_row.generation.next(), removed);
    // Where nothing is archived, no removed memory is a summary.
    if entity_row.archived > 0 {
        outcome.restored = removal.restore(connection, delta).await?;
    }
    outcome.unlinked = removal.unlink(connection).await?;
    let changed = [&outcome.restored, &outcome.unlinked].into_iter().flatten();
    let mut written = removal.ids;
    written.extend(changed.map(|id| *id.as_uuid()));
    snapshot_pages::discard(connection, entity, entity_row, &written).await?;
    Ok(Some(outcome))
}

/// Memories of an entity that were removed.
struct Removal<'a> {
    entity: &'a EntityId,
    /// The generation of the current write.
    version: i64,
    ids: Vec<Uuid>,
}

impl Removal<'_> {
    /// Removes the rows in other tables, and inserts tombstones.
    async fn remove_dependents(&self, connection: &mut Connection) -> Result<(), Failure> {
        for text in DEPENDENTS {
            let query = sqlx::query(text).bind(self.entity.as_str()).bind(&self.ids);
            connection.execute(query).await?;
        }
        let rows = self.ids.len();
        let mut insert = RowInsert::new("memory_tombstone", rows);
        insert
            .column("entity_id", "text", vec![self.entity.as_str(); rows])
            .column("memory_id", "uuid", self.ids.clone())
            .column("version", "bigint", vec![self.version; rows]);
        let query = insert
            .query("ON CONFLICT (entity_id, memory_id) DO UPDATE SET version = excluded.version")?;
        connection.execute(query).await.map(drop)
    }

    /// Restores the sources of removed summaries, with their vectors.
    async fn restore(
        &self,
        connection: &mut Connection,
        delta: &mut CountDelta,
    ) -> Result<Vec<MemoryId>, Failure> {
        let query = sqlx::query(RESTORE).bind(self.entity.as_str());
        let query = query.bind(&self.ids).bind(self.version);
        let mut restored: Vec<Uuid> = Vec::new();
        for row in &connection.fetch_all(query).await? {
            delta.archived -= 1;
            delta.add(row.try_get("word_count")?);
            restored.push(row.try_get("memory_id")?);
        }
        if !restored.is_empty() {
            let query = sqlx::query(RESTORE_VECTORS).bind(self.entity.as_str());
            connection.execute(query.bind(&restored)).await?;
        }
        Ok(restored.into_iter().map(MemoryId::from).collect())
    }

    /// Drops links to the removed memories, and returns the memories that had any.
    async fn unlink(&self, connection: &mut Connection) -> Result<Vec<MemoryId>, Failure> {
        let texts: Vec<String> = self.ids.iter().map(Uuid::to_string).collect();
        let query = sqlx::query(UNLINK).bind(self.entity.as_str());
        let rows = connection
            .fetch_all(query.bind(texts).bind(self.version))
            .await?;
        let ids = rows.iter().map(|row| row.try_get("memory_id"));
        let ids: Vec<Uuid> = ids.collect::<Result<_, _>>()?;
        Ok(ids.into_iter().map(MemoryId::from).collect())
    }
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
            compact(connection, entity, limit).await?;
        }
    }
    Ok(())
}

/// Removes the oldest half of an entity's tombstones if there are more than the
/// limit, with all of the same generation as the last of them, which becomes the
/// floor; and corrects their count, which may be too high.
async fn compact(
    connection: &mut Connection,
    entity: &EntityId,
    limit: u64,
) -> Result<(), Failure> {
    let count = sqlx::query(
        "SELECT count(*) AS tombstones FROM memory_tombstone t WHERE t.entity_id = $1::text",
    );
    let rows = connection.fetch_all(count.bind(entity.as_str())).await?;
    let count = rows
        .first()
        .map_or(Ok(0), |row| row.try_get("tombstones"))?;
    let mut kept: i64 = count;
    let mut floor: Option<i64> = None;
    if count > rows::signed(limit) {
        let last = sqlx::query(
            "SELECT t.version FROM memory_tombstone t \
             WHERE t.entity_id = $1::text AND t.version > 0 ORDER BY t.version OFFSET $2::bigint LIMIT 1",
        );
        let last = last.bind(entity.as_str()).bind(count / 2 - 1);
        let rows = connection.fetch_all(last).await?;
        floor = rows.first().map(|row| row.try_get("version")).transpose()?;
        let delete = sqlx::query(
            "DELETE FROM memory_tombstone t \
             WHERE t.entity_id = $1::text AND t.version <= $2::bigint AND t.version > 0",
        );
        let deleted = connection.execute(delete.bind(entity.as_str()).bind(floor));
        kept = count.saturating_sub_unsigned(deleted.await?);
    }
    let update = sqlx::query(
        "UPDATE entity e SET tombstone_floor = coalesce($2::bigint, e.tombstone_floor), \
         tombstone_count = $3::bigint WHERE e.entity_id = $1::text",
    );
    let update = update.bind(entity.as_str()).bind(floor).bind(kept);
    connection.execute(update).await.map(drop)
}
