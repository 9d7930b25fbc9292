//! Labels: what filters look for, as one text each.
//!
//! A tag is `#tag`, an involved entity `@entity`, a link `>id`, metadata
//! `:key=value`. The first three are written whole, so their labels decide. Metadata may be
//! long, so its label is cut and only narrows the search down; the row itself
//! decides (see `filter`).
//!
//! A memory's labels are taken away by making them anew from its row, so
//! changing how one is written needs a migration that rewrites the table.

use memory_core::{EntityId, Memory, MemoryId};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::error::Failure;
use crate::row::to_json;

/// Most bytes of a metadata label.
const METADATA_BYTES: usize = 128;

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
    let mut label = format!(":{key}={value}");
    label.truncate(label.floor_char_boundary(METADATA_BYTES));
    label
}

/// Every label of a memory.
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

/// Writes labels: each with the key of its memory.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    labels: &[(i64, String)],
) -> Result<(), Failure> {
    change(
        conn,
        // Two long values of one key may be cut to one label.
        "INSERT OR IGNORE INTO memory_label (entity_key, label, memory_key)
         SELECT (value ->> 0) >> 32, value ->> 1, value ->> 0 FROM jsonb_each(?1)",
        labels,
    )
    .await
}

/// Takes labels away.
pub(crate) async fn erase(
    conn: &mut SqliteConnection,
    labels: &[(i64, String)],
) -> Result<(), Failure> {
    change(
        conn,
        // See the migration: by its whole key, each.
        "INSERT INTO memory_label_erased (entity_key, label, memory_key)
         SELECT (value ->> 0) >> 32, value ->> 1, value ->> 0 FROM jsonb_each(?1)",
        labels,
    )
    .await
}

async fn change(
    conn: &mut SqliteConnection,
    sql: &'static str,
    labels: &[(i64, String)],
) -> Result<(), Failure> {
    if !labels.is_empty() {
        query(sql).bind(to_json(&labels)?).execute(conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_between_characters() {
        let label = metadata("k", &"記".repeat(100));
        assert!(label.len() <= METADATA_BYTES && label.len() > METADATA_BYTES - 3);
        assert_eq!(metadata("k", "v"), ":k=v");
    }
}
