//! [`Store::update`](memory_core::Store::update).

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Generation, Memory, MemoryError, MemoryId, MemoryPatch,
    MemoryResult, UpdateOutcome, limits,
};
use sqlx::Row;
use sqlx::types::Json;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::snapshot_pages;
use crate::options::Precision;
use crate::rows::entity::{self, CountDelta};
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, EmbeddingColumns, InvolvedEntityColumns, MemoryRow};
use crate::search::lexical::{self, IndexEntry};

const OPERATION: &str = "update";

pub(crate) async fn update(
    database: &Arc<Database>,
    entity: &EntityId,
    id: MemoryId,
    patch: &MemoryPatch,
    embedding: Option<&Embedding>,
    max_dimensions: usize,
) -> MemoryResult<UpdateOutcome> {
    database.check_open(OPERATION)?;
    patch.validate_with(&id, embedding, max_dimensions)?;
    let contents: Vec<String> = patch.content.iter().cloned().collect();
    let language = database.options.language;
    let entries = lexical::index_contents(OPERATION, contents, language).await?;
    let update = Update {
        entity: entity.clone(),
        id,
        entry: entries.into_iter().next(),
        patch: patch.clone(),
        embedding: embedding.cloned(),
        precision: database.options.precision,
    };
    database.write(update).await
}

struct Update {
    entity: EntityId,
    id: MemoryId,
    patch: MemoryPatch,
    /// Of the patch's content, where it has one.
    entry: Option<IndexEntry>,
    embedding: Option<Embedding>,
    precision: Precision,
}

impl Transaction for Update {
    const OPERATION: &'static str = OPERATION;
    type Output = UpdateOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<UpdateOutcome>, Failure> {
        let entity_row = entity::lock(connection, &self.entity).await?;
        let entity_row = entity_row.ok_or_else(|| self.not_found())?;
        let current = entity_row.generation;
        let (before, words) = self.read(connection).await?;
        if let Some(summary) = before.archived_by {
            return Err(Failure::Memory(MemoryError::Archived {
                entity: self.entity.clone(),
                id: self.id,
                summary,
            }));
        }
        let mut memory = before.clone();
        self.patch.apply(&mut memory);
        limits::check_related(&memory.related).map_err(MemoryError::from)?;
        if memory == before && self.embedding.is_none() {
            return Ok(TxOutcome::Rollback(
                UpdateOutcome::new(current, memory).changed(false),
            ));
        }
        let generation = current.next();
        self.update_columns(connection, &memory, generation).await?;
        if let Some(embedding) = &self.embedding {
            self.replace_embedding(connection, &memory, embedding)
                .await?;
        }
        if self.patch.entities.is_some() {
            self.replace_involved_entities(connection, &memory).await?;
        }
        let ids = [*self.id.as_uuid()];
        snapshot_pages::discard(connection, &self.entity, &entity_row, &ids).await?;
        let new_words = self.entry.as_ref().map_or(words, |entry| entry.word_count);
        let delta = CountDelta {
            words: i64::from(new_words) - i64::from(words),
            ..CountDelta::default()
        };
        entity::raise_one(connection, &self.entity, delta).await?;
        Ok(TxOutcome::Commit(UpdateOutcome::new(generation, memory)))
    }
}

impl Update {
    fn not_found(&self) -> Failure {
        Failure::Memory(MemoryError::NotFound {
            entity: self.entity.clone(),
            id: self.id,
        })
    }

    /// The stored memory and its word count; the lock on the entity keeps them
    /// unchanged.
    async fn read(&self, connection: &mut Connection) -> Result<(Memory, i32), Failure> {
        let mut sql = SqlBuilder::new();
        let entity_param = sql.value(self.entity.as_str(), "text");
        let id = sql.value(*self.id.as_uuid(), "uuid");
        sql.push(format!(
            "SELECT {}, m.word_count FROM {} \
             WHERE m.entity_id = {entity_param} AND m.memory_id = {id}",
            MemoryRow::columns(&entity_param),
            MemoryRow::tables(&entity_param),
        ));
        let rows = connection.fetch_all(sql.query()?).await?;
        let row = rows.first().ok_or_else(|| self.not_found())?;
        let memory = MemoryRow(row).memory(&self.entity)?;
        let memory = memory.ok_or_else(|| self.not_found())?;
        Ok((memory, row.try_get("word_count")?))
    }

    /// Writes only the columns that the patch sets.
    async fn update_columns(
        &self,
        connection: &mut Connection,
        memory: &Memory,
        version: Generation,
    ) -> Result<(), Failure> {
        let mut sql = SqlBuilder::new();
        let entity_param = sql.value(self.entity.as_str(), "text");
        let id = sql.value(*self.id.as_uuid(), "uuid");
        let version = sql.value(rows::signed(version.0), "bigint");
        sql.push(format!("UPDATE memory SET version = {version}"));
        let mut set = |column: &str, value: &dyn Fn(&mut SqlBuilder) -> String| {
            let value = value(&mut sql);
            sql.push(format!(", {column} = {value}"));
        };
        let patch = &self.patch;
        if let Some(entry) = &self.entry {
            set("content", &|sql| sql.value(&memory.content, "text"));
            set("word_count", &|sql| sql.value(entry.word_count, "integer"));
            set("lexemes", &|sql| {
                sql.value(&entry.lexemes, "text") + "::tsvector"
            });
            set("analysis", &|sql| sql.value(lexical::ANALYSIS, "integer"));
        }
        if patch.kind.is_some() {
            set("kind", &|sql| sql.value(memory.kind.as_str(), "text"));
            set("decay_rate", &|sql| sql.value(memory.decay_rate, "real"));
        }
        if patch.timestamp.is_some() {
            set("timestamp", &|sql| {
                sql.value(memory.timestamp, "timestamptz")
            });
        }
        if patch.importance.is_some() {
            set("importance", &|sql| sql.value(memory.importance, "real"));
        }
        if patch.context.is_some() {
            set("context", &|sql| {
                sql.value(memory.context.as_deref(), "text")
            });
        }
        if patch.metadata.is_some() {
            set("metadata", &|sql| {
                sql.value(Json(&memory.metadata), "jsonb")
            });
        }
        if patch.related.is_some() || !patch.relate.is_empty() || !patch.unrelate.is_empty() {
            set("related", &|sql| sql.value(Json(&memory.related), "jsonb"));
        }
        if patch.tags.is_some() {
            let tags: Vec<&str> = memory.tags.iter().map(String::as_str).collect();
            set("tags", &|sql| sql.value(&tags, "text[]"));
        }
        sql.push(format!(
            " WHERE entity_id = {entity_param} AND memory_id = {id}"
        ));
        connection.execute(sql.query()?).await?;
        Ok(())
    }

    async fn replace_embedding(
        &self,
        connection: &mut Connection,
        memory: &Memory,
        embedding: &Embedding,
    ) -> Result<(), Failure> {
        let clear = sqlx::query(
            "DELETE FROM memory_embedding WHERE entity_id = $1::text AND memory_id = $2::uuid",
        );
        connection
            .execute(clear.bind(self.entity.as_str()).bind(*self.id.as_uuid()))
            .await?;
        let item = EmbeddedMemory {
            memory: memory.clone(),
            embedding: embedding.clone(),
        };
        let columns = EmbeddingColumns::new([&item], self.precision).map_err(MemoryError::from)?;
        columns.insert(connection).await
    }

    async fn replace_involved_entities(
        &self,
        connection: &mut Connection,
        memory: &Memory,
    ) -> Result<(), Failure> {
        let clear = sqlx::query(
            "DELETE FROM memory_entity WHERE entity_id = $1::text AND memory_id = $2::uuid",
        );
        connection
            .execute(clear.bind(self.entity.as_str()).bind(*self.id.as_uuid()))
            .await?;
        InvolvedEntityColumns::new([memory])
            .insert(connection)
            .await
    }
}
