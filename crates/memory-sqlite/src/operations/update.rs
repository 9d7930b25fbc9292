//! [`Store::update`](memory_core::Store::update).

use memory_core::{
    Embedding, EntityId, Language, Memory, MemoryError, MemoryId, MemoryPatch, UpdateOutcome,
    limits,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::removal;
use crate::reindex::analysis_state::AnalysisState;
use crate::rows::embedding_space;
use crate::rows::entity::{self, CountDelta};
use crate::rows::row_keys;
use crate::rows::vectors;
use crate::rows::{
    EntityRow, MemoryRow, NEXT_COLUMN, encode_collection, encode_kind, memory_columns,
};
use crate::search::filter_terms;
use crate::search::lexical;

pub(crate) struct Update {
    pub(crate) entity: EntityId,
    pub(crate) id: MemoryId,
    pub(crate) patch: MemoryPatch,
    pub(crate) embedding: Option<Embedding>,
    pub(crate) language: Option<Language>,
}

/// A memory before the update, with its word count.
struct StoredMemory {
    row: MemoryRow,
    words: i64,
}

impl Transaction for Update {
    type Output = UpdateOutcome;
    const OPERATION: &'static str = "update";

    /// Any text that is replaced may be what the caller wants to erase.
    fn erases_content(&self) -> bool {
        let patch = &self.patch;
        patch.content.is_some()
            || patch.context.is_some()
            || patch.metadata.is_some()
            || patch.related.is_some()
            || !patch.relate.is_empty()
            || !patch.unrelate.is_empty()
            || patch.entities.is_some()
            || patch.tags.is_some()
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<UpdateOutcome, Failure> {
        let not_found = || MemoryError::NotFound {
            entity: self.entity.clone(),
            id: self.id,
        };
        let entity = entity::find(conn, &self.entity)
            .await?
            .ok_or_else(not_found)?;
        let stored = self
            .find_stored(conn, &entity)
            .await?
            .ok_or_else(not_found)?;
        if let Some(summary) = stored.row.memory.archived_by {
            return Err(Failure::Refused(MemoryError::Archived {
                entity: self.entity.clone(),
                id: self.id,
                summary,
            }));
        }
        let mut memory = stored.row.memory.clone();
        self.patch.apply(&mut memory);
        limits::check_related(&memory.related).map_err(MemoryError::from)?;
        if let Some(embedding) = &self.embedding {
            replace_embedding(conn, &entity, stored.row.key, embedding).await?;
        } else if memory == stored.row.memory {
            return Ok(UpdateOutcome::new(entity.generation, memory).changed(false));
        }
        stored
            .replace(conn, &entity, &memory, self.language)
            .await?;
        Ok(UpdateOutcome::new(entity.generation.next(), memory))
    }
}

impl Update {
    async fn find_stored(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
    ) -> Result<Option<StoredMemory>, Failure> {
        query(concat!(
            "SELECT ",
            memory_columns!(),
            ", m.word_count FROM memory AS m
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key
             WHERE m.entity_key = ?1 AND m.memory_id = ?2",
        ))
        .bind(entity.key)
        .bind(self.id.as_uuid().as_bytes().as_slice())
        .fetch_optional(conn)
        .await?
        .map(|row| {
            Ok(StoredMemory {
                row: MemoryRow::decode(&row, &self.entity)?,
                words: row.try_get(NEXT_COLUMN)?,
            })
        })
        .transpose()
    }
}

impl StoredMemory {
    /// Replaces the stored memory with `memory`.
    async fn replace(
        &self,
        conn: &mut SqliteConnection,
        entity: &EntityRow,
        memory: &Memory,
        language: Option<Language>,
    ) -> Result<(), Failure> {
        let mut words = self.words;
        if memory.content != self.row.memory.content {
            AnalysisState::read(conn).await?.check(Update::OPERATION)?;
            let (entry, count) = lexical::index_entry(entity.key, &memory.content, language);
            words = count;
            query("UPDATE memory_words SET words = ?2 WHERE rowid = ?1")
                .bind(self.row.key)
                .bind(entry)
                .execute(&mut *conn)
                .await?;
        }
        self.replace_filter_terms(conn, memory).await?;
        query(
            "UPDATE memory SET kind = ?2, content = ?3, timestamp = ?4, importance = ?5,
                 decay_rate = ?6, context = ?7, metadata = ?8, related = ?9, entities = ?10,
                 tags = ?11, word_count = ?12, version = ?13
             WHERE memory_key = ?1",
        )
        .bind(self.row.key)
        .bind(encode_kind(memory.kind))
        .bind(&memory.content)
        .bind(memory.timestamp.timestamp_micros())
        .bind(f64::from(memory.importance))
        .bind(f64::from(memory.decay_rate))
        .bind(&memory.context)
        .bind(encode_collection(&memory.metadata)?)
        .bind(encode_collection(&memory.related)?)
        .bind(encode_collection(&memory.entities)?)
        .bind(encode_collection(&memory.tags)?)
        .bind(words)
        .bind(entity.generation.next().0.cast_signed())
        .execute(&mut *conn)
        .await?;
        let delta = CountDelta {
            words: words - self.words,
            ..CountDelta::default()
        };
        entity::raise(conn, &[(entity.key, delta)].into()).await
    }

    async fn replace_filter_terms(
        &self,
        conn: &mut SqliteConnection,
        memory: &Memory,
    ) -> Result<(), Failure> {
        let terms = |memory| -> Vec<_> {
            filter_terms::of(memory)
                .map(|term| (self.row.key, term))
                .collect()
        };
        let (old, new) = (terms(&self.row.memory), terms(memory));
        if old == new {
            return Ok(());
        }
        filter_terms::delete(conn, &old).await?;
        filter_terms::insert(conn, &new).await
    }
}

/// Replaces the vectors of a memory.
async fn replace_embedding(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    memory_key: i64,
    embedding: &Embedding,
) -> Result<(), Failure> {
    let dimensions = embedding.dimensions();
    let wanted = (entity.key, &embedding.fingerprint);
    let spaces = embedding_space::find_or_create(conn, &[(wanted, dimensions)].into()).await?;
    let space = spaces[&wanted];
    space.check_dimensions(dimensions)?;
    removal::delete_embeddings(conn, entity.key, &format!("[{memory_key}]")).await?;
    let mut bytes = Vec::new();
    vectors::encode(&embedding.vectors, &mut bytes);
    query("INSERT INTO memory_embedding (embedding_key, vectors) VALUES (?1, ?2)")
        .bind(memory_key + row_keys::shift(entity.key, space.key))
        .bind(bytes)
        .execute(conn)
        .await?;
    Ok(())
}
