//! Between a memory and its row.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{EntityId, Memory, MemoryId, MemoryKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::Failure;

/// The columns that [`read`] reads, as a literal for `concat!`; memories are
/// `m`, their accesses `a`.
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

/// The key of a memory's row.
pub(crate) fn key(row: &SqliteRow) -> Result<i64, Failure> {
    Ok(row.try_get(0)?)
}

/// The id in a memory's row.
pub(crate) fn id(row: &SqliteRow) -> Result<MemoryId, Failure> {
    memory_id(row.try_get(1)?)
}

/// Reads a memory from a row of [`memory_columns`].
pub(crate) fn read(row: &SqliteRow, entity: &EntityId) -> Result<Memory, Failure> {
    let kind: i64 = row.try_get(2)?;
    let access_count: Option<i64> = row.try_get(12)?;
    let last_accessed: Option<i64> = row.try_get(13)?;
    Ok(Memory {
        id: id(row)?,
        entity_id: entity.clone(),
        kind: kind_of(kind)?,
        content: row.try_get(3)?,
        timestamp: time(row.try_get(4)?)?,
        last_accessed: last_accessed.map(time).transpose()?,
        access_count: access_count.map_or(0, i64::cast_unsigned),
        importance: number(row.try_get(5)?),
        decay_rate: number(row.try_get(6)?),
        context: row.try_get(7)?,
        metadata: collection(row, 8)?,
        related: collection(row, 9)?,
        entities: collection(row, 10)?,
        tags: collection(row, 11)?,
        archived_by: row
            .try_get::<Option<&[u8]>, _>(14)?
            .map(memory_id)
            .transpose()?,
    })
}

/// Reads an id from its 16 bytes.
pub(crate) fn memory_id(bytes: &[u8]) -> Result<MemoryId, Failure> {
    Uuid::from_slice(bytes)
        .map(MemoryId::from)
        .map_err(|_| Failure::Damaged("a stored id is no UUID"))
}

/// The 16 bytes of an id in hexadecimal digits, as they travel in JSON.
pub(crate) fn hex(id: &MemoryId) -> String {
    id.as_uuid().simple().to_string()
}

/// Ids as a JSON array.
pub(crate) fn hex_list<'i>(ids: impl IntoIterator<Item = &'i MemoryId>) -> Result<String, Failure> {
    to_json(&ids.into_iter().map(hex).collect::<Vec<_>>())
}

/// Rows and lists travel to SQLite as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// A count as SQLite holds it; beyond 2^63 all are equally large.
pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A kind's place among all kinds, counted from 0.
pub(crate) fn kind_code(kind: MemoryKind) -> i64 {
    (0..)
        .zip(MemoryKind::ALL)
        .find_map(|(code, known)| (known == kind).then_some(code))
        .unwrap_or(i64::MAX)
}

fn kind_of(code: i64) -> Result<MemoryKind, Failure> {
    usize::try_from(code)
        .ok()
        .and_then(|code| MemoryKind::ALL.get(code).copied())
        .ok_or(Failure::Damaged("a stored kind is none of the four"))
}

/// Reads a time from its microseconds since 1970.
pub(crate) fn time(micros: i64) -> Result<DateTime<Utc>, Failure> {
    DateTime::from_timestamp_micros(micros).ok_or(Failure::Damaged(
        "a stored time lies outside of the calendar",
    ))
}

/// Numbers are stored with 64 bits and were `f32` before, so nothing is lost.
#[expect(clippy::cast_possible_truncation, reason = "the value was an f32")]
fn number(value: f64) -> f32 {
    value as f32
}

/// A collection in JSON; an empty one is NULL.
fn collection<T: DeserializeOwned + Default>(row: &SqliteRow, column: usize) -> Result<T, Failure> {
    match row.try_get::<Option<&str>, _>(column)? {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(text)
            .map_err(|_| Failure::Damaged("a stored collection is no JSON of its kind")),
    }
}

/// A collection that has a column of its own.
pub(crate) trait Column: Serialize + Sized {
    /// Itself, or NULL where it is empty.
    fn unless_empty(&self) -> Option<&Self>;
}

impl<K: Serialize + Ord, V: Serialize> Column for BTreeMap<K, V> {
    fn unless_empty(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

impl<T: Serialize> Column for BTreeSet<T> {
    fn unless_empty(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

/// What goes into the column of a collection.
pub(crate) fn json_column(collection: &impl Column) -> Result<Option<String>, Failure> {
    collection.unless_empty().map(to_json).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_code() {
        for kind in MemoryKind::ALL {
            assert_eq!(kind_of(kind_code(kind)).unwrap(), kind);
        }
        for code in [-1, 4, i64::MAX] {
            assert!(kind_of(code).is_err(), "{code}");
        }
    }
}
