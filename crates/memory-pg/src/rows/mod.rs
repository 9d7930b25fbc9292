//! Rows of the tables: decoding memories and entities, and encoding batches as
//! one array per column, so that one statement writes many rows.

pub(crate) mod batch_parts;
pub(crate) mod entity;
pub(crate) mod sql;
pub(crate) mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory_core::{
    EmbeddedMemory, Embedding, EntityId, Generation, InvalidInput, Memory, MemoryId, MemoryKind,
    limits,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::error::Failure;
use crate::options::Precision;
use crate::rows::sql::RowInsert;
use crate::rows::vectors::VectorColumns;
use crate::search::lexical::{self, IndexedMemory};

/// A row of the table `entity`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EntityRow {
    pub(crate) generation: Generation,
    /// Live memories.
    pub(crate) memories: u64,
    pub(crate) archived: u64,
    /// At most so many tombstones.
    pub(crate) tombstones: u64,
    /// Snapshot pages have no ids above this; `None` where there are none.
    pub(crate) paged_until: Option<Uuid>,
    /// The generation up to which pages were deleted with their memories.
    paged_at: Option<Generation>,
}

impl EntityRow {
    /// The columns, of the table `entity` as `e`.
    pub(crate) const COLUMNS: &'static str = "e.entity_id, e.generation, e.memory_count, e.archived_count, e.tombstone_count, \
         e.paged_until, e.paged_at";

    /// Decodes a row with [`COLUMNS`](Self::COLUMNS).
    pub(crate) fn decode(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            generation: generation(row)?,
            memories: unsigned("memory_count", row.try_get("memory_count")?)?,
            archived: unsigned("archived_count", row.try_get("archived_count")?)?,
            tombstones: unsigned("tombstone_count", row.try_get("tombstone_count")?)?,
            paged_until: row.try_get("paged_until")?,
            paged_at: row
                .try_get::<Option<i64>, _>("paged_at")?
                .map(|number| unsigned("paged_at", number))
                .transpose()?
                .map(Generation),
        })
    }

    /// Whether the entity has snapshot pages that are as its memories are. They are not
    /// where a program wrote that knows no pages.
    pub(crate) fn has_current_pages(&self) -> bool {
        self.paged_until.is_some() && self.paged_at == Some(self.generation)
    }
}

/// A row with the columns of a memory.
pub(crate) struct MemoryRow<'r>(pub(crate) &'r PgRow);

impl MemoryRow<'_> {
    /// The columns, of the table `memory` as `m` and of `memory_access` as `a`. All
    /// tables are restricted to the entity by its parameter and not by another
    /// table's column: a distributed server then knows which node has the rows.
    pub(crate) fn columns(entity_param: &str) -> String {
        format!(
            "m.memory_id, m.kind, m.content, m.timestamp, m.importance, m.decay_rate, m.context, \
             m.metadata, m.related, m.tags, m.archived_by, \
             (SELECT jsonb_object_agg(i.involved_entity_id, i.role) FROM memory_entity i \
              WHERE i.entity_id = {entity_param} AND i.memory_id = m.memory_id) AS entities, \
             a.access_count, a.last_accessed"
        )
    }

    /// The tables that [`columns`](Self::columns) are of. The caller restricts `m`
    /// to the entity.
    pub(crate) fn tables(entity_param: &str) -> String {
        format!(
            "memory m LEFT JOIN memory_access a \
             ON a.entity_id = {entity_param} AND a.memory_id = m.memory_id"
        )
    }

    /// The columns of [`by_id`](Self::by_id) as `m`.
    pub(crate) const COLUMNS_BY_ID: &'static str = "m.memory_id, m.kind, m.content, m.timestamp, \
         m.importance, m.decay_rate, m.context, m.metadata, m.related, m.tags, m.archived_by, \
         m.entities, m.access_count, m.last_accessed";

    /// A query for the memory with an id of a table before it, to be joined laterally; with
    /// its `version`. `OFFSET 0` keeps this to a lookup for each id: where its statistics
    /// know of few memories of the entity yet, the server would join all of them.
    pub(crate) fn by_id(entity_param: &str, id: &str) -> String {
        format!(
            "SELECT {}, m.version FROM {} WHERE m.entity_id = {entity_param} \
             AND m.memory_id = {id} OFFSET 0",
            Self::columns(entity_param),
            Self::tables(entity_param),
        )
    }

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
    lexemes: Vec<&'a str>,
}

impl<'a> MemoryColumns<'a> {
    /// Of memories at the generations of their entities.
    pub(crate) fn new(items: &[&'a IndexedMemory], raised: &BTreeMap<EntityId, EntityRow>) -> Self {
        let mut columns = Self::default();
        for IndexedMemory { item, entry } in items {
            let memory = &item.memory;
            let raised = raised.get(&memory.entity_id);
            let version = raised.map_or(0, |it| it.generation.0);
            columns.entities.push(memory.entity_id.as_str());
            columns.ids.push(*memory.id.as_uuid());
            columns.kinds.push(memory.kind.as_str());
            columns.contents.push(&memory.content);
            columns.timestamps.push(limits::to_micros(memory.timestamp));
            columns.importances.push(memory.importance);
            columns.decay_rates.push(memory.decay_rate);
            columns.contexts.push(memory.context.as_deref());
            columns.metadata.push(Json(&memory.metadata));
            columns.related.push(Json(&memory.related));
            columns.tags.push(array_literal(&memory.tags));
            columns.versions.push(signed(version));
            columns.word_counts.push(entry.word_count);
            columns.lexemes.push(&entry.lexemes);
        }
        columns
    }

    /// Inserts the rows whose ids are new, and returns how many. They are counted by
    /// what the statement returns: a distributed server's count includes the others.
    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<usize, Failure> {
        let rows = self.ids.len();
        let mut insert = RowInsert::new("memory", rows);
        insert
            .column("entity_id", "text", self.entities)
            .column("memory_id", "uuid", self.ids)
            .column("kind", "text", self.kinds)
            .column("content", "text", self.contents)
            .column("timestamp", "timestamptz", self.timestamps)
            .column("importance", "real", self.importances)
            .column("decay_rate", "real", self.decay_rates)
            .column("context", "text", self.contexts)
            .column("metadata", "jsonb", self.metadata)
            .column("related", "jsonb", self.related)
            .converted_column("tags", ["text", "text[]"], self.tags)
            .column("version", "bigint", self.versions)
            .column("word_count", "integer", self.word_counts)
            .converted_column("lexemes", ["text", "tsvector"], self.lexemes)
            .column("analysis", "integer", vec![lexical::ANALYSIS; rows]);
        let query = insert.query("ON CONFLICT (entity_id, memory_id) DO NOTHING RETURNING 1")?;
        Ok(connection.fetch_all(query).await?.len())
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

    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Failure> {
        let mut insert = RowInsert::new("memory_embedding", self.ids.len());
        insert
            .column("entity_id", "text", self.entities)
            .column("memory_id", "uuid", self.ids)
            .column("model", "text", self.models)
            .column("chunk", "integer", self.chunks)
            .column("half", "halfvec", self.vectors.half)
            .column("single", "vector", self.vectors.single);
        connection.execute(insert.query("")?).await?;
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
        let mut insert = RowInsert::new("memory_entity", self.ids.len());
        insert
            .column("entity_id", "text", self.entities)
            .column("memory_id", "uuid", self.ids)
            .column("involved_entity_id", "text", self.involved)
            .column("role", "text", self.roles);
        connection.execute(insert.query("")?).await?;
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
    pub(crate) fn new(memories: impl IntoIterator<Item = &'a Memory>) -> Self {
        let mut columns = Self::default();
        for memory in memories {
            if memory.access_count > 0 || memory.last_accessed.is_some() {
                columns.entities.push(memory.entity_id.as_str());
                columns.ids.push(*memory.id.as_uuid());
                columns.counts.push(signed(memory.access_count));
                columns
                    .times
                    .push(memory.last_accessed.map(limits::to_micros));
            }
        }
        columns
    }

    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Failure> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let mut insert = RowInsert::new("memory_access", self.ids.len());
        insert
            .column("entity_id", "text", self.entities)
            .column("memory_id", "uuid", self.ids)
            .column("access_count", "bigint", self.counts)
            .column("last_accessed", "timestamptz", self.times);
        connection.execute(insert.query("")?).await?;
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
