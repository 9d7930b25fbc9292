//! Filter terms: the index of what filters match, one text per value.
//!
//! A tag is `#tag`, an involved entity `@entity`, a link `>id`, metadata
//! `:key=value`. The first three are stored in full, so their terms are exact.
//! Metadata may be long, so its term is truncated and only preselects; the row
//! itself is then compared (see `filter`).
//!
//! A memory's terms are removed by computing them again from its row, so
//! changing their format needs a migration that rewrites the table
//! `memory_label`.

use memory_core::{EntityId, Memory, MemoryId};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::error::Failure;
use crate::rows::to_json;

/// The longest metadata term in bytes.
const MAX_METADATA_BYTES: usize = 128;

pub(crate) fn tag(tag: &str) -> String {
    format!("#{tag}")
}

pub(crate) fn involved(entity: &EntityId) -> String {
    format!("@{entity}")
}

/// A link to a memory.
pub(crate) fn link(id: &MemoryId) -> String {
    format!(">{id}")
}

pub(crate) fn metadata(key: &str, value: &str) -> String {
    let mut term = format!(":{key}={value}");
    term.truncate(term.floor_char_boundary(MAX_METADATA_BYTES));
    term
}

/// Every term of a memory.
pub(crate) fn of(memory: &Memory) -> impl Iterator<Item = String> {
    let tags = memory.tags.iter().map(|name| tag(name));
    let entities = memory.entities.keys().map(involved);
    let metadata = memory
        .metadata
        .iter()
        .map(|(key, value)| metadata(key, value));
    let links = memory.related.keys().map(link);
    tags.chain(entities).chain(links).chain(metadata)
}

/// Inserts terms: pairs of memory key and term, as JSON. A literal for `concat!`.
///
/// Two long values of one key may be truncated to the same term.
macro_rules! insert_terms {
    () => {
        "INSERT OR IGNORE INTO memory_label (entity_key, label, memory_key)
         SELECT (value ->> 0) >> 32, value ->> 1, value ->> 0 FROM jsonb_each(?)"
    };
}
pub(crate) use insert_terms;

/// Inserts terms, each with the key of its memory.
pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    terms: &[(i64, String)],
) -> Result<(), Failure> {
    execute(conn, insert_terms!(), terms).await
}

/// Deletes terms, each with the key of its memory.
pub(crate) async fn delete(
    conn: &mut SqliteConnection,
    terms: &[(i64, String)],
) -> Result<(), Failure> {
    execute(
        conn,
        // Each by its whole key; see the migration.
        "INSERT INTO memory_label_erased (entity_key, label, memory_key)
         SELECT (value ->> 0) >> 32, value ->> 1, value ->> 0 FROM jsonb_each(?1)",
        terms,
    )
    .await
}

async fn execute(
    conn: &mut SqliteConnection,
    sql: &'static str,
    terms: &[(i64, String)],
) -> Result<(), Failure> {
    if !terms.is_empty() {
        query(sql).bind(to_json(&terms)?).execute(conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_term_is_truncated_at_a_character_boundary() {
        let term = metadata("k", &"記".repeat(100));
        assert!(term.len() <= MAX_METADATA_BYTES && term.len() > MAX_METADATA_BYTES - 3);
        assert_eq!(metadata("k", "v"), ":k=v");
    }
}
