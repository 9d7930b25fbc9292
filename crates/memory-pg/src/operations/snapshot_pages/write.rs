//! [`SnapshotPages::write`](memory_core::SnapshotPages::write).

use std::sync::Arc;

use memory_core::{EntityId, Fingerprint, Generation, MemoryResult, SnapshotPage};
use sqlx::Row;
use uuid::Uuid;

use super::PageKey;
use super::discard::delete_all;
use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::rows;
use crate::rows::entity;
use crate::rows::sql::RowInsert;

/// The positions of those pages, in the order that they are given, whose live memories are
/// those that were read, with their vectors.
///
/// A memory that was written since has a later version, and none can have been added but
/// by a write. Vectors are removed without one, so each memory must still have its own.
/// They are counted by ranges as well: looked up by memory, in tables of which the server
/// has no statistics yet, it read those of the whole entity for each memory.
const FIND_UNCHANGED: &str = "SELECT r.position FROM (\
       SELECT unnest($2::integer[]) AS position, unnest($3::uuid[]) AS first_id, \
         unnest($4::uuid[]) AS last_id, unnest($5::bigint[]) AS memories) r \
     CROSS JOIN LATERAL (SELECT count(*) AS memories, coalesce(max(m.version), 0) AS version \
       FROM memory m WHERE m.entity_id = $1::text AND m.archived_by IS NULL \
       AND m.memory_id >= r.first_id AND m.memory_id <= r.last_id) l \
     CROSS JOIN LATERAL (SELECT count(DISTINCT v.memory_id) AS memories \
       FROM memory_embedding v WHERE v.entity_id = $1::text AND v.model = $6::text \
       AND NOT v.archived AND v.memory_id >= r.first_id AND v.memory_id <= r.last_id) w \
     WHERE l.memories = r.memories AND w.memories = r.memories AND l.version <= $7::bigint";

/// Deletes pages that have ids of new ones: of other models or formats, damaged ones, and
/// those that another process made of the same memories.
const DELETE_OVERLAPPING: &str = "DELETE FROM snapshot_page p \
     USING (SELECT unnest($2::uuid[]) AS first_id, unnest($3::uuid[]) AS last_id) r \
     WHERE p.entity_id = $1::text AND p.last_id >= r.first_id AND p.first_id <= r.last_id";

const RECORD: &str = "UPDATE entity e SET paged_at = e.generation, \
     paged_until = greatest(e.paged_until, $2::uuid) WHERE e.entity_id = $1::text";

pub(super) async fn write(
    database: &Arc<Database>,
    entity: &EntityId,
    fingerprint: &Fingerprint,
    format: u64,
    read_at: Generation,
    pages: Vec<SnapshotPage>,
) -> MemoryResult<()> {
    database.check_open(WritePages::OPERATION)?;
    let pages = pages.into_iter().filter_map(|page| {
        let (first, last) = (page.ids.iter().min()?, page.ids.iter().max()?);
        let (first, last) = (*first.as_uuid(), *last.as_uuid());
        let key = PageKey {
            entity,
            fingerprint,
            format,
            first,
            last,
        };
        Some(NewPage {
            first,
            last,
            memories: rows::signed(page.ids.len() as u64),
            checksum: key.checksum(&page.content),
            content: page.content,
        })
    });
    let mut pages: Vec<NewPage> = pages.collect();
    // No two of an entity may overlap: those of one state do not.
    pages.sort_unstable_by_key(|page| page.first);
    pages.dedup_by(|next, page| next.first <= page.last);
    let write = WritePages {
        entity: entity.clone(),
        fingerprint: fingerprint.clone(),
        format: format.cast_signed(),
        read_at,
        pages,
    };
    database.write(write).await
}

struct WritePages {
    entity: EntityId,
    fingerprint: Fingerprint,
    format: i64,
    read_at: Generation,
    pages: Vec<NewPage>,
}

struct NewPage {
    first: Uuid,
    last: Uuid,
    memories: i64,
    checksum: i64,
    content: Vec<u8>,
}

impl Transaction for WritePages {
    const OPERATION: &'static str = "write_snapshot_pages";
    type Output = ();

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<()>, Failure> {
        let entity_row = entity::lock(connection, &self.entity).await?;
        // An earlier generation is that of another database, restored meanwhile.
        let Some(row) = entity_row.filter(|row| row.generation >= self.read_at) else {
            return Ok(TxOutcome::Rollback(()));
        };
        // Also where the row knows of no page: one of an entity that was erased by hand may
        // have stayed.
        let has_others = !row.has_current_pages();
        if has_others {
            delete_all(connection, &self.entity).await?;
        }
        let pages = self.find_unchanged(connection).await?;
        let Some(greatest) = pages.iter().map(|page| page.last).max() else {
            return Ok(match has_others {
                true => TxOutcome::Commit(()),
                false => TxOutcome::Rollback(()),
            });
        };
        let entity = self.entity.as_str();
        let column = |id: fn(&NewPage) -> Uuid| pages.iter().map(|page| id(page)).collect();
        let (first, last): (Vec<Uuid>, Vec<Uuid>) =
            (column(|page| page.first), column(|page| page.last));
        let delete = sqlx::query(DELETE_OVERLAPPING).bind(entity);
        connection.execute(delete.bind(&first).bind(&last)).await?;
        let count = pages.len();
        let mut insert = RowInsert::new("snapshot_page", count);
        let checksums: Vec<i64> = pages.iter().map(|page| page.checksum).collect();
        let contents: Vec<&[u8]> = pages.iter().map(|page| page.content.as_slice()).collect();
        insert
            .column("entity_id", "text", vec![entity; count])
            .column("last_id", "uuid", last)
            .column("first_id", "uuid", first)
            .column("model", "text", vec![self.fingerprint.as_str(); count])
            .column("format", "bigint", vec![self.format; count])
            .column("checksum", "bigint", checksums)
            .column("content", "bytea", contents);
        connection.execute(insert.query("")?).await?;
        let record = sqlx::query(RECORD).bind(entity).bind(greatest);
        connection.execute(record).await?;
        Ok(TxOutcome::Commit(()))
    }
}

impl WritePages {
    /// The pages that are to be written. The lock on the entity keeps it so.
    async fn find_unchanged(&self, connection: &mut Connection) -> Result<Vec<&NewPage>, Failure> {
        let positions: Vec<i32> = (0..).take(self.pages.len()).collect();
        let ids = |id: fn(&NewPage) -> Uuid| self.pages.iter().map(id).collect::<Vec<Uuid>>();
        let memories: Vec<i64> = self.pages.iter().map(|page| page.memories).collect();
        let query = sqlx::query(FIND_UNCHANGED)
            .bind(self.entity.as_str())
            .bind(positions)
            .bind(ids(|page| page.first))
            .bind(ids(|page| page.last))
            .bind(memories)
            .bind(self.fingerprint.as_str())
            .bind(rows::signed(self.read_at.0));
        let rows = connection.fetch_all(query).await?;
        let mut unchanged = Vec::with_capacity(rows.len());
        for row in &rows {
            let position: i32 = row.try_get("position")?;
            let page = usize::try_from(position).ok();
            unchanged.extend(page.and_then(|position| self.pages.get(position)));
        }
        Ok(unchanged)
    }
}
