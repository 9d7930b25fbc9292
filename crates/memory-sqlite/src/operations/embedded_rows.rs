//! Memories with their vectors in one embedding space, as loads of a snapshot read them.

use memory_core::{EmbeddedMemory, Embedding, EntityId, Fingerprint};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::Failure;
use crate::rows::embedding_space::EmbeddingSpace;
use crate::rows::row_keys;
use crate::rows::vectors;
use crate::rows::{MemoryRow, NEXT_COLUMN};

/// The beginning of a statement whose rows [`EmbeddedRows::decode`] reads, as a literal for
/// `concat!`; the table `memory` is `m`, and `?1` is [`EmbeddedRows::shift`].
macro_rules! select_embedded {
    () => {
        concat!(
            "SELECT ",
            $crate::rows::memory_columns!(),
            ", e.vectors FROM memory AS m
             LEFT JOIN memory_access AS a ON a.memory_key = m.memory_key
             LEFT JOIN memory_embedding AS e ON e.embedding_key = m.memory_key + ?1 "
        )
    };
}
pub(crate) use select_embedded;

/// What the rows of an entity's memories do not contain themselves.
pub(crate) struct EmbeddedRows {
    pub(crate) entity: EntityId,
    pub(crate) entity_key: i64,
    pub(crate) fingerprint: Fingerprint,
    /// `None` where the entity has no vectors of the model.
    pub(crate) space: Option<EmbeddingSpace>,
}

impl EmbeddedRows {
    /// What is added to the key of a memory for that of its vectors; NULL where there is no
    /// space, and then no row is joined.
    pub(crate) fn shift(&self) -> Option<i64> {
        let space = self.space?;
        Some(row_keys::shift(self.entity_key, space.key))
    }

    /// Decodes a memory and its key. It has no vectors where there are none in the space.
    pub(crate) fn decode(&self, row: &SqliteRow) -> Result<(i64, EmbeddedMemory), Failure> {
        let MemoryRow { key, memory } = MemoryRow::decode(row, &self.entity)?;
        let dimensions = self.space.map_or(0, |space| space.dimensions);
        let vectors: Option<&[u8]> = row.try_get(NEXT_COLUMN)?;
        let vectors = vectors.map(|bytes| vectors::decode(bytes, dimensions));
        let embedding = Embedding {
            fingerprint: self.fingerprint.clone(),
            vectors: vectors.transpose()?.unwrap_or_default(),
        };
        Ok((key, EmbeddedMemory { memory, embedding }))
    }
}
