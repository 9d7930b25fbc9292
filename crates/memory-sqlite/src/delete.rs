//! [`Store::delete`](memory_core::Store::delete).

use std::collections::HashSet;

use memory_core::{EntityId, Memory, MemoryId, RemoveOutcome};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::database::Work;
use crate::entity::{self, EntityChange, EntityRow};
use crate::error::Failure;
use crate::labels;
use crate::offload::fold;
use crate::row::{self, NEXT_COLUMN, memory_columns, to_json};

pub(crate) struct Delete {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
}

impl Work for Delete {
    type Output = RemoveOutcome;
    const OPERATION: &'static str = "delete";

    fn erases(&self) -> bool {
        !self.ids.is_empty()
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<RemoveOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(RemoveOutcome::default());
        };
        let doomed = self.find(conn, entity.key).await?;
        if doomed.keys.is_empty() {
            return Ok(RemoveOutcome {
                generation: entity.generation,
                removed: Vec::new(),
            });
        }
        doomed.erase(conn, &entity).await?;
        let mut left: HashSet<MemoryId> = doomed.ids.into_iter().collect();
        Ok(RemoveOutcome {
            generation: entity.generation.next(),
            removed: self.ids.into_iter().filter(|id| left.remove(id)).collect(),
        })
    }
}

/// What is to be removed.
#[derive(Default)]
struct Doomed {
    keys: Vec<i64>,
    ids: Vec<MemoryId>,
    labels: Vec<(i64, String)>,
    words: i64,
}

impl Delete {
    /// Finds the memories among the ids that are there, each once.
    async fn find(&self, conn: &mut SqliteConnection, entity_key: i64) -> Result<Doomed, Failure> {
        let distinct: HashSet<&MemoryId> = self.ids.iter().collect();
        let rows = query(concat!(
            "SELECT ",
            memory_columns!(),
            ", m.word_count FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key",
        ))
        .bind(entity_key)
        .bind(row::hex_list(distinct)?)
        .fetch(conn);
        let state = (Doomed::default(), self.entity.clone());
        let (doomed, _) = fold(rows, state, |(doomed, entity), row| {
            let memory = row::read(row, entity)?;
            doomed.take(row::key(row)?, &memory, row.try_get(NEXT_COLUMN)?);
            Ok(())
        })
        .await?;
        Ok(doomed)
    }
}

impl Doomed {
    fn take(&mut self, key: i64, memory: &Memory, words: i64) {
        self.keys.push(key);
        self.ids.push(memory.id);
        self.labels
            .extend(labels::of(memory).map(|label| (key, label)));
        self.words += words;
    }

    async fn erase(&self, conn: &mut SqliteConnection, entity: &EntityRow) -> Result<(), Failure> {
        let keys = to_json(&self.keys)?;
        labels::erase(conn, &self.labels).await?;
        erase_embeddings(conn, entity.key, &keys).await?;
        for sql in [
            "DELETE FROM memory_words WHERE rowid IN (SELECT value FROM json_each(?1))",
            // Takes the access counts along.
            "DELETE FROM memory WHERE memory_key IN (SELECT value FROM json_each(?1))",
        ] {
            query(sql).bind(&keys).execute(&mut *conn).await?;
        }
        query(
            "INSERT INTO memory_tombstone (entity_key, memory_id, version)
             SELECT ?1, unhex(value), ?2 FROM json_each(?3)",
        )
        .bind(entity.key)
        .bind(entity.generation.next().0.cast_signed())
        .bind(row::hex_list(&self.ids)?)
        .execute(&mut *conn)
        .await?;
        let change = EntityChange {
            memories: -(0..).zip(&self.keys).map(|_| 1).sum::<i64>(),
            words: -self.words,
            numbers_used: 0,
        };
        entity::raise(conn, &[(entity.key, change)].into()).await
    }
}

/// Removes the vectors of memories, by whichever models they are. `keys` is
/// JSON.
pub(crate) async fn erase_embeddings(
    conn: &mut SqliteConnection,
    entity_key: i64,
    keys: &str,
) -> Result<(), Failure> {
    query(
        "DELETE FROM memory_embedding WHERE embedding_key IN (
             SELECT doomed.value + (s.space_key - s.entity_key) * 4294967296
             FROM embedding_space AS s, json_each(?2) AS doomed WHERE s.entity_key = ?1)",
    )
    .bind(entity_key)
    .bind(keys)
    .execute(conn)
    .await?;
    Ok(())
}
