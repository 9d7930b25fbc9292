//! [`Store::snapshot_pages`](memory_core::Store::snapshot_pages): pages of 128
//! consecutive numbers, in one row each.
//!
//! What a reader made of memories replaces their rows in a load. As with search pages
//! (`page`), numbers are never used twice, so a page is complete once its numbers are
//! assigned; triggers delete it with any change of its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Weak;
use std::time::Duration;
use std::{io, mem};

use memory_core::{
    AccessState, EmbeddedMemory, EntityId, Fingerprint, Generation, SnapshotPage, SnapshotPart,
    SnapshotState,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::connections::blocking::{FoldState, fold_rows};
use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::embedded_rows::{EmbeddedRows, select_embedded};
use crate::rows::embedding_space::{self, EmbeddingSpace};
use crate::rows::entity;
use crate::rows::row_keys;
use crate::rows::{self, EntityRow};
use crate::search::page::content_len;
use crate::search::page_batch::PageBatch;

/// Numbers of a page. The migration divides by it as well.
const PAGE_NUMBERS: i64 = 128;
const _: () = assert!(PAGE_NUMBERS.unsigned_abs() <= SnapshotPage::MAX_MEMORIES as u64);

/// An entity with memories for fewer pages has none: its rows are read in a few milliseconds.
const MIN_PAGES: i64 = 4;

/// The most pages that are read at once: 1.4 MiB with vectors of 384 dimensions.
const MAX_BATCH: i64 = 8;

/// The share of a file of limited size beyond which no page is written, in quarters: the
/// rest is for memories.
const MAX_QUARTERS: u64 = 3;

/// Reads an entity's state.
pub(crate) struct ReadPages {
    pub(crate) entity: EntityId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) format: u64,
    /// Whether pages may be written of what is read.
    pub(crate) keeps_pages: bool,
    /// What the caller has while it waits: without it reading ends early.
    pub(crate) wanted: Weak<()>,
}

impl Transaction for ReadPages {
    type Output = SnapshotState;
    const OPERATION: &'static str = "read_snapshot_pages";

    async fn run(self, conn: &mut SqliteConnection) -> Result<SnapshotState, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(SnapshotState::default());
        };
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        let end = complete_pages(&entity);
        let pages = match space {
            Some(space) if end > 0 => self.read_pages(conn, &entity, space).await?,
            _ => BTreeMap::new(),
        };
        let keys: BTreeSet<i64> = pages.keys().copied().collect();
        let accesses = read_accesses(conn, &entity, keys.clone()).await?;
        let mut parts: BTreeMap<i64, SnapshotPart> = pages
            .into_iter()
            .map(|(page, content)| (page, SnapshotPart::Page(content)))
            .collect();
        let numbers = unread_numbers(&keys, &entity);
        let keeps_pages = self.keeps_pages;
        let reader = EmbeddedRows {
            entity: self.entity,
            entity_key: entity.key,
            fingerprint: self.fingerprint,
            space,
        };
        for (page, group) in read_rows(conn, reader, numbers, self.wanted).await? {
            let is_kept = keeps_pages && page < end && !group.lacks_vectors;
            parts.insert(
                page,
                SnapshotPart::Memories {
                    page: u64::try_from(page).ok().filter(|_| is_kept),
                    memories: group.memories,
                },
            );
        }
        let parts = parts.into_values().collect();
        Ok(SnapshotState::new(entity.generation, parts).accesses(accesses))
    }
}

impl ReadPages {
    /// The contents of intact pages, by their numbers.
    async fn read_pages(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
        space: EmbeddingSpace,
    ) -> Result<BTreeMap<i64, Vec<u8>>, Failure> {
        let first = key(entity.key, 0);
        let (mut next, end) = (first, key(entity.key, complete_pages(entity)));
        let (format, space) = (self.format.cast_signed(), space.key);
        let mut fold = FoldState::Idle(BTreeMap::new());
        let mut size = PageBatch::new(MAX_BATCH);
        while next < end {
            check_wanted(&self.wanted)?;
            let batch = query(
                "SELECT page_key, checksum, content FROM snapshot_page
                 WHERE page_key >= ?1 AND page_key < ?2 AND space_key = ?3 AND format = ?4
                 ORDER BY page_key LIMIT ?5",
            )
            .bind(next)
            .bind(end)
            .bind(space)
            .bind(format)
            .bind(size.size())
            .fetch_all(&mut *conn)
            .await?;
            size.note(batch.iter().map(content_len));
            let Some(last) = batch.last() else { break };
            next = last.try_get::<i64, _>(0)? + 1;
            let mut pages = fold.finish().await?;
            fold = FoldState::start(move || {
                for row in &batch {
                    let (page, content): (i64, &[u8]) = (row.try_get(0)?, row.try_get(2)?);
                    if checksum(page, space, format, content) == row.try_get::<i64, _>(1)? {
                        pages.insert(page - first, content.to_vec());
                    } else {
                        tracing::warn!(
                            table = "snapshot_page",
                            page,
                            "the checksum of a snapshot page differs; its rows are read, and it is made again"
                        );
                    }
                }
                Ok(pages)
            });
        }
        fold.finish().await
    }
}

/// Counts an entity's pages.
pub(crate) struct CountPages {
    pub(crate) entity: EntityId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) format: u64,
}

impl Transaction for CountPages {
    type Output = u64;
    const OPERATION: &'static str = "count_snapshot_pages";

    async fn run(self, conn: &mut SqliteConnection) -> Result<u64, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(0);
        };
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        let Some(space) = space else { return Ok(0) };
        let row = query(
            "SELECT count(*) FROM snapshot_page
             WHERE page_key >= ?1 AND page_key < ?2 AND space_key = ?3 AND format = ?4",
        )
        .bind(key(entity.key, 0))
        .bind(key(entity.key, complete_pages(&entity)))
        .bind(space.key)
        .bind(self.format.cast_signed())
        .fetch_one(conn)
        .await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }
}

/// The accesses of memories in pages, archived ones included: whether one is, its row says
/// behind its content.
async fn read_accesses(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    pages: BTreeSet<i64>,
) -> Result<Vec<AccessState>, Failure> {
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(
        "SELECT m.memory_key - ?1, m.memory_id, a.access_count, a.last_accessed
         FROM memory_access AS a CROSS JOIN memory AS m ON m.memory_key = a.memory_key
         WHERE a.memory_key >= ?1 AND a.memory_key < ?2",
    )
    .bind(row_keys::key(entity.key, 0))
    .bind(row_keys::key(entity.key, entity.next_number))
    .fetch(conn);
    let state = (Vec::new(), pages);
    let (accesses, _) = fold_rows(rows, state, |(accesses, pages), row| {
        let number: i64 = row.try_get(0)?;
        if pages.contains(&(number / PAGE_NUMBERS)) {
            let (count, last): (i64, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
            accesses.push(AccessState::new(
                rows::id(row)?,
                count.cast_unsigned(),
                last.map(rows::decode_time).transpose()?,
            ));
        }
        Ok(())
    })
    .await?;
    Ok(accesses)
}

/// The memories of one page.
#[derive(Default)]
struct Group {
    memories: Vec<EmbeddedMemory>,
    /// Whether one of them has no vectors in the space.
    lacks_vectors: bool,
}

/// The memories of pages, by the numbers of these.
type Groups = BTreeMap<i64, Group>;

/// The live memories with these numbers, by the numbers of their pages.
async fn read_rows(
    conn: &mut SqliteConnection,
    reader: EmbeddedRows,
    numbers: Vec<Range<i64>>,
    wanted: Weak<()>,
) -> Result<Groups, Failure> {
    let (entity, shift) = (reader.entity_key, reader.shift());
    let mut state = (Groups::new(), reader, wanted);
    for numbers in numbers {
        let rows = query(concat!(
            select_embedded!(),
            "WHERE m.memory_key >= ?2 AND m.memory_key < ?3 AND m.archived_by IS NULL
             ORDER BY m.memory_key",
        ))
        .bind(shift)
        .bind(row_keys::key(entity, numbers.start))
        .bind(row_keys::key(entity, numbers.end))
        .fetch(&mut *conn);
        state = fold_rows(rows, state, |(groups, reader, wanted), row| {
            check_wanted(wanted)?;
            let (key, memory) = reader.decode(row)?;
            let number = key - row_keys::key(reader.entity_key, 0);
            let group = groups.entry(number / PAGE_NUMBERS).or_default();
            group.lacks_vectors |= memory.embedding.vectors.is_empty();
            group.memories.push(memory);
            Ok(())
        })
        .await?;
    }
    Ok(state.0)
}

/// Ends reading early where the caller was dropped: the error reaches nobody.
fn check_wanted(wanted: &Weak<()>) -> Result<(), Failure> {
    if wanted.strong_count() == 0 {
        let dropped = io::Error::new(io::ErrorKind::Interrupted, "the caller was dropped");
        return Err(sqlx::Error::Io(dropped).into());
    }
    Ok(())
}

/// Keeps pages of memories that did not change since they were read.
pub(crate) struct WritePages {
    pub(crate) entity: EntityId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) format: u64,
    pub(crate) read_at: Generation,
    pub(crate) pages: Vec<SnapshotPage>,
}

impl Transaction for WritePages {
    type Output = ();
    const OPERATION: &'static str = "write_snapshot_pages";
    /// Pages can be made again: nobody should wait for them.
    const MAX_BUSY_TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(mut self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(());
        };
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        // An earlier generation is that of another file, restored meanwhile.
        let Some(space) = space.filter(|_| entity.generation >= self.read_at) else {
            return Ok(());
        };
        if !has_room(conn).await? {
            return Ok(());
        }
        let (format, end) = (self.format.cast_signed(), complete_pages(&entity));
        for page in mem::take(&mut self.pages) {
            let number = i64::try_from(page.number).unwrap_or(i64::MAX);
            let memories = page.ids.len() as u64;
            if number >= end
                || !self
                    .is_unchanged(conn, &entity, space, numbers(number), memories)
                    .await?
            {
                continue;
            }
            let key = key(entity.key, number);
            // Another process may have written the same.
            query(
                "INSERT INTO snapshot_page (page_key, space_key, format, checksum, content)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (page_key) DO UPDATE SET space_key = excluded.space_key,
                     format = excluded.format, checksum = excluded.checksum,
                     content = excluded.content
                 WHERE (space_key, format, checksum, content) IS NOT
                     (excluded.space_key, excluded.format, excluded.checksum, excluded.content)",
            )
            .bind(key)
            .bind(space.key)
            .bind(format)
            .bind(checksum(key, space.key, format, &page.content))
            .bind(page.content)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }
}

/// Whether pages leave room for memories, in a file of limited size.
async fn has_room(conn: &mut SqliteConnection) -> Result<bool, Failure> {
    let mut pages = [0u64; 3];
    for (pragma, pages) in [
        "PRAGMA page_count",
        "PRAGMA freelist_count",
        "PRAGMA max_page_count",
    ]
    .into_iter()
    .zip(&mut pages)
    {
        let count: i64 = query(pragma).fetch_one(&mut *conn).await?.try_get(0)?;
        *pages = count.unsigned_abs();
    }
    let [all, free, max] = pages;
    Ok(all.saturating_sub(free) * 4 <= max.saturating_mul(MAX_QUARTERS))
}

impl WritePages {
    /// Whether a page's live memories are those that were read, with their vectors: one
    /// that was written since has a later version, and none can have been added but by a
    /// write. Vectors are removed without one, so each memory must still have its own.
    async fn is_unchanged(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
        space: EmbeddingSpace,
        numbers: Range<i64>,
        memories: u64,
    ) -> Result<bool, Failure> {
        let row = query(
            "SELECT count(*), coalesce(max(version), 0),
                 (SELECT count(*) FROM memory_embedding
                  WHERE embedding_key >= ?1 + ?3 AND embedding_key < ?2 + ?3)
             FROM memory
             WHERE memory_key >= ?1 AND memory_key < ?2 AND archived_by IS NULL",
        )
        .bind(row_keys::key(entity.key, numbers.start))
        .bind(row_keys::key(entity.key, numbers.end))
        .bind(row_keys::shift(entity.key, space.key))
        .fetch_one(conn)
        .await?;
        let (count, version): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let embedded: i64 = row.try_get(2)?;
        Ok(count.cast_unsigned() == memories
            && embedded == count
            && version.cast_unsigned() <= self.read_at.0)
    }
}

/// The number of pages that an entity may have, by the number of its next memory.
fn complete_pages(entity: &EntityRow) -> i64 {
    let is_small = entity.memory_count < (MIN_PAGES * PAGE_NUMBERS).unsigned_abs();
    if is_small {
        0
    } else {
        entity.next_number / PAGE_NUMBERS
    }
}

/// The numbers of a page.
fn numbers(page: i64) -> Range<i64> {
    page * PAGE_NUMBERS..(page + 1) * PAGE_NUMBERS
}

/// The key of a page's row.
fn key(entity_key: i64, page: i64) -> i64 {
    row_keys::key(entity_key, 0) / PAGE_NUMBERS + page
}

/// The checksum of a page: of its content, its key, its embedding space and its format.
fn checksum(key: i64, space: i64, format: i64, content: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for number in [key, space, format] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(content);
    i64::from(hasher.finalize())
}

/// The numbers that no page has, in as few ranges as possible.
fn unread_numbers(pages: &BTreeSet<i64>, entity: &EntityRow) -> Vec<Range<i64>> {
    let mut ranges = Vec::new();
    let mut next = 0;
    for page in pages.iter().map(|page| numbers(*page)) {
        if next < page.start {
            ranges.push(next..page.start);
        }
        next = page.end;
    }
    if next < entity.next_number {
        ranges.push(next..entity.next_number);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memory_core::{ErrorKind, Store};
    use memory_testkit::{SeededRng, fixtures};
    use sqlx::Connection;

    use super::*;
    use crate::SqliteStore;

    #[test]
    fn what_no_page_has_is_read_from_rows() {
        let mut entity = EntityRow {
            key: 1,
            generation: Generation(1),
            memory_count: 600,
            archived_count: 0,
            word_count: 0,
            next_number: 600,
            tombstone_count: 0,
            tombstone_floor: Generation(0),
        };
        assert_eq!(complete_pages(&entity), 4);
        entity.memory_count = 511;
        assert_eq!(complete_pages(&entity), 0);
        let unread = |pages: &[i64]| -> Vec<(i64, i64)> {
            let pages = pages.iter().copied().collect();
            let ranges = unread_numbers(&pages, &entity).into_iter();
            ranges.map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(unread(&[]), [(0, 600)]);
        assert_eq!(unread(&[0, 1, 2, 3]), [(512, 600)]);
        assert_eq!(unread(&[1, 3]), [(0, 128), (256, 384), (512, 600)]);
        // The key of a page is that of its rows, divided.
        assert_eq!(key(7, 3), row_keys::key(7, 3 * 128 + 127) >> 7);
    }

    #[tokio::test]
    async fn nothing_is_read_for_a_caller_that_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("agent.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        let entity = EntityId::from("mira");
        let batch = fixtures::varied_memories(&entity, 600, &mut SeededRng::new(1));
        store.insert(&batch).await.unwrap();
        store.close().await.unwrap();
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        let wanted = Arc::new(());
        let read = |wanted| ReadPages {
            entity: entity.clone(),
            fingerprint: fixtures::fingerprint(),
            format: 1,
            keeps_pages: true,
            wanted,
        };
        let state = read(Arc::downgrade(&wanted)).run(&mut conn).await;
        assert!(!state.unwrap().parts.is_empty());
        let Err(ended) = read(Weak::new()).run(&mut conn).await else {
            panic!("it was read");
        };
        let ended = ended.into_error(ReadPages::OPERATION);
        assert_eq!(ended.kind(), ErrorKind::Other);
        // The connection is as before.
        let again = read(Arc::downgrade(&wanted)).run(&mut conn).await;
        assert!(!again.unwrap().parts.is_empty());
    }
}
