//! The row of an entity: its key, its generation and its counts.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{EntityId, Generation};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::error::Failure;
use crate::row::to_json;

/// What the database knows of an entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntityRow {
    pub(crate) key: i64,
    pub(crate) generation: Generation,
    /// Live memories.
    pub(crate) memory_count: u64,
    pub(crate) archived_count: u64,
    /// Words in its live memories.
    pub(crate) word_count: u64,
    /// The number of its next memory.
    pub(crate) next_number: i64,
}

/// What a write changes in an entity's row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EntityChange {
    /// Live memories, and the words in them.
    pub(crate) memories: i64,
    pub(crate) words: i64,
    pub(crate) archived: i64,
    pub(crate) numbers_used: i64,
}

impl EntityRow {
    /// The generation after a write that did, or did not, change something.
    pub(crate) fn generation_after(&self, raised: bool) -> Generation {
        if raised {
            self.generation.next()
        } else {
            self.generation
        }
    }

    fn read(row: &SqliteRow) -> Result<Self, Failure> {
        Ok(Self {
            key: row.try_get(0)?,
            generation: Generation(row.try_get(1)?),
            memory_count: row.try_get(2)?,
            word_count: row.try_get(3)?,
            next_number: row.try_get(4)?,
            archived_count: row.try_get(5)?,
        })
    }
}

/// Reads an entity's row; `None` before its first write.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityId,
) -> Result<Option<EntityRow>, Failure> {
    query(
        "SELECT entity_key, generation, memory_count, word_count, next_number, archived_count
         FROM entity WHERE entity_id = ?1",
    )
    .bind(entity.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(EntityRow::read)
    .transpose()
}

/// Makes the rows that are missing and reads all of them.
pub(crate) async fn find_or_make<'e>(
    conn: &mut SqliteConnection,
    entities: &BTreeSet<&'e EntityId>,
) -> Result<BTreeMap<&'e EntityId, EntityRow>, Failure> {
    let names = to_json(entities)?;
    query(
        "INSERT INTO entity (entity_id) SELECT value FROM json_each(?1) WHERE true
         ON CONFLICT (entity_id) DO NOTHING",
    )
    .bind(&names)
    .execute(&mut *conn)
    .await?;
    let rows = query(
        "SELECT e.entity_key, e.generation, e.memory_count, e.word_count, e.next_number, e.archived_count
         FROM json_each(?1) AS wanted JOIN entity AS e ON e.entity_id = wanted.value
         ORDER BY wanted.key",
    )
    .bind(&names)
    .fetch_all(conn)
    .await?;
    if rows.len() != entities.len() {
        return Err(Failure::Damaged("the row of an entity is missing"));
    }
    entities
        .iter()
        .zip(&rows)
        .map(|(entity, row)| Ok((*entity, EntityRow::read(row)?)))
        .collect()
}

/// Raises the generation of each entity, by its key, and adjusts its counts.
pub(crate) async fn raise(
    conn: &mut SqliteConnection,
    changes: &BTreeMap<i64, EntityChange>,
) -> Result<(), Failure> {
    let changes: Vec<_> = changes
        .iter()
        .map(|(key, change)| {
            let EntityChange {
                memories,
                words,
                archived,
                numbers_used,
            } = change;
            (key, memories, words, numbers_used, archived)
        })
        .collect();
    query(
        "UPDATE entity SET
             generation = generation + 1,
             memory_count = memory_count + (change.value ->> 1),
             word_count = word_count + (change.value ->> 2),
             next_number = next_number + (change.value ->> 3),
             archived_count = archived_count + (change.value ->> 4)
         FROM jsonb_each(?1) AS change
         WHERE entity.entity_key = change.value ->> 0",
    )
    .bind(to_json(&changes)?)
    .execute(conn)
    .await?;
    Ok(())
}
