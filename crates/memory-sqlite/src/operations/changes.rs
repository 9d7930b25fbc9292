//! [`Store::changes_since`](memory_core::Store::changes_since).

use memory_core::{ChangeSet, EmbeddedMemory, EntityId, Fingerprint, Generation, MemoryId};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::connections::blocking::fold_rows;
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::embedded_rows::{EmbeddedRows, select_embedded};
use crate::rows;
use crate::rows::embedding_space;
use crate::rows::entity;

pub(crate) struct ChangesSince {
    pub(crate) entity: EntityId,
    pub(crate) since: Generation,
    pub(crate) fingerprint: Fingerprint,
}

impl Transaction for ChangesSince {
    type Output = ChangeSet;
    const OPERATION: &'static str = "changes_since";

    async fn run(self, conn: &mut SqliteConnection) -> Result<ChangeSet, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(ChangeSet::default().reset(self.since > Generation::ZERO));
        };
        // Beyond the generation: the database was restored from a backup. Below
        // the floor: tombstones that this reader would need may be dropped.
        let reset = self.since > entity.generation
            || (Generation::ZERO < self.since && self.since < entity.tombstone_floor);
        let since = if reset { Generation::ZERO } else { self.since };
        if since == entity.generation {
            return Ok(ChangeSet::new(entity.generation, Vec::new(), Vec::new()));
        }
        let since = since.0.cast_signed();
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        let reader = EmbeddedRows {
            entity: self.entity,
            entity_key: entity.key,
            fingerprint: self.fingerprint,
            space,
        };
        Ok(ChangeSet::new(
            entity.generation,
            written(conn, reader, since).await?,
            removed(conn, entity.key, since).await?,
        )
        .reset(reset))
    }
}

/// The live memories that were written after `since`.
async fn written(
    conn: &mut SqliteConnection,
    reader: EmbeddedRows,
    since: i64,
) -> Result<Vec<EmbeddedMemory>, Failure> {
    let rows = query(concat!(
        select_embedded!(),
        "WHERE m.entity_key = ?2 AND m.version > ?3 AND m.archived_by IS NULL",
    ))
    .bind(reader.shift())
    .bind(reader.entity_key)
    .bind(since)
    .fetch(conn);
    let state = (Vec::new(), reader);
    let (written, _) = fold_rows(rows, state, |(written, reader), row| {
        written.push(reader.decode(row)?.1);
        Ok(())
    })
    .await?;
    Ok(written)
}

/// The ids removed or archived after `since`; none for the whole state, which
/// needs no removals.
async fn removed(
    conn: &mut SqliteConnection,
    entity_key: i64,
    since: i64,
) -> Result<Vec<MemoryId>, Failure> {
    if since == 0 {
        return Ok(Vec::new());
    }
    query(
        "SELECT memory_id FROM memory_tombstone WHERE entity_key = ?1 AND version > ?2
         UNION ALL
         SELECT memory_id FROM memory
         WHERE entity_key = ?1 AND version > ?2 AND archived_by IS NOT NULL",
    )
    .bind(entity_key)
    .bind(since)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| rows::decode_id(row.try_get(0)?))
    .collect()
}
