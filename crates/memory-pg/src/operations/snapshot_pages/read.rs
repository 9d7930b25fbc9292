//! [`SnapshotPages::read`](memory_core::SnapshotPages::read).

use std::sync::Arc;

use memory_core::{
    AccessState, EmbeddedMemory, Embedding, EntityId, Fingerprint, Generation, MemoryId,
    MemoryResult, SnapshotState,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::PageKey;
use super::discard::DiscardOutdated;
use super::groups::{MIN_MEMORIES, StoredPage, into_parts};
use crate::connections::blocking::run_blocking;
use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::error::Failure;
use crate::rows::sql::SqlBuilder;
use crate::rows::vectors;
use crate::rows::{self, MemoryRow};

const OPERATION: &str = "read_snapshot_pages";

/// Reads the state in one statement or by one cursor, so that all of it is of one moment. If
/// pages are damaged, it is read again without them.
pub(super) async fn read(
    database: &Arc<Database>,
    entity: &EntityId,
    fingerprint: &Fingerprint,
    format: u64,
) -> MemoryResult<SnapshotState> {
    database.check_open(OPERATION)?;
    let entities = [entity];
    let mut damaged: Vec<Uuid> = Vec::new();
    loop {
        let target = ReadTarget::new(Scope::Entities(&entities));
        let statement = |max| read_statement(entity, fingerprint, format, &damaged, max);
        let rows =
            database.fetch_or_load(OPERATION, target, "memory_pages", statement, has_left_out);
        let rows = rows.await?;
        let is_writable = !database.options.read_only && !database.is_standby();
        let decoder = Decoder::new(entity, fingerprint, format);
        // Pages are large, however few rows there are.
        let decoded = run_blocking(OPERATION, rows.len() <= 1, move || {
            let decoded = decoder.decode(rows);
            decoded.map(|decoded| (decoded.has_outdated, decoded.into_state(is_writable)))
        });
        let decoded = decoded.await?;
        let (has_outdated, state) =
            decoded.map_err(|error| Failure::from(error).into_error(OPERATION))?;
        if has_outdated && is_writable {
            // They may have content that an older program removed. The next load tries again.
            let discarded = database.write(DiscardOutdated(entity.clone())).await;
            if let Err(error) = discarded {
                tracing::debug!(kind = ?error.kind(), "outdated snapshot pages were not deleted");
            }
        }
        match state {
            Ok(state) => return Ok(state),
            Err(found) => {
                for page in &found {
                    tracing::warn!(
                        table = "snapshot_page",
                        last_id = %page,
                        "the checksum of a snapshot page differs; its rows are read, and it is made again"
                    );
                }
                damaged.extend(found);
            }
        }
    }
}

/// Whether the entity has more memories than the statement reads.
fn has_left_out(rows: &[PgRow], max_memories: i64) -> Result<bool, sqlx::Error> {
    let [row] = rows else {
        return Ok(false);
    };
    let count: Option<i64> = row.try_get("memory_count")?;
    Ok(count > Some(max_memories))
}

/// The types of a memory's columns, where a row has none.
const NO_MEMORY: &str = "NULL::uuid AS memory_id, NULL::text AS kind, NULL::text AS content, \
     NULL::timestamptz AS timestamp, NULL::real AS importance, NULL::real AS decay_rate, \
     NULL::text AS context, NULL::jsonb AS metadata, NULL::jsonb AS related, \
     NULL::text[] AS tags, NULL::uuid AS archived_by, NULL::jsonb AS entities, \
     NULL::bigint AS access_count, NULL::timestamptz AS last_accessed, \
     NULL::halfvec[] AS halves, NULL::vector[] AS singles";

/// The statement of [`read`], without the pages that end at these ids. Its rows are, by
/// their `part`: the entity (0; with an id where it has outdated pages), and where it has
/// at most `max_memories`: pages (1), accesses where there are pages (2), and the live
/// memories that are in none (3), which are found by the gaps between pages: an index has
/// them in the order of their ids. `OFFSET 0` keeps the server from comparing all memories
/// with all gaps.
pub(crate) fn read_statement(
    entity: &EntityId,
    fingerprint: &Fingerprint,
    format: u64,
    without: &[Uuid],
    max_memories: i64,
) -> SqlBuilder {
    let mut sql = SqlBuilder::new();
    let entity_param = sql.value(entity.as_str(), "text");
    let model = sql.value(fingerprint.as_str(), "text");
    let format = sql.value(format.cast_signed(), "bigint");
    let without = sql.value(without.to_vec(), "uuid[]");
    let max_memories = sql.value(max_memories, "bigint");
    let least = sql.value(Uuid::nil(), "uuid");
    let greatest = sql.value(Uuid::max(), "uuid");
    sql.push(format!(
        "WITH pages AS (SELECT p.first_id, p.last_id, p.checksum, p.content FROM snapshot_page p \
           WHERE p.entity_id = {entity_param} AND p.model = {model} AND p.format = {format} \
           AND p.last_id <> ALL ({without}) AND EXISTS (SELECT FROM entity e \
             WHERE e.entity_id = {entity_param} AND e.paged_at = e.generation \
             AND e.memory_count <= {max_memories})), \
         gaps AS (SELECT lag(b.last_id) OVER (ORDER BY b.last_id NULLS LAST) AS after_id, \
             b.first_id AS before_id \
           FROM (SELECT first_id, last_id FROM pages UNION ALL SELECT NULL, NULL) b) \
         SELECT 0 AS part, e.generation, e.memory_count, \
           CASE WHEN e.paged_at IS DISTINCT FROM e.generation THEN e.paged_until END AS first_id, \
           NULL::uuid AS last_id, NULL::bigint AS checksum, NULL::bytea AS page, {NO_MEMORY} \
         FROM entity e WHERE e.entity_id = {entity_param} \
         UNION ALL SELECT 1, NULL, NULL, s.first_id, s.last_id, s.checksum, s.content, {NO_MEMORY} \
         FROM pages s \
         UNION ALL SELECT 2, NULL, NULL, NULL, NULL, NULL, NULL, a.memory_id, NULL, NULL, NULL, \
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.access_count, a.last_accessed, \
           NULL, NULL \
         FROM memory_access a WHERE a.entity_id = {entity_param} AND EXISTS (SELECT FROM pages) \
         UNION ALL SELECT 3, NULL, NULL, NULL, NULL, NULL, NULL, r.* FROM gaps g \
         CROSS JOIN LATERAL (SELECT {}, v.halves, v.singles FROM {} \
           LEFT JOIN LATERAL (SELECT array_agg(w.half ORDER BY w.chunk) AS halves, \
               array_agg(w.single ORDER BY w.chunk) AS singles FROM memory_embedding w \
               WHERE w.entity_id = {entity_param} AND w.memory_id = m.memory_id \
               AND w.model = {model}) v ON true \
           WHERE m.entity_id = {entity_param} AND m.archived_by IS NULL \
             AND m.memory_id >= coalesce(g.after_id, {least}) \
             AND m.memory_id <= coalesce(g.before_id, {greatest}) \
             AND m.memory_id IS DISTINCT FROM g.after_id \
             AND m.memory_id IS DISTINCT FROM g.before_id \
           ORDER BY m.memory_id OFFSET 0) r \
         WHERE EXISTS (SELECT FROM entity e WHERE e.entity_id = {entity_param} \
           AND e.memory_count <= {max_memories})",
        MemoryRow::columns(&entity_param),
        MemoryRow::tables(&entity_param),
    ));
    sql
}

/// Decodes the rows of the statement.
struct Decoder {
    entity: EntityId,
    fingerprint: Fingerprint,
    format: u64,
    decoded: Decoded,
}

#[derive(Default)]
struct Decoded {
    generation: Generation,
    memory_count: u64,
    /// Whether an older program has written since pages were, and so deleted none.
    has_outdated: bool,
    pages: Vec<StoredPage>,
    /// The last ids of pages whose checksums differ.
    damaged: Vec<Uuid>,
    accesses: Vec<AccessState>,
    memories: Vec<EmbeddedMemory>,
}

impl Decoder {
    fn new(entity: &EntityId, fingerprint: &Fingerprint, format: u64) -> Self {
        Self {
            entity: entity.clone(),
            fingerprint: fingerprint.clone(),
            format,
            decoded: Decoded::default(),
        }
    }

    fn decode(mut self, rows: Vec<PgRow>) -> Result<Decoded, sqlx::Error> {
        for row in rows {
            match row.try_get::<i32, _>("part")? {
                0 => {
                    let count = row.try_get("memory_count")?;
                    let outdated: Option<Uuid> = row.try_get("first_id")?;
                    self.decoded.has_outdated = outdated.is_some();
                    self.decoded.generation = rows::generation(&row)?;
                    self.decoded.memory_count = rows::unsigned("memory_count", count)?;
                }
                1 => self.decode_page(&row)?,
                2 => {
                    let id: Uuid = row.try_get("memory_id")?;
                    let count = row.try_get("access_count")?;
                    self.decoded.accesses.push(AccessState::new(
                        MemoryId::from(id),
                        rows::unsigned("access_count", count)?,
                        row.try_get("last_accessed")?,
                    ));
                }
                _ => self.decode_memory(&row)?,
            }
        }
        Ok(self.decoded)
    }

    fn decode_page(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        let (first, last): (Uuid, Uuid) = (row.try_get("first_id")?, row.try_get("last_id")?);
        let key = PageKey {
            entity: &self.entity,
            fingerprint: &self.fingerprint,
            format: self.format,
            first,
            last,
        };
        let content: &[u8] = row.try_get("page")?;
        if key.checksum(content) == row.try_get::<i64, _>("checksum")? {
            self.decoded.pages.push(StoredPage {
                first: MemoryId::from(first),
                last: MemoryId::from(last),
                content: content.to_vec(),
            });
        } else {
            self.decoded.damaged.push(last);
        }
        Ok(())
    }

    fn decode_memory(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        let memory = MemoryRow(row).memory(&self.entity)?;
        let memory = memory.ok_or(sqlx::Error::RowNotFound)?;
        self.decoded.memories.push(EmbeddedMemory {
            memory,
            embedding: Embedding {
                fingerprint: self.fingerprint.clone(),
                vectors: vectors::decode(row)?,
            },
        });
        Ok(())
    }
}

impl Decoded {
    /// The state, or the last ids of the pages that are damaged.
    fn into_state(mut self, is_writable: bool) -> Result<SnapshotState, Vec<Uuid>> {
        if !self.damaged.is_empty() {
            return Err(self.damaged);
        }
        // Those of other memories came with them.
        let others = self.memories.iter().map(|item| item.memory.id);
        let mut others: Vec<MemoryId> = others.collect();
        others.sort_unstable();
        self.accesses
            .retain(|access| others.binary_search(&access.id).is_err());
        let keeps_pages = is_writable && self.memory_count >= MIN_MEMORIES;
        let parts = into_parts(self.pages, self.memories, keeps_pages);
        Ok(SnapshotState::new(self.generation, parts).accesses(self.accesses))
    }
}
