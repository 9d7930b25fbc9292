//! The rows that an insert writes, as JSON and bytes for a few statements.

use std::collections::BTreeMap;
use std::mem;

use memory_core::{EmbeddedMemory, Language, Memory};
use serde::Serialize;
use sqlx::query;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};

use crate::error::Failure;
use crate::rows::entity::CountDelta;
use crate::rows::row_keys::RowKeys;
use crate::rows::vectors;
use crate::rows::{self, CollectionColumn, encode_kind, to_json};
use crate::search::filter_terms;
use crate::search::lexical;

/// The rows of every table for some memories; JSON unless stated otherwise.
pub(crate) struct InsertRows {
    memories: String,
    /// Of memories that were accessed before: of imported ones.
    accesses: Option<String>,
    /// Memory keys and entries of the lexical index.
    entries: String,
    /// Entity keys and ids that may have tombstones.
    tombstones: Option<String>,
    filter_terms: Option<String>,
    /// Embedding keys, with first byte and length of their part of `vectors`.
    embeddings: String,
    vectors: Vec<u8>,
    /// For each memory its entity's key and its word count.
    words: Vec<(i64, i64)>,
}

impl InsertRows {
    pub(crate) fn encode(
        batch: &[EmbeddedMemory],
        keys: &[RowKeys],
        language: Option<Language>,
    ) -> Result<Self, Failure> {
        let (mut memories, mut accesses, mut tombstones) = (Vec::new(), Vec::new(), Vec::new());
        let (mut entries, mut filter_terms, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bytes, mut words) = (Vec::new(), Vec::new());
        for keys in keys {
            let EmbeddedMemory { memory, embedding } = &batch[keys.item];
            let key = keys.memory_key;
            let (entry, count) = lexical::index_entry(keys.entity_key, &memory.content, language);
            memories.push(memory_values(keys, memory, count));
            if memory.access_count > 0 || memory.last_accessed.is_some() {
                let last = memory.last_accessed.map(|at| at.timestamp_micros());
                accesses.push((key, rows::encode_count(memory.access_count), last));
            }
            if keys.may_have_tombstone {
                tombstones.push((keys.entity_key, rows::encode_id(&memory.id)));
            }
            entries.push((key, entry));
            filter_terms.extend(filter_terms::of(memory).map(|term| (key, term)));
            let start = bytes.len();
            vectors::encode(&embedding.vectors, &mut bytes);
            // SQLite counts bytes from 1.
            embeddings.push((keys.embedding_key, start + 1, bytes.len() - start));
            words.push((keys.entity_key, count));
        }
        Ok(Self {
            memories: to_json(&memories)?,
            accesses: to_json_if_any(&accesses)?,
            entries: to_json(&entries)?,
            tombstones: to_json_if_any(&tombstones)?,
            filter_terms: to_json_if_any(&filter_terms)?,
            embeddings: to_json(&embeddings)?,
            vectors: bytes,
            words,
        })
    }

    /// Writes the rows and raises entities by their deltas
    /// ([`encode_deltas`](crate::rows::entity::encode_deltas)), all in one call of the driver.
    pub(crate) async fn write(
        self,
        conn: &mut SqliteConnection,
        deltas: Option<String>,
    ) -> Result<(), Failure> {
        self.bind(query(insert_all!()), deltas)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Binds the parameters of [`insert_all`].
    pub(crate) fn bind(
        self,
        query: Query<'static, Sqlite, SqliteArguments>,
        deltas: Option<String>,
    ) -> Query<'static, Sqlite, SqliteArguments> {
        query
            .bind(self.memories)
            .bind(self.accesses)
            .bind(self.entries)
            .bind(self.tombstones)
            .bind(self.vectors)
            .bind(self.embeddings)
            .bind(self.filter_terms)
            .bind(deltas)
    }

    /// Moves what the rows add to the counts of each entity, by its key.
    pub(crate) fn take_deltas(&mut self, deltas: &mut BTreeMap<i64, CountDelta>) {
        for (entity_key, words) in mem::take(&mut self.words) {
            let delta = deltas.entry(entity_key).or_default();
            delta.memories += 1;
            delta.numbers_used += 1;
            delta.words += words;
        }
    }
}

fn to_json_if_any<T: Serialize>(rows: &[T]) -> Result<Option<String>, Failure> {
    if rows.is_empty() {
        return Ok(None);
    }
    to_json(&rows).map(Some)
}

/// The values of a row of `memory`, in the order of its columns.
fn memory_values<'m>(keys: &RowKeys, memory: &'m Memory, words: i64) -> impl Serialize + use<'m> {
    (
        keys.memory_key,
        keys.entity_key,
        rows::encode_id(&memory.id),
        encode_kind(memory.kind),
        &memory.content,
        memory.timestamp.timestamp_micros(),
        f64::from(memory.importance),
        f64::from(memory.decay_rate),
        &memory.context,
        memory.metadata.or_null(),
        memory.related.or_null(),
        memory.entities.or_null(),
        memory.tags.or_null(),
        words,
        keys.version,
    )
}

/// Inserts all rows and raises the entities. A literal for `concat!`.
///
/// Each statement takes the parameters that follow those of the one before it, and
/// NULL is an array without rows.
///
/// An id that is inserted again after it was deleted has no tombstone.
macro_rules! insert_all {
    () => {
        concat!(
            "INSERT INTO memory (memory_key, entity_key, memory_id, kind, content, timestamp,
                 importance, decay_rate, context, metadata, related, entities, tags, word_count,
                 version)
             SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4,
                 value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10,
                 value ->> 11, value ->> 12, value ->> 13, value ->> 14
             FROM jsonb_each(?);

             INSERT INTO memory_access
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?);",
            $crate::search::lexical::insert_entries!(),
            ";
             INSERT INTO memory_tombstone_erased (entity_key, memory_id)
             SELECT value ->> 0, unhex(value ->> 1) FROM jsonb_each(?);

             INSERT INTO memory_embedding
             SELECT value ->> 0, substr(?, value ->> 1, value ->> 2) FROM jsonb_each(?);",
            $crate::search::filter_terms::insert_terms!(),
            ";",
            $crate::rows::entity::raise_entities!(),
        )
    };
}
pub(crate) use insert_all;
