//! [`Store::update`](memory_core::Store::update).

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Generation, Memory, MemoryError, MemoryId, MemoryPatch,
    MemoryResult, UpdateOutcome, limits,
};
use sqlx::types::Json;

use crate::connection::Connection;
use crate::database::Database;
use crate::entity::{self, CountDelta};
use crate::error::Failure;
use crate::lexical::word_count;
use crate::options::Precision;
use crate::rows::{self, EmbeddingColumns, InvolvedEntityColumns, MemoryRow};
use crate::sql::SqlBuilder;
use crate::transaction::{Transaction, TxOutcome};

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
    patch.validate_with(embedding, max_dimensions)?;
    let update = Update {
        entity: entity.clone(),
        id,
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
        let current = entity_row.ok_or_else(|| self.not_found())?.generation;
        let before = self.read(connection).await?;
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
        let added = word_count(&memory.content) - word_count(&before.content);
        let delta = CountDelta {
            words: i64::from(added),
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

    /// The stored memory; the lock on the entity keeps it unchanged.
    async fn read(&self, connection: &mut Connection) -> Result<Memory, Failure> {
        let mut sql = SqlBuilder::new();
        let entity_param = sql.value(self.entity.as_str(), "text");
        let id = sql.value(*self.id.as_uuid(), "uuid");
        sql.push(format!(
            "SELECT {} FROM {} WHERE m.entity_id = {entity_param} AND m.memory_id = {id}",
            MemoryRow::columns(&entity_param),
            MemoryRow::tables(&entity_param),
        ));
        let rows = connection.fetch_all(sql.query()?).await?;
        let found = rows.first().map(|row| MemoryRow(row).memory(&self.entity));
        found.transpose()?.flatten().ok_or_else(|| self.not_found())
    }

    /// Writes only the columns that the patch sets: unchanged content is not
    /// stemmed again.
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
        if patch.content.is_some() {
            set("content", &|sql| sql.value(&memory.content, "text"));
            let count = word_count(&memory.content);
            set("word_count", &|sql| sql.value(count, "integer"));
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
