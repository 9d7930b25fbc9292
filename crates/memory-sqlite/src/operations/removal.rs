//! Removing memories with everything that depends on them: see
//! [`Store::delete`](memory_core::Store::delete).

use std::collections::{BTreeMap, HashSet};

use memory_core::{EntityId, Language, MemoryId, RemoveOutcome};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query, query_scalar};

use crate::connections::blocking::fold_rows;
use crate::error::Failure;
use crate::operations::archive::{self, embeddings_of};
use crate::rows::entity::CountDelta;
use crate::rows::{
    self, EntityRow, MemoryRow, NEXT_COLUMN, encode_collection, memory_columns, to_json,
};
use crate::search::filter_terms;
use crate::search::lexical;

/// Removes those of `ids` that exist, at the entity's next generation, and
/// returns the change of its counts; `None` where none exists. The caller raises
/// the entity.
pub(crate) async fn remove(
    conn: &mut SqliteConnection,
    name: &EntityId,
    entity: &EntityRow,
    ids: &[MemoryId],
    language: Option<Language>,
) -> Result<Option<(RemoveOutcome, CountDelta)>, Failure> {
    let mut set = RemovalSet::default();
    let mut next: HashSet<MemoryId> = ids.iter().copied().collect();
    // Upward, from the ids requested to the summaries that replace them.
    while !next.is_empty() {
        let summaries = set.add(conn, name, entity.key, next).await?;
        next = summaries.difference(&set.ids).copied().collect();
    }
    if set.keys.is_empty() {
        return Ok(None);
    }
    set.delete(conn, entity).await?;
    let (restored, mut delta) = restore(conn, entity, &set.ids, language).await?;
    let unlinked = unlink(conn, name, entity, &set.ids).await?;
    delta.tombstones += compact_tombstones(conn, entity, set.ids.len()).await?;
    delta.memories -= set.live;
    delta.archived -= set.archived;
    delta.words -= set.words;
    let outcome = RemoveOutcome::new(entity.generation.next(), set.ids.into_iter().collect())
        .restored(restored)
        .unlinked(unlinked);
    Ok(Some((outcome, delta)))
}

/// The memories to remove.
#[derive(Default)]
struct RemovalSet {
    keys: Vec<i64>,
    ids: HashSet<MemoryId>,
    filter_terms: Vec<(i64, String)>,
    live: i64,
    archived: i64,
    /// Words in the live ones.
    words: i64,
}

impl RemovalSet {
    /// Finds memories and adds them; returns the summaries that replace them.
    async fn add(
        &mut self,
        conn: &mut SqliteConnection,
        name: &EntityId,
        entity_key: i64,
        ids: HashSet<MemoryId>,
    ) -> Result<HashSet<MemoryId>, Failure> {
        let rows = query(concat!(
            "SELECT ",
            memory_columns!(),
            ", m.word_count FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key",
        ))
        .bind(entity_key)
        .bind(rows::encode_ids(&ids)?)
        .fetch(conn);
        let state = (std::mem::take(self), HashSet::new(), name.clone());
        let (set, summaries, _) = fold_rows(rows, state, |(set, summaries, name), row| {
            let found = MemoryRow::decode(row, name)?;
            summaries.extend(found.memory.archived_by);
            set.push(&found, row.try_get(NEXT_COLUMN)?);
            Ok(())
        })
        .await?;
        *self = set;
        Ok(summaries)
    }

    fn push(&mut self, MemoryRow { key, memory }: &MemoryRow, words: i64) {
        self.keys.push(*key);
        self.ids.insert(memory.id);
        self.filter_terms
            .extend(filter_terms::of(memory).map(|term| (*key, term)));
        if memory.archived_by.is_some() {
            self.archived += 1;
        } else {
            self.live += 1;
            self.words += words;
        }
    }

    async fn delete(&self, conn: &mut SqliteConnection, entity: &EntityRow) -> Result<(), Failure> {
        let keys = to_json(&self.keys)?;
        filter_terms::delete(conn, &self.filter_terms).await?;
        delete_embeddings(conn, entity.key, &keys).await?;
        for sql in [
            lexical::DELETE_ENTRIES,
            // Deletes the access counts as well, by its foreign key.
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
        .bind(rows::encode_ids(&self.ids)?)
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// The number of tombstones that an entity keeps at least.
const MIN_TOMBSTONES_KEPT: i64 = 1_000;

/// Drops the oldest half of an entity's tombstones where there are more than it
/// has live memories, and more than [`MIN_TOMBSTONES_KEPT`]. So tombstones never
/// outgrow the memories, and dropping them costs a constant per removal on
/// average.
///
/// Call it after `added` tombstones were inserted; it returns the change of the
/// entity's count.
async fn compact_tombstones(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    added: usize,
) -> Result<i64, Failure> {
    let added = i64::try_from(added).unwrap_or(i64::MAX);
    let limit = rows::encode_count(entity.memory_count).max(MIN_TOMBSTONES_KEPT);
    if entity.tombstone_count.saturating_add(added) <= limit {
        return Ok(added);
    }
    let count = "SELECT count(*) FROM memory_tombstone WHERE entity_key = ?1";
    let count: i64 = query_scalar(count)
        .bind(entity.key)
        .fetch_one(&mut *conn)
        .await?;
    if count <= limit {
        return Ok(count - entity.tombstone_count);
    }
    let floor: i64 = query_scalar(
        "SELECT version FROM memory_tombstone WHERE entity_key = ?1
         ORDER BY version LIMIT 1 OFFSET ?2",
    )
    .bind(entity.key)
    .bind(count / 2 - 1)
    .fetch_one(&mut *conn)
    .await?;
    let dropped = query("DELETE FROM memory_tombstone WHERE entity_key = ?1 AND version <= ?2")
        .bind(entity.key)
        .bind(floor)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    query("UPDATE entity SET tombstone_floor = ?2 WHERE entity_key = ?1")
        .bind(entity.key)
        .bind(floor)
        .execute(conn)
        .await?;
    Ok(count - rows::encode_count(dropped) - entity.tombstone_count)
}

/// Makes the sources of removed summaries live again.
async fn restore(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    removed: &HashSet<MemoryId>,
    language: Option<Language>,
) -> Result<(Vec<MemoryId>, CountDelta), Failure> {
    let sources = query(
        // Named explicitly: the planner would otherwise scan the entity.
        "SELECT m.memory_key, m.memory_id FROM memory AS m INDEXED BY memory_by_summary
         WHERE m.entity_key = ?1 AND m.archived_by IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(entity.key)
    .bind(rows::encode_ids(removed)?)
    .fetch_all(&mut *conn)
    .await?;
    let (mut keys, mut ids) = (Vec::new(), Vec::new());
    for source in &sources {
        keys.push(rows::key(source)?);
        ids.push(rows::id(source)?);
    }
    let delta = archive::restore(conn, entity, &keys, language).await?;
    Ok((ids, delta))
}

/// Removes the links of other memories to removed ones.
async fn unlink(
    conn: &mut SqliteConnection,
    name: &EntityId,
    entity: &EntityRow,
    removed: &HashSet<MemoryId>,
) -> Result<Vec<MemoryId>, Failure> {
    let wanted: Vec<String> = removed.iter().map(filter_terms::link).collect();
    let linking = query(concat!(
        "SELECT ",
        memory_columns!(),
        " FROM memory AS m LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key
         WHERE m.memory_key IN (SELECT memory_key FROM memory_label
             WHERE entity_key = ?1 AND label IN (SELECT value FROM json_each(?2)))",
    ))
    .bind(entity.key)
    .bind(to_json(&wanted)?)
    .fetch_all(&mut *conn)
    .await?;
    let (mut unlinked, mut rows, mut dropped) = (Vec::new(), BTreeMap::new(), Vec::new());
    for row in &linking {
        let MemoryRow { key, mut memory } = MemoryRow::decode(row, name)?;
        memory.related.retain(|id, _| {
            let is_removed = removed.contains(id);
            if is_removed {
                dropped.push((key, filter_terms::link(id)));
            }
            !is_removed
        });
        rows.insert(key, encode_collection(&memory.related)?);
        unlinked.push(memory.id);
    }
    if unlinked.is_empty() {
        return Ok(unlinked);
    }
    filter_terms::delete(conn, &dropped).await?;
    let rows: Vec<_> = rows.into_iter().collect();
    query(
        "UPDATE memory SET related = one.value ->> 1, version = ?2
         FROM jsonb_each(?1) AS one WHERE memory_key = one.value ->> 0",
    )
    .bind(to_json(&rows)?)
    .bind(entity.generation.next().0.cast_signed())
    .execute(conn)
    .await?;
    Ok(unlinked)
}

/// Deletes the vectors of memories, live or archived, of every model. `keys` is
/// JSON.
pub(crate) async fn delete_embeddings(
    conn: &mut SqliteConnection,
    entity_key: i64,
    keys: &str,
) -> Result<(), Failure> {
    for sql in [
        concat!("DELETE FROM memory_embedding ", embeddings_of!()),
        concat!("DELETE FROM archived_embedding ", embeddings_of!()),
    ] {
        query(sql)
            .bind(entity_key)
            .bind(keys)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
