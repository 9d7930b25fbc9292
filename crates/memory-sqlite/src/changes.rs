//! [`Store::changes_since`](memory_core::Store::changes_since).

use memory_core::{
    ChangeSet, EmbeddedMemory, Embedding, EntityId, Fingerprint, Generation, MemoryId,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::blocking::fold_rows;
use crate::embedding_space::{self, EmbeddingSpace};
use crate::error::Failure;
use crate::rows::{self, MemoryRow, NEXT_COLUMN, memory_columns};
use crate::transaction::Transaction;
use crate::{entity, row_keys, vectors};

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
        Ok(ChangeSet::new(
            entity.generation,
            self.written(conn, entity.key, since, space).await?,
            removed(conn, entity.key, since).await?,
        )
        .reset(reset))
    }
}

impl ChangesSince {
    async fn written(
        self,
        conn: &mut SqliteConnection,
        entity_key: i64,
        since: i64,
        space: Option<EmbeddingSpace>,
    ) -> Result<Vec<EmbeddedMemory>, Failure> {
        let rows = query(concat!(
            "SELECT ",
            memory_columns!(),
            ", e.vectors FROM memory AS m
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key
             LEFT JOIN memory_embedding AS e ON e.embedding_key = m.memory_key + ?3
             WHERE m.entity_key = ?1 AND m.version > ?2 AND m.archived_by IS NULL",
        ))
        .bind(entity_key)
        .bind(since)
        // NULL where there is no space, and then no row is joined.
        .bind(space.map(|space| row_keys::shift(entity_key, space.key)))
        .fetch(conn);
        let dimensions = space.map_or(0, |space| space.dimensions);
        let state = (Vec::new(), self);
        let (written, _) = fold_rows(rows, state, move |(written, request), row| {
            let vectors = match row.try_get(NEXT_COLUMN)? {
                Some(bytes) => vectors::decode(bytes, dimensions)?,
                None => Vec::new(),
            };
            let fingerprint = request.fingerprint.clone();
            written.push(EmbeddedMemory {
                memory: MemoryRow::decode(row, &request.entity)?.memory,
                embedding: Embedding {
                    fingerprint,
                    vectors,
                },
            });
            Ok(())
        })
        .await?;
        Ok(written)
    }
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
