//! Rows of the tables: decoding memories and entities, and encoding batches as
//! one array per column, so that one statement writes any number of rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Generation, InvalidInput, Memory, MemoryId, MemoryKind,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::connection::Connection;
use crate::error::Failure;
use crate::lexical::word_count;
use crate::options::Precision;
use crate::vectors::VectorColumns;

/// A row of the table `entity`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EntityRow {
    pub(crate) generation: Generation,
    /// Live memories.
    pub(crate) memories: u64,
    pub(crate) archived: u64,
    /// At most so many tombstones.
    pub(crate) tombstones: u64,
}

impl EntityRow {
    /// The columns, of the table `entity` as `e`.
    pub(crate) const COLUMNS: &'static str =
        "e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count";

    /// Decodes a row with [`COLUMNS`](Self::COLUMNS).
    pub(crate) fn decode(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            generation: generation(row)?,
            memories: unsigned("memory_count", row.try_get("memory_count")?)?,
            archived: unsigned("archived_count", row.try_get("archived_count")?)?,
            tombstones: unsigned("tombstone_count", row.try_get("tombstone_count")?)?,
        })
    }
}

/// A row with the columns of a memory.
pub(crate) struct MemoryRow<'r>(pub(crate) &'r PgRow);

impl MemoryRow<'_> {
    /// The columns, of the table `memory` as `m` and of `memory_access` as `a`.
    pub(crate) const COLUMNS: &'static str = "m.memory_id, m.kind, m.content, m.timestamp, m.importance, \
     m.decay_rate, m.context, m.metadata, m.related, m.tags, m.archived_by, \
     (SELECT jsonb_object_agg(i.involved_entity_id, i.role) FROM memory_entity i \
      WHERE i.entity_id = m.entity_id AND i.memory_id = m.memory_id) AS entities, \
     a.access_count, a.last_accessed";

    /// The tables that [`COLUMNS`](Self::COLUMNS) are of.
    pub(crate) const TABLES: &'static str = "memory m LEFT JOIN memory_access a \
     ON a.entity_id = m.entity_id AND a.memory_id = m.memory_id";

    /// Decodes the memory; `None` where an outer join found none.
    pub(crate) fn memory(&self, entity: &EntityId) -> Result<Option<Memory>, sqlx::Error> {
        let row = self.0;
        let Some(id) = row.try_get::<Option<Uuid>, _>("memory_id")? else {
            return Ok(None);
        };
        let kind: &str = row.try_get("kind")?;
        let kind: MemoryKind = kind.parse().map_err(|error| decode_error("kind", error))?;
        let archived_by: Option<Uuid> = row.try_get("archived_by")?;
        let count = row.try_get::<Option<i64>, _>("access_count")?;
        Ok(Some(Memory {
            id: MemoryId::from(id),
            entity_id: entity.clone(),
            kind,
            content: row.try_get("content")?,
            timestamp: row.try_get("timestamp")?,
            last_accessed: row.try_get::<Option<DateTime<Utc>>, _>("last_accessed")?,
            access_count: unsigned("access_count", count.unwrap_or(0))?,
            importance: row.try_get("importance")?,
            decay_rate: row.try_get("decay_rate")?,
            context: row.try_get("context")?,
            metadata: row.try_get::<Json<_>, _>("metadata")?.0,
            related: row.try_get::<Json<_>, _>("related")?.0,
            entities: involved_entities(row)?,
            tags: row
                .try_get::<Vec<String>, _>("tags")?
                .into_iter()
                .collect::<BTreeSet<_>>(),
            archived_by: archived_by.map(MemoryId::from),
        }))
    }
}

/// A table expression `g` with the entity's `generation`, 0 where it has none.
///
/// Reads put it first and join the memories to it: one statement then returns
/// both as of one moment, and there is a row even where there is no memory.
pub(crate) fn generation_of(entity: &str) -> String {
    format!(
        "(SELECT coalesce((SELECT e.generation FROM entity e WHERE e.entity_id = {entity}), 0) \
         AS generation) g"
    )
}

/// The column `generation` of a row.
pub(crate) fn generation(row: &PgRow) -> Result<Generation, sqlx::Error> {
    let number = row.try_get("generation")?;
    Ok(Generation(unsigned("generation", number)?))
}

/// Decodes a number that is never negative, though the column could hold one.
pub(crate) fn unsigned(column: &'static str, number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| decode_error(column, error))
}

/// Encodes a number; those beyond `i64::MAX` become `i64::MAX`.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn involved_entities(row: &PgRow) -> Result<BTreeMap<EntityId, String>, sqlx::Error> {
    let involved: Option<Json<BTreeMap<EntityId, String>>> = row.try_get("entities")?;
    Ok(involved.map_or_else(BTreeMap::new, |Json(entities)| entities))
}

fn decode_error(
    column: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}

/// Columns for the table `memory`.
#[derive(Default)]
pub(crate) struct MemoryColumns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    contents: Vec<&'a str>,
    timestamps: Vec<DateTime<Utc>>,
    importances: Vec<f32>,
    decay_rates: Vec<f32>,
    contexts: Vec<Option<&'a str>>,
    metadata: Vec<Json<&'a BTreeMap<String, String>>>,
    related: Vec<Json<&'a BTreeMap<MemoryId, String>>>,
    tags: Vec<String>,
    versions: Vec<i64>,
    word_counts: Vec<i32>,
}

impl<'a> MemoryColumns<'a> {
    pub(crate) fn new(
        items: &[&'a EmbeddedMemory],
        generations: &BTreeMap<EntityId, Generation>,
    ) -> Self {
        let mut columns = Self::default();
        for item in items {
            let memory = &item.memory;
            let version = generations.get(&memory.entity_id).map_or(0, |it| it.0);
            columns.entities.push(memory.entity_id.as_str());
            columns.ids.push(*memory.id.as_uuid());
            columns.kinds.push(memory.kind.as_str());
            columns.contents.push(&memory.content);
            columns.timestamps.push(memory.timestamp);
            columns.importances.push(memory.importance);
            columns.decay_rates.push(memory.decay_rate);
            columns.contexts.push(memory.context.as_deref());
            columns.metadata.push(Json(&memory.metadata));
            columns.related.push(Json(&memory.related));
            columns.tags.push(array_literal(&memory.tags));
            columns.versions.push(signed(version));
            columns.word_counts.push(word_count(&memory.content));
        }
        columns
    }

    /// Inserts the rows whose ids are new, and returns how many.
    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<u64, Failure> {
        let query = sqlx::query(
            "INSERT INTO memory (entity_id, memory_id, kind, content, timestamp, importance, \
             decay_rate, context, metadata, related, tags, version, word_count) \
             SELECT u.entity_id, u.memory_id, u.kind, u.content, u.timestamp, u.importance, \
             u.decay_rate, u.context, u.metadata, u.related, u.tags::text[], u.version, \
             u.word_count \
             FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], \
             $6::real[], $7::real[], $8::text[], $9::jsonb[], $10::jsonb[], $11::text[], \
             $12::bigint[], $13::integer[]) \
             AS u(entity_id, memory_id, kind, content, timestamp, importance, decay_rate, \
             context, metadata, related, tags, version, word_count) \
             ON CONFLICT (entity_id, memory_id) DO NOTHING",
        );
        let query = query
            .bind(self.entities)
            .bind(self.ids)
            .bind(self.kinds)
            .bind(self.contents)
            .bind(self.timestamps)
            .bind(self.importances)
            .bind(self.decay_rates)
            .bind(self.contexts)
            .bind(self.metadata)
            .bind(self.related)
            .bind(self.tags)
            .bind(self.versions)
            .bind(self.word_counts);
        connection.execute(query).await
    }
}

/// Columns for the table `memory_embedding`.
#[derive(Default)]
pub(crate) struct EmbeddingColumns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Uuid>,
    models: Vec<&'a str>,
    chunks: Vec<i32>,
    vectors: VectorColumns,
}

impl<'a> EmbeddingColumns<'a> {
    pub(crate) fn new(
        items: impl IntoIterator<Item = &'a EmbeddedMemory>,
        precision: Precision,
    ) -> Result<Self, InvalidInput> {
        let items = items.into_iter();
        let items = items.map(|item| (&item.memory.entity_id, &item.memory.id, &item.embedding));
        Self::of(items, precision)
    }

    /// Of memories of these entities and ids.
    pub(crate) fn of(
        items: impl Iterator<Item = (&'a EntityId, &'a MemoryId, &'a Embedding)>,
        precision: Precision,
    ) -> Result<Self, InvalidInput> {
        let mut columns = Self::default();
        for (entity, id, embedding) in items {
            for (chunk, vector) in embedding.vectors.iter().enumerate() {
                columns.entities.push(entity.as_str());
                columns.ids.push(*id.as_uuid());
                columns.models.push(embedding.fingerprint.as_str());
                columns
                    .chunks
                    .push(i32::try_from(chunk).unwrap_or(i32::MAX));
                columns.vectors.push(vector, precision)?;
            }
        }
        Ok(columns)
    }

    /// Inserts the rows. `unnest` in the select list streams the arrays; in
    /// `FROM` the server would write large ones to a temporary file first.
    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Failure> {
        let query = sqlx::query(
            "INSERT INTO memory_embedding (entity_id, memory_id, model, chunk, half, single) \
             SELECT unnest($1::text[]), unnest($2::uuid[]), unnest($3::text[]), \
             unnest($4::integer[]), unnest($5::halfvec[]), unnest($6::vector[])",
        );
        let query = query
            .bind(self.entities)
            .bind(self.ids)
            .bind(self.models)
            .bind(self.chunks)
            .bind(self.vectors.half)
            .bind(self.vectors.single);
        connection.execute(query).await?;
        Ok(())
    }
}

/// Columns for the table `memory_entity`.
#[derive(Default)]
pub(crate) struct InvolvedEntityColumns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Uuid>,
    involved: Vec<&'a str>,
    roles: Vec<&'a str>,
}

impl<'a> InvolvedEntityColumns<'a> {
    pub(crate) fn new(memories: impl IntoIterator<Item = &'a Memory>) -> Self {
        let mut columns = Self::default();
        for memory in memories {
            for (entity, role) in &memory.entities {
                columns.entities.push(memory.entity_id.as_str());
                columns.ids.push(*memory.id.as_uuid());
                columns.involved.push(entity.as_str());
                columns.roles.push(role);
            }
        }
        columns
    }

    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Failure> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(
            "INSERT INTO memory_entity (entity_id, memory_id, involved_entity_id, role) \
             SELECT u.entity_id, u.memory_id, u.involved, u.role \
             FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) \
             AS u(entity_id, memory_id, involved, role)",
        );
        let query = query
            .bind(self.entities)
            .bind(self.ids)
            .bind(self.involved)
            .bind(self.roles);
        connection.execute(query).await?;
        Ok(())
    }
}

/// Columns for the table `memory_access`: only of memories with accesses.
#[derive(Default)]
pub(crate) struct AccessColumns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Uuid>,
    counts: Vec<i64>,
    times: Vec<Option<DateTime<Utc>>>,
}

impl<'a> AccessColumns<'a> {
    pub(crate) fn new(items: &[&'a EmbeddedMemory]) -> Self {
        let mut columns = Self::default();
        for EmbeddedMemory { memory, .. } in items {
            if memory.access_count > 0 || memory.last_accessed.is_some() {
                columns.entities.push(memory.entity_id.as_str());
                columns.ids.push(*memory.id.as_uuid());
                columns.counts.push(signed(memory.access_count));
                columns.times.push(memory.last_accessed);
            }
        }
        columns
    }

    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Failure> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(
            "INSERT INTO memory_access (entity_id, memory_id, access_count, last_accessed) \
             SELECT u.entity_id, u.memory_id, u.accesses, u.at \
             FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[]) \
             AS u(entity_id, memory_id, accesses, at)",
        );
        let query = query
            .bind(self.entities)
            .bind(self.ids)
            .bind(self.counts)
            .bind(self.times);
        connection.execute(query).await?;
        Ok(())
    }
}

/// A set of texts as an array literal: `{"a","b"}`. A two-dimensional array
/// would need rows of one length.
fn array_literal<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let mut literal = String::from("{");
    for text in texts {
        if literal.len() > 1 {
            literal.push(',');
        }
        literal.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literal_quotes_every_element() {
        let texts = ["a,b", "say \"hi\"", "back\\slash", "NULL"].map(str::to_owned);
        let expected = r#"{"a,b","say \"hi\"","back\\slash","NULL"}"#;
        assert_eq!(array_literal(&texts), expected);
        assert_eq!(array_literal(&[]), "{}");
    }
}
