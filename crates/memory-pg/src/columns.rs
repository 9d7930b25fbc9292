//! Rows turned into columns: one array a column, in binary, so that a
//! statement writes any number of rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use memory_core::{EmbeddedMemory, EntityId, Generation, InvalidInput, Memory, MemoryId};
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Link;
use crate::error::Failure;
use crate::options::Precision;
use crate::row::signed;
use crate::vectors::VectorColumns;
use crate::words;

/// For the table `memory`.
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
            columns.word_counts.push(words::count(&memory.content));
        }
        columns
    }

    /// Writes those rows whose ids are new, and tells how many.
    pub(crate) async fn insert(self, link: &mut Link) -> Result<u64, Failure> {
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
        link.run(query).await
    }
}

/// For the table `memory_embedding`.
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
        let mut columns = Self::default();
        for item in items {
            for (chunk, vector) in item.embedding.vectors.iter().enumerate() {
                columns.entities.push(item.memory.entity_id.as_str());
                columns.ids.push(*item.memory.id.as_uuid());
                columns.models.push(item.embedding.fingerprint.as_str());
                columns
                    .chunks
                    .push(i32::try_from(chunk).unwrap_or(i32::MAX));
                columns.vectors.push(vector, precision)?;
            }
        }
        Ok(columns)
    }

    /// Arrays that are unfolded in the list of columns, and not in `FROM`, are
    /// not first written to a file, as vectors of large batches would be.
    pub(crate) async fn insert(self, link: &mut Link) -> Result<(), Failure> {
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
        link.run(query).await?;
        Ok(())
    }
}

/// For the table `memory_entity`.
#[derive(Default)]
pub(crate) struct InvolvedColumns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Uuid>,
    involved: Vec<&'a str>,
    roles: Vec<&'a str>,
}

impl<'a> InvolvedColumns<'a> {
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

    pub(crate) async fn insert(self, link: &mut Link) -> Result<(), Failure> {
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
        link.run(query).await?;
        Ok(())
    }
}

/// For the table `memory_access`: of memories that come with accesses.
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

    pub(crate) async fn insert(self, link: &mut Link) -> Result<(), Failure> {
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
        link.run(query).await?;
        Ok(())
    }
}

/// A set of texts as the database reads arrays: `{"a","b"}`. Arrays of arrays
/// would all have to be of one length.
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
    fn an_array_literal_quotes_everything() {
        let texts = ["a,b", "say \"hi\"", "back\\slash", "NULL"].map(str::to_owned);
        let wanted = r#"{"a,b","say \"hi\"","back\\slash","NULL"}"#;
        assert_eq!(array_literal(&texts), wanted);
        assert_eq!(array_literal(&[]), "{}");
    }
}
