//! Memories as rows.

use memory_core::{EmbeddedMemory, Memory};
use serde::Serialize;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::error::Failure;
use crate::row::{self, Column, kind_code, to_json};
use crate::{labels, lexical, vectors};

/// Where a memory of the batch goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its index in the batch.
    pub(super) item: usize,
    pub(super) entity_key: i64,
    pub(super) memory_key: i64,
    pub(super) embedding_key: i64,
    pub(super) version: i64,
}

/// The rows of every table for some memories, as JSON where nothing else is
/// said.
pub(super) struct Rows {
    memories: String,
    accesses: String,
    /// Entity keys and ids.
    ids: String,
    /// Memory keys and what the lexical index takes.
    entries: String,
    labels: Vec<(i64, String)>,
    /// Embedding keys, with first byte and length of their part of `vectors`.
    embeddings: String,
    vectors: Vec<u8>,
    /// For each memory its entity's key and how many words it has.
    pub(super) words: Vec<(i64, i64)>,
}

impl Rows {
    pub(super) fn of(batch: &[EmbeddedMemory], places: &[Place]) -> Result<Self, Failure> {
        let (mut memories, mut accesses, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        let (mut entries, mut labels, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bytes, mut words) = (Vec::new(), Vec::new());
        for place in places {
            let EmbeddedMemory { memory, embedding } = &batch[place.item];
            let key = place.memory_key;
            let (entry, count) = lexical::index_entry(place.entity_key, &memory.content);
            memories.push(memory_row(place, memory, count));
            if memory.access_count > 0 || memory.last_accessed.is_some() {
                let last = memory.last_accessed.map(|at| at.timestamp_micros());
                accesses.push((key, row::count(memory.access_count), last));
            }
            ids.push((place.entity_key, row::hex(&memory.id)));
            entries.push((key, entry));
            labels.extend(labels::of(memory).map(|label| (key, label)));
            let start = bytes.len();
            vectors::encode(&embedding.vectors, &mut bytes);
            // SQLite counts bytes from 1.
            embeddings.push((place.embedding_key, start + 1, bytes.len() - start));
            words.push((place.entity_key, count));
        }
        Ok(Self {
            memories: to_json(&memories)?,
            accesses: to_json(&accesses)?,
            ids: to_json(&ids)?,
            entries: to_json(&entries)?,
            labels,
            embeddings: to_json(&embeddings)?,
            vectors: bytes,
            words,
        })
    }

    pub(super) async fn write(&mut self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        for (sql, rows) in [
            (INSERT_MEMORIES, &mut self.memories),
            (INSERT_ACCESSES, &mut self.accesses),
            (lexical::INSERT_ENTRIES, &mut self.entries),
            (DELETE_TOMBSTONES, &mut self.ids),
        ] {
            query(sql)
                .bind(std::mem::take(rows))
                .execute(&mut *conn)
                .await?;
        }
        query(INSERT_EMBEDDINGS)
            .bind(std::mem::take(&mut self.embeddings))
            .bind(std::mem::take(&mut self.vectors))
            .execute(&mut *conn)
            .await?;
        labels::write(conn, &self.labels).await
    }
}

/// A row of `memory`, in the order of its columns.
fn memory_row<'m>(place: &Place, memory: &'m Memory, words: i64) -> impl Serialize + use<'m> {
    (
        place.memory_key,
        place.entity_key,
        row::hex(&memory.id),
        kind_code(memory.kind),
        &memory.content,
        memory.timestamp.timestamp_micros(),
        f64::from(memory.importance),
        f64::from(memory.decay_rate),
        &memory.context,
        memory.metadata.unless_empty(),
        memory.related.unless_empty(),
        memory.entities.unless_empty(),
        memory.tags.unless_empty(),
        words,
        place.version,
    )
}

const INSERT_MEMORIES: &str = "
    INSERT INTO memory (memory_key, entity_key, memory_id, kind, content, timestamp, importance,
        decay_rate, context, metadata, related, entities, tags, word_count, version)
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
        value ->> 12, value ->> 13, value ->> 14
    FROM jsonb_each(?1)";

const INSERT_ACCESSES: &str = "
    INSERT INTO memory_access SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1)";

/// An id that was removed and comes anew is not removed any more.
const DELETE_TOMBSTONES: &str = "
    INSERT INTO memory_tombstone_erased (entity_key, memory_id)
    SELECT value ->> 0, unhex(value ->> 1) FROM jsonb_each(?1)";

const INSERT_EMBEDDINGS: &str = "
    INSERT INTO memory_embedding
    SELECT value ->> 0, substr(?2, value ->> 1, value ->> 2) FROM jsonb_each(?1)";
