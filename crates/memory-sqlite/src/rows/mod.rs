//! Rows of the tables `entity` and `memory`: encoding and decoding their columns.

pub(crate) mod embedding_space;
pub(crate) mod entity;
pub(crate) mod row_keys;
pub(crate) mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{EntityId, Generation, Memory, MemoryId, MemoryKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::Failure;
use crate::rows::entity::CountDelta;

/// The columns that [`MemoryRow::decode`] reads, as a literal for `concat!`;
/// the table `memory` is `m`, `memory_access` is `a`.
macro_rules! memory_columns {
    () => {
        "m.memory_key, m.memory_id, m.kind, m.content, m.timestamp, m.importance, m.decay_rate, \
         m.context, m.metadata, m.related, m.entities, m.tags, a.access_count, a.last_accessed, \
         m.archived_by"
    };
}
pub(crate) use memory_columns;

/// The first column after those of [`memory_columns`].
pub(crate) const NEXT_COLUMN: usize = 15;

/// A row of the table `entity`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntityRow {
    pub(crate) key: i64,
    pub(crate) generation: Generation,
    /// Live memories.
    pub(crate) memory_count: u64,
    pub(crate) archived_count: u64,
    /// Words in live memories.
    pub(crate) word_count: u64,
    /// The number of the next memory.
    pub(crate) next_number: i64,
    /// The number of tombstones, or more.
    pub(crate) tombstone_count: i64,
    /// Tombstones up to this generation may have been dropped.
    pub(crate) tombstone_floor: Generation,
}

/// The columns that [`EntityRow::decode`] reads, as a literal for `concat!`;
/// the table is `e`.
macro_rules! entity_columns {
    () => {
        "e.entity_key, e.generation, e.memory_count, e.word_count, e.next_number, \
         e.archived_count, e.tombstone_count, e.tombstone_floor"
    };
}
pub(crate) use entity_columns;

/// The number of the columns of [`entity_columns`].
pub(crate) const ENTITY_COLUMNS: usize = 8;

impl EntityRow {
    /// The generation after a write that did, or did not, change something.
    pub(crate) fn generation_after(&self, changed: bool) -> Generation {
        if changed {
            self.generation.next()
        } else {
            self.generation
        }
    }

    /// The row after a write that added this to its counts.
    pub(crate) fn after(&self, delta: &CountDelta) -> Self {
        Self {
            generation: self.generation.next(),
            memory_count: self.memory_count.saturating_add_signed(delta.memories),
            archived_count: self.archived_count.saturating_add_signed(delta.archived),
            word_count: self.word_count.saturating_add_signed(delta.words),
            next_number: self.next_number.saturating_add(delta.numbers_used),
            tombstone_count: self.tombstone_count.saturating_add(delta.tombstones),
            ..*self
        }
    }

    /// Decodes the columns of [`entity_columns`].
    pub(crate) fn decode(row: &SqliteRow) -> Result<Self, Failure> {
        Ok(Self {
            key: row.try_get(0)?,
            generation: Generation(row.try_get(1)?),
            memory_count: row.try_get(2)?,
            word_count: row.try_get(3)?,
            next_number: row.try_get(4)?,
            archived_count: row.try_get(5)?,
            tombstone_count: row.try_get(6)?,
            tombstone_floor: Generation(row.try_get(7)?),
        })
    }
}

/// A row of the table `memory` with its access counts.
pub(crate) struct MemoryRow {
    pub(crate) key: i64,
    pub(crate) memory: Memory,
}

impl MemoryRow {
    /// Decodes the columns of [`memory_columns`].
    pub(crate) fn decode(row: &SqliteRow, entity: &EntityId) -> Result<Self, Failure> {
        let kind: i64 = row.try_get(2)?;
        let access_count: Option<i64> = row.try_get(12)?;
        let last_accessed: Option<i64> = row.try_get(13)?;
        let memory = Memory {
            id: id(row)?,
            entity_id: entity.clone(),
            kind: decode_kind(kind)?,
            content: row.try_get(3)?,
            timestamp: decode_time(row.try_get(4)?)?,
            last_accessed: last_accessed.map(decode_time).transpose()?,
            access_count: access_count.map_or(0, i64::cast_unsigned),
            importance: decode_f32(row.try_get(5)?),
            decay_rate: decode_f32(row.try_get(6)?),
            context: row.try_get(7)?,
            metadata: decode_collection(row, 8)?,
            related: decode_collection(row, 9)?,
            entities: decode_collection(row, 10)?,
            tags: decode_collection(row, 11)?,
            archived_by: row
                .try_get::<Option<&[u8]>, _>(14)?
                .map(decode_id)
                .transpose()?,
        };
        Ok(Self {
            key: key(row)?,
            memory,
        })
    }
}

/// The key of a memory's row.
pub(crate) fn key(row: &SqliteRow) -> Result<i64, Failure> {
    Ok(row.try_get(0)?)
}

/// The id in a memory's row.
pub(crate) fn id(row: &SqliteRow) -> Result<MemoryId, Failure> {
    decode_id(row.try_get(1)?)
}

/// Decodes the 16 bytes of an id.
pub(crate) fn decode_id(bytes: &[u8]) -> Result<MemoryId, Failure> {
    Uuid::from_slice(bytes)
        .map(MemoryId::from)
        .map_err(|_| Failure::Damaged("a stored id is not a UUID"))
}

/// The 16 bytes of an id in hexadecimal digits, for use in JSON.
pub(crate) fn encode_id(id: &MemoryId) -> String {
    id.as_uuid().simple().to_string()
}

/// Ids as a JSON array.
pub(crate) fn encode_ids<'i>(
    ids: impl IntoIterator<Item = &'i MemoryId>,
) -> Result<String, Failure> {
    to_json(&ids.into_iter().map(encode_id).collect::<Vec<_>>())
}

/// Rows and lists are passed to SQLite as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// A count as SQLite holds it, at most 2^63 − 1.
pub(crate) fn encode_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A kind's index among all kinds, from 0.
pub(crate) fn encode_kind(kind: MemoryKind) -> i64 {
    (0..)
        .zip(MemoryKind::ALL)
        .find_map(|(code, known)| (known == kind).then_some(code))
        .unwrap_or(i64::MAX)
}

fn decode_kind(code: i64) -> Result<MemoryKind, Failure> {
    usize::try_from(code)
        .ok()
        .and_then(|code| MemoryKind::ALL.get(code).copied())
        .ok_or(Failure::Damaged("a stored kind is unknown"))
}

/// Decodes a time from microseconds since 1970.
pub(crate) fn decode_time(micros: i64) -> Result<DateTime<Utc>, Failure> {
    DateTime::from_timestamp_micros(micros).ok_or(Failure::Damaged("a stored time is out of range"))
}

/// Columns have 64 bits and the values were `f32`, so nothing is lost.
#[expect(clippy::cast_possible_truncation, reason = "the value was an f32")]
fn decode_f32(value: f64) -> f32 {
    value as f32
}

/// Decodes a collection in JSON; an empty one is NULL.
fn decode_collection<T: DeserializeOwned + Default>(
    row: &SqliteRow,
    column: usize,
) -> Result<T, Failure> {
    match row.try_get::<Option<&str>, _>(column)? {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(text)
            .map_err(|_| Failure::Damaged("a stored collection is not valid JSON of its type")),
    }
}

/// A collection that has a column of its own.
pub(crate) trait CollectionColumn: Serialize + Sized {
    /// Itself, or NULL where it is empty.
    fn or_null(&self) -> Option<&Self>;
}

impl<K: Serialize + Ord, V: Serialize> CollectionColumn for BTreeMap<K, V> {
    fn or_null(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

impl<T: Serialize> CollectionColumn for BTreeSet<T> {
    fn or_null(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

/// Encodes a collection for its column.
pub(crate) fn encode_collection(
    collection: &impl CollectionColumn,
) -> Result<Option<String>, Failure> {
    collection.or_null().map(to_json).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_decoded_from_its_code() {
        for kind in MemoryKind::ALL {
            assert_eq!(decode_kind(encode_kind(kind)).unwrap(), kind);
        }
        for code in [-1, 4, i64::MAX] {
            assert!(decode_kind(code).is_err(), "{code}");
        }
    }
}
