//! Reading, creating and updating the row of an entity: its generation and its
//! counts.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::EntityId;
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::error::Failure;
use crate::reindex::analysis_state::{AnalysisState, analysis_columns};
use crate::rows::{ENTITY_COLUMNS, EntityRow, entity_columns, to_json};

/// What a write adds to the counts in an entity's row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountDelta {
    /// Live memories, and the words in them.
    pub(crate) memories: i64,
    pub(crate) words: i64,
    pub(crate) archived: i64,
    pub(crate) numbers_used: i64,
    pub(crate) tombstones: i64,
}

/// Reads an entity's row; `None` before its first write.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityId,
) -> Result<Option<EntityRow>, Failure> {
    query(concat!(
        "SELECT ",
        entity_columns!(),
        " FROM entity AS e WHERE e.entity_id = ?1"
    ))
    .bind(entity.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(EntityRow::decode)
    .transpose()
}

/// As [`find`], with the state of the lexical index.
pub(crate) async fn find_with_analysis(
    conn: &mut SqliteConnection,
    entity: &EntityId,
) -> Result<Option<(EntityRow, AnalysisState)>, Failure> {
    let row = query(concat!(
        "SELECT ",
        entity_columns!(),
        ", ",
        analysis_columns!(),
        " FROM entity AS e CROSS JOIN text_analysis AS t WHERE e.entity_id = ?1"
    ))
    .bind(entity.as_str())
    .fetch_optional(conn)
    .await?;
    let decode = |row: &SqliteRow| {
        let analysis = AnalysisState::decode(row, ENTITY_COLUMNS)?;
        Ok((EntityRow::decode(row)?, analysis))
    };
    row.as_ref().map(decode).transpose()
}

/// Reads the rows of entities, and creates those that are missing.
pub(crate) async fn find_or_create<'e>(
    conn: &mut SqliteConnection,
    entities: &BTreeSet<&'e EntityId>,
) -> Result<BTreeMap<&'e EntityId, EntityRow>, Failure> {
    let names = to_json(entities)?;
    let mut rows = find_all(conn, &names).await?;
    // Most writes are to entities that exist.
    if rows.len() < entities.len() {
        query(
            "INSERT INTO entity (entity_id) SELECT value FROM json_each(?1) WHERE true
             ON CONFLICT (entity_id) DO NOTHING",
        )
        .bind(&names)
        .execute(&mut *conn)
        .await?;
        rows = find_all(conn, &names).await?;
    }
    if rows.len() != entities.len() {
        return Err(Failure::Damaged("the row of an entity is missing"));
    }
    entities
        .iter()
        .zip(&rows)
        .map(|(entity, row)| Ok((*entity, EntityRow::decode(row)?)))
        .collect()
}

/// The rows of those entities of a JSON array that exist, in its order.
async fn find_all(conn: &mut SqliteConnection, names: &str) -> Result<Vec<SqliteRow>, Failure> {
    let rows = query(concat!(
        "SELECT ",
        entity_columns!(),
        " FROM json_each(?1) AS wanted JOIN entity AS e ON e.entity_id = wanted.value
         ORDER BY wanted.key",
    ));
    Ok(rows.bind(names).fetch_all(conn).await?)
}

/// Deltas by the key of their entity, as [`raise_entities`] takes them.
pub(crate) fn encode_deltas(deltas: &BTreeMap<i64, CountDelta>) -> Result<String, Failure> {
    let deltas: Vec<_> = deltas
        .iter()
        .map(|(key, delta)| {
            let CountDelta {
                memories,
                words,
                archived,
                numbers_used,
                tombstones,
            } = delta;
            (key, memories, words, numbers_used, archived, tombstones)
        })
        .collect();
    to_json(&deltas)
}

/// Increments the generations of entities and adjusts their counts by
/// [`encode_deltas`]. A literal for `concat!`.
macro_rules! raise_entities {
    () => {
        "UPDATE entity SET
             generation = generation + 1,
             memory_count = memory_count + (delta.value ->> 1),
             word_count = word_count + (delta.value ->> 2),
             next_number = next_number + (delta.value ->> 3),
             archived_count = archived_count + (delta.value ->> 4),
             tombstone_count = tombstone_count + (delta.value ->> 5)
         FROM jsonb_each(?) AS delta
         WHERE entity.entity_key = delta.value ->> 0"
    };
}
pub(crate) use raise_entities;

/// Increments the generation of each entity, by its key, and adjusts its counts.
pub(crate) async fn raise(
    conn: &mut SqliteConnection,
    deltas: &BTreeMap<i64, CountDelta>,
) -> Result<(), Failure> {
    if !deltas.is_empty() {
        query(raise_entities!())
            .bind(encode_deltas(deltas)?)
            .execute(conn)
            .await?;
    }
    Ok(())
}
