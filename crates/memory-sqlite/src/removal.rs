//! Removing memories, and what follows from it: see
//! [`Store::delete`](memory_core::Store::delete).

use std::collections::{BTreeMap, HashSet};

use memory_core::{EntityId, Memory, MemoryId, RemoveOutcome};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::archive::{self, embeddings_of};
use crate::entity::{EntityChange, EntityRow};
use crate::error::Failure;
use crate::offload::fold;
use crate::row::{self, NEXT_COLUMN, json_column, memory_columns, to_json};
use crate::{labels, lexical};

/// Removes those of `ids` that are there, at the entity's next generation, and
/// tells what that changes in its counts; `None` where nothing is there. The
/// caller raises the entity.
pub(crate) async fn remove(
    conn: &mut SqliteConnection,
    name: &EntityId,
    entity: &EntityRow,
    ids: &[MemoryId],
) -> Result<Option<(RemoveOutcome, EntityChange)>, Failure> {
    let mut doomed = Doomed::default();
    let mut next: HashSet<MemoryId> = ids.iter().copied().collect();
    // Upwards, from what was asked for to the summaries that stand for it.
    while !next.is_empty() {
        let above = doomed.find(conn, name, entity.key, next).await?;
        next = above.difference(&doomed.ids).copied().collect();
    }
    if doomed.keys.is_empty() {
        return Ok(None);
    }
    doomed.erase(conn, entity).await?;
    let (restored, mut change) = restore(conn, entity, &doomed.ids).await?;
    let unlinked = unlink(conn, name, entity, &doomed.ids).await?;
    change.memories -= doomed.live;
    change.archived -= doomed.archived;
    change.words -= doomed.words;
    let outcome = RemoveOutcome {
        generation: entity.generation.next(),
        removed: doomed.ids.into_iter().collect(),
        restored,
        unlinked,
    };
    Ok(Some((outcome, change)))
}

/// What is to be removed.
#[derive(Default)]
struct Doomed {
    keys: Vec<i64>,
    ids: HashSet<MemoryId>,
    labels: Vec<(i64, String)>,
    live: i64,
    archived: i64,
    /// Words in the live ones.
    words: i64,
}

impl Doomed {
    /// Finds memories and takes them up; answers the summaries that stand for
    /// them.
    async fn find(
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
        .bind(row::hex_list(&ids)?)
        .fetch(conn);
        let state = (std::mem::take(self), HashSet::new(), name.clone());
        let (doomed, above, _) = fold(rows, state, |(doomed, above, name), row| {
            let memory = row::read(row, name)?;
            above.extend(memory.archived_by);
            doomed.take(row::key(row)?, &memory, row.try_get(NEXT_COLUMN)?);
            Ok(())
        })
        .await?;
        *self = doomed;
        Ok(above)
    }

    fn take(&mut self, key: i64, memory: &Memory, words: i64) {
        self.keys.push(key);
        self.ids.insert(memory.id);
        self.labels
            .extend(labels::of(memory).map(|label| (key, label)));
        if memory.archived_by.is_some() {
            self.archived += 1;
        } else {
            self.live += 1;
            self.words += words;
        }
    }

    async fn erase(&self, conn: &mut SqliteConnection, entity: &EntityRow) -> Result<(), Failure> {
        let keys = to_json(&self.keys)?;
        labels::erase(conn, &self.labels).await?;
        erase_embeddings(conn, entity.key, &keys).await?;
        for sql in [
            lexical::DELETE_ENTRIES,
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
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Makes live again what the removed summaries stood for.
async fn restore(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    removed: &HashSet<MemoryId>,
) -> Result<(Vec<MemoryId>, EntityChange), Failure> {
    let sources = query(
        // By its name: left to itself, the planner walks through the entity.
        "SELECT m.memory_key, m.memory_id FROM memory AS m INDEXED BY memory_by_summary
         WHERE m.entity_key = ?1 AND m.archived_by IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(entity.key)
    .bind(row::hex_list(removed)?)
    .fetch_all(&mut *conn)
    .await?;
    let (mut keys, mut ids) = (Vec::new(), Vec::new());
    for source in &sources {
        keys.push(row::key(source)?);
        ids.push(row::id(source)?);
    }
    let change = archive::restore(conn, entity, &keys).await?;
    Ok((ids, change))
}

/// Drops the links of other memories to what was removed.
async fn unlink(
    conn: &mut SqliteConnection,
    name: &EntityId,
    entity: &EntityRow,
    removed: &HashSet<MemoryId>,
) -> Result<Vec<MemoryId>, Failure> {
    let wanted: Vec<String> = removed.iter().map(labels::link).collect();
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
        let (key, mut memory) = (row::key(row)?, row::read(row, name)?);
        memory.related.retain(|id, _| {
            let gone = removed.contains(id);
            if gone {
                dropped.push((key, labels::link(id)));
            }
            !gone
        });
        rows.insert(key, json_column(&memory.related)?);
        unlinked.push(memory.id);
    }
    if unlinked.is_empty() {
        return Ok(unlinked);
    }
    labels::erase(conn, &dropped).await?;
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

/// Removes the vectors of memories, live or archived, by whichever models they
/// are. `keys` is JSON.
pub(crate) async fn erase_embeddings(
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
