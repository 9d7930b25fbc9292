//! [`Store::update`](memory_core::Store::update).

use std::sync::Arc;

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Generation, Memory, MemoryError, MemoryId, MemoryPatch,
    MemoryResult, UpdateOutcome, limits,
};
use sqlx::types::Json;

use crate::columns::{EmbeddingColumns, InvolvedColumns};
use crate::database::{Database, Link};
use crate::entity::{self, Tally};
use crate::error::Failure;
use crate::options::Precision;
use crate::row;
use crate::sql::Sql;
use crate::words;
use crate::write::{End, Write, write};

const OPERATION: &str = "update";

pub(crate) async fn update(
    database: &Arc<Database>,
    entity: &EntityId,
    id: MemoryId,
    patch: &MemoryPatch,
    embedding: Option<&Embedding>,
    max_dimensions: usize,
) -> MemoryResult<UpdateOutcome> {
    database.open(OPERATION)?;
    patch.validate_with(embedding, max_dimensions)?;
    let update = Update {
        entity: entity.clone(),
        id,
        patch: patch.clone(),
        embedding: embedding.cloned(),
        precision: database.options.precision,
    };
    write(database, update).await
}

struct Update {
    entity: EntityId,
    id: MemoryId,
    patch: MemoryPatch,
    embedding: Option<Embedding>,
    precision: Precision,
}

impl Write for Update {
    const OPERATION: &'static str = OPERATION;
    type Outcome = UpdateOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn attempt(&self, link: &mut Link) -> Result<End<UpdateOutcome>, Failure> {
        let locked = entity::lock(link, &self.entity).await?;
        let present = locked.ok_or_else(|| self.not_found())?.generation;
        let before = self.read(link).await?;
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
            return Ok(End::Rollback(UpdateOutcome {
                generation: present,
                memory,
                changed: false,
            }));
        }
        let generation = present.next();
        self.store(link, &memory, generation).await?;
        if let Some(embedding) = &self.embedding {
            self.replace_embedding(link, &memory, embedding).await?;
        }
        if self.patch.entities.is_some() {
            self.replace_involved(link, &memory).await?;
        }
        let grown = words::count(&memory.content) - words::count(&before.content);
        let tally = Tally {
            words: i64::from(grown),
            ..Tally::default()
        };
        entity::raise_one(link, &self.entity, tally).await?;
        Ok(End::Commit(UpdateOutcome {
            generation,
            memory,
            changed: true,
        }))
    }
}

impl Update {
    fn not_found(&self) -> Failure {
        Failure::Memory(MemoryError::NotFound {
            entity: self.entity.clone(),
            id: self.id,
        })
    }

    /// The memory as it stands; the lock on the entity keeps it so.
    async fn read(&self, link: &mut Link) -> Result<Memory, Failure> {
        let mut sql = Sql::new();
        let of = sql.value(self.entity.as_str(), "text");
        let id = sql.value(*self.id.as_uuid(), "uuid");
        sql.push(format!(
            "SELECT {} FROM {} WHERE m.entity_id = {of} AND m.memory_id = {id}",
            row::COLUMNS,
            row::TABLES,
        ));
        let rows = link.rows(sql.query()?).await?;
        let found = rows.first().map(|row| row::memory(row, &self.entity));
        found.transpose()?.flatten().ok_or_else(|| self.not_found())
    }

    /// Writes the columns that the patch sets, and no others: a content that
    /// stays is not cut into words again.
    async fn store(
        &self,
        link: &mut Link,
        memory: &Memory,
        version: Generation,
    ) -> Result<(), Failure> {
        let mut sql = Sql::new();
        let of = sql.value(self.entity.as_str(), "text");
        let id = sql.value(*self.id.as_uuid(), "uuid");
        let version = sql.value(row::signed(version.0), "bigint");
        sql.push(format!("UPDATE memory SET version = {version}"));
        let mut set = |column: &str, value: &dyn Fn(&mut Sql) -> String| {
            let value = value(&mut sql);
            sql.push(format!(", {column} = {value}"));
        };
        let patch = &self.patch;
        if patch.content.is_some() {
            set("content", &|sql| sql.value(&memory.content, "text"));
            let count = words::count(&memory.content);
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
        sql.push(format!(" WHERE entity_id = {of} AND memory_id = {id}"));
        link.run(sql.query()?).await?;
        Ok(())
    }

    async fn replace_embedding(
        &self,
        link: &mut Link,
        memory: &Memory,
        embedding: &Embedding,
    ) -> Result<(), Failure> {
        let clear = sqlx::query(
            "DELETE FROM memory_embedding WHERE entity_id = $1::text AND memory_id = $2::uuid",
        );
        link.run(clear.bind(self.entity.as_str()).bind(*self.id.as_uuid()))
            .await?;
        let item = EmbeddedMemory {
            memory: memory.clone(),
            embedding: embedding.clone(),
        };
        let columns = EmbeddingColumns::new([&item], self.precision).map_err(MemoryError::from)?;
        columns.insert(link).await
    }

    async fn replace_involved(&self, link: &mut Link, memory: &Memory) -> Result<(), Failure> {
        let clear = sqlx::query(
            "DELETE FROM memory_entity WHERE entity_id = $1::text AND memory_id = $2::uuid",
        );
        link.run(clear.bind(self.entity.as_str()).bind(*self.id.as_uuid()))
            .await?;
        InvolvedColumns::new([memory]).insert(link).await
    }
}
