//! Embedding spaces: an entity's vectors by one model.

use std::collections::BTreeMap;

use memory_core::{Fingerprint, InvalidInput};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, query};

use crate::error::Failure;
use crate::rows::to_json;

/// A row of the table `embedding_space`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmbeddingSpace {
    pub(crate) key: i64,
    pub(crate) dimensions: usize,
}

impl EmbeddingSpace {
    /// Decodes the key and the dimensions, the first two columns.
    pub(crate) fn decode(row: &SqliteRow) -> Result<Self, Failure> {
        let dimensions: u32 = row.try_get(1)?;
        Ok(Self {
            key: row.try_get(0)?,
            dimensions: usize::try_from(dimensions)
                .map_err(|_| Failure::Damaged("a stored dimension is out of range"))?,
        })
    }

    /// Checks that vectors with this many dimensions belong to the space.
    pub(crate) fn check_dimensions(self, found: usize) -> Result<(), InvalidInput> {
        let expected = self.dimensions;
        if found == expected {
            Ok(())
        } else {
            Err(InvalidInput::VectorDimensions { expected, found })
        }
    }
}

/// Reads a space; `None` where the entity has no vector of this model.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity_key: i64,
    fingerprint: &Fingerprint,
) -> Result<Option<EmbeddingSpace>, Failure> {
    query(
        "SELECT space_key, dimensions FROM embedding_space
         WHERE entity_key = ?1 AND fingerprint = ?2",
    )
    .bind(entity_key)
    .bind(fingerprint.as_str())
    .fetch_optional(conn)
    .await?
    .as_ref()
    .map(EmbeddingSpace::decode)
    .transpose()
}

/// Reads spaces, and creates those that are missing with the dimensions given.
pub(crate) async fn find_or_create<'f>(
    conn: &mut SqliteConnection,
    wanted: &BTreeMap<(i64, &'f Fingerprint), usize>,
) -> Result<BTreeMap<(i64, &'f Fingerprint), EmbeddingSpace>, Failure> {
    let rows: Vec<_> = wanted
        .iter()
        .map(|((entity_key, fingerprint), dimensions)| (entity_key, fingerprint, dimensions))
        .collect();
    let json = to_json(&rows)?;
    let mut spaces = find_all(conn, &json).await?;
    // An entity gets one with its first memory.
    if spaces.len() < wanted.len() {
        query(
            "INSERT INTO embedding_space (entity_key, fingerprint, dimensions)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1) WHERE true
             ON CONFLICT (entity_key, fingerprint) DO NOTHING",
        )
        .bind(&json)
        .execute(&mut *conn)
        .await?;
        spaces = find_all(conn, &json).await?;
    }
    if spaces.len() != wanted.len() {
        return Err(Failure::Damaged("an embedding space is missing"));
    }
    wanted
        .keys()
        .zip(&spaces)
        .map(|(wanted, row)| Ok((*wanted, EmbeddingSpace::decode(row)?)))
        .collect()
}

/// The spaces of those in a JSON array that exist, in its order.
async fn find_all(conn: &mut SqliteConnection, wanted: &str) -> Result<Vec<SqliteRow>, Failure> {
    let spaces = query(
        "SELECT s.space_key, s.dimensions FROM jsonb_each(?1) AS w
         CROSS JOIN embedding_space AS s
             ON s.entity_key = w.value ->> 0 AND s.fingerprint = w.value ->> 1
         ORDER BY w.key",
    );
    Ok(spaces.bind(wanted).fetch_all(conn).await?)
}
