//! [`Store::vector_counts`](memory_core::Store::vector_counts),
//! [`Store::count_by_model`](memory_core::Store::count_by_model),
//! [`Store::replace_vectors`](memory_core::Store::replace_vectors) and
//! [`Store::remove_other_vectors`](memory_core::Store::remove_other_vectors).

use std::collections::{BTreeMap, HashMap};

use memory_core::{Embedding, EntityId, Fingerprint, Generation, MemoryId, ReplaceVectorsOutcome};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query, query_scalar};
use uuid::Uuid;

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::embedding_space;
use crate::rows::entity::{self, CountDelta};
use crate::rows::row_keys;
use crate::rows::vectors;
use crate::rows::{self, to_json};

pub(crate) struct VectorCounts {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
    pub(crate) fingerprint: Fingerprint,
}

impl Transaction for VectorCounts {
    type Output = Vec<usize>;
    const OPERATION: &'static str = "vector_counts";

    async fn run(self, conn: &mut SqliteConnection) -> Result<Vec<usize>, Failure> {
        let none = vec![0; self.ids.len()];
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(none);
        };
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        let Some(space) = space else {
            return Ok(none);
        };
        let rows = query(
            "SELECT m.memory_id,
                 length(coalesce(e.vectors, a.vectors)) / (4 * ?3)
             FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             LEFT JOIN memory_embedding AS e ON e.embedding_key = m.memory_key + ?4
             LEFT JOIN archived_embedding AS a ON a.embedding_key = m.memory_key + ?4",
        )
        .bind(entity.key)
        .bind(rows::encode_ids(&self.ids)?)
        .bind(i64::try_from(space.dimensions).unwrap_or(i64::MAX))
        .bind(row_keys::shift(entity.key, space.key))
        .fetch_all(conn)
        .await?;
        let mut counts = HashMap::new();
        for row in &rows {
            let count: Option<i64> = row.try_get(1)?;
            let count = count.and_then(|count| usize::try_from(count).ok());
            counts.insert(memory_id(row)?, count.unwrap_or(0));
        }
        let count = |id| counts.get(id).copied().unwrap_or(0);
        Ok(self.ids.iter().map(count).collect())
    }
}

pub(crate) struct CountByModel {
    pub(crate) entity: EntityId,
}

impl Transaction for CountByModel {
    type Output = BTreeMap<Fingerprint, u64>;
    const OPERATION: &'static str = "count_by_model";

    async fn run(self, conn: &mut SqliteConnection) -> Result<Self::Output, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(BTreeMap::new());
        };
        // The last key of the last space is the largest integer, so that the end of
        // a range is part of it.
        let rows = query(
            "SELECT s.fingerprint,
                 (SELECT count(*) FROM memory_embedding WHERE embedding_key
                     BETWEEN s.space_key * 4294967296 AND s.space_key * 4294967296 + 4294967295)
                 + (SELECT count(*) FROM archived_embedding WHERE embedding_key
                     BETWEEN s.space_key * 4294967296 AND s.space_key * 4294967296 + 4294967295)
             FROM embedding_space AS s WHERE s.entity_key = ?1",
        )
        .bind(entity.key)
        .fetch_all(conn)
        .await?;
        let mut counts = BTreeMap::new();
        for row in &rows {
            let count = row.try_get::<i64, _>(1)?.unsigned_abs();
            if count > 0 {
                counts.insert(Fingerprint::from(row.try_get::<&str, _>(0)?), count);
            }
        }
        Ok(counts)
    }
}

pub(crate) struct RemoveOtherVectors {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
    pub(crate) fingerprint: Fingerprint,
}

impl Transaction for RemoveOtherVectors {
    type Output = u64;
    const OPERATION: &'static str = "remove_other_vectors";

    async fn run(self, conn: &mut SqliteConnection) -> Result<u64, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(0);
        };
        let space = embedding_space::find(conn, entity.key, &self.fingerprint).await?;
        let Some(space) = space else {
            return Ok(0);
        };
        // Those with vectors in this space and in another one.
        let keys: Vec<i64> = query_scalar(
            "SELECT m.memory_key FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             WHERE (EXISTS (SELECT 1 FROM memory_embedding WHERE embedding_key = m.memory_key + ?4)
                 OR EXISTS (SELECT 1 FROM archived_embedding
                     WHERE embedding_key = m.memory_key + ?4))
             AND EXISTS (SELECT 1 FROM embedding_space AS s
                 WHERE s.entity_key = ?1 AND s.space_key <> ?3
                 AND (EXISTS (SELECT 1 FROM memory_embedding WHERE embedding_key
                         = m.memory_key + (s.space_key - s.entity_key) * 4294967296)
                     OR EXISTS (SELECT 1 FROM archived_embedding WHERE embedding_key
                         = m.memory_key + (s.space_key - s.entity_key) * 4294967296)))",
        )
        .bind(entity.key)
        .bind(rows::encode_ids(&self.ids)?)
        .bind(space.key)
        .bind(row_keys::shift(entity.key, space.key))
        .fetch_all(&mut *conn)
        .await?;
        let json = to_json(&keys)?;
        for sql in [
            "DELETE FROM memory_embedding WHERE embedding_key IN (
                 SELECT one.value + (s.space_key - s.entity_key) * 4294967296
                 FROM embedding_space AS s, json_each(?2) AS one
                 WHERE s.entity_key = ?1 AND s.space_key <> ?3)",
            "DELETE FROM archived_embedding WHERE embedding_key IN (
                 SELECT one.value + (s.space_key - s.entity_key) * 4294967296
                 FROM embedding_space AS s, json_each(?2) AS one
                 WHERE s.entity_key = ?1 AND s.space_key <> ?3)",
        ] {
            query(sql)
                .bind(entity.key)
                .bind(&json)
                .bind(space.key)
                .execute(&mut *conn)
                .await?;
        }
        Ok(keys.len() as u64)
    }
}

pub(crate) struct ReplaceVectors {
    pub(crate) entity: EntityId,
    pub(crate) embeddings: Vec<(MemoryId, Embedding)>,
    pub(crate) read_at: Generation,
}

/// A memory whose vectors may be replaced.
struct Target {
    key: i64,
    is_archived: bool,
}

impl Transaction for ReplaceVectors {
    type Output = ReplaceVectorsOutcome;
    const OPERATION: &'static str = "replace_vectors";

    async fn run(self, conn: &mut SqliteConnection) -> Result<ReplaceVectorsOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(ReplaceVectorsOutcome::default());
        };
        let targets = self.find_targets(conn, entity.key).await?;
        let replaced: Vec<_> = self
            .embeddings
            .iter()
            .filter_map(|(id, embedding)| Some((*id, targets.get(id)?, embedding)))
            .collect();
        if replaced.is_empty() {
            return Ok(ReplaceVectorsOutcome::new(entity.generation, Vec::new()));
        }
        let wanted = replaced.iter().map(|(_, _, embedding)| {
            let space = (entity.key, &embedding.fingerprint);
            (space, embedding.dimensions())
        });
        let spaces = embedding_space::find_or_create(conn, &wanted.collect()).await?;
        let keys: Vec<i64> = replaced.iter().map(|(_, target, _)| target.key).collect();
        let keys = to_json(&keys)?;
        let mut bytes = Vec::new();
        for (_, target, embedding) in &replaced {
            let space = spaces[&(entity.key, &embedding.fingerprint)];
            space.check_dimensions(embedding.dimensions())?;
            bytes.clear();
            vectors::encode(&embedding.vectors, &mut bytes);
            query(if target.is_archived {
                "INSERT INTO archived_embedding (embedding_key, vectors) VALUES (?1, ?2)
                 ON CONFLICT (embedding_key) DO UPDATE SET vectors = excluded.vectors"
            } else {
                "INSERT INTO memory_embedding (embedding_key, vectors) VALUES (?1, ?2)
                 ON CONFLICT (embedding_key) DO UPDATE SET vectors = excluded.vectors"
            })
            .bind(target.key + row_keys::shift(entity.key, space.key))
            .bind(&bytes)
            .execute(&mut *conn)
            .await?;
        }
        let generation = entity.generation.next();
        query(
            "UPDATE memory SET version = ?2 WHERE memory_key IN (SELECT value FROM json_each(?1))",
        )
        .bind(keys)
        .bind(generation.0.cast_signed())
        .execute(&mut *conn)
        .await?;
        entity::raise(conn, &[(entity.key, CountDelta::default())].into()).await?;
        let replaced = replaced.into_iter().map(|(id, ..)| id).collect();
        Ok(ReplaceVectorsOutcome::new(generation, replaced))
    }
}

impl ReplaceVectors {
    /// The memories that were not written after `read_at`.
    async fn find_targets(
        &self,
        conn: &mut SqliteConnection,
        entity_key: i64,
    ) -> Result<HashMap<MemoryId, Target>, Failure> {
        let rows = query(
            "SELECT m.memory_id, m.memory_key, m.archived_by IS NOT NULL
             FROM json_each(?2) AS wanted
             CROSS JOIN memory AS m ON m.entity_key = ?1 AND m.memory_id = unhex(wanted.value)
             WHERE m.version <= ?3",
        )
        .bind(entity_key)
        .bind(rows::encode_ids(self.embeddings.iter().map(|(id, _)| id))?)
        .bind(self.read_at.0.cast_signed())
        .fetch_all(conn)
        .await?;
        let mut targets = HashMap::new();
        for row in &rows {
            let target = Target {
                key: row.try_get(1)?,
                is_archived: row.try_get(2)?,
            };
            targets.insert(memory_id(row)?, target);
        }
        Ok(targets)
    }
}

fn memory_id(row: &sqlx::sqlite::SqliteRow) -> Result<MemoryId, Failure> {
    let bytes: &[u8] = row.try_get(0)?;
    let id = Uuid::from_slice(bytes);
    id.map(MemoryId::from)
        .map_err(|_| Failure::Damaged("a stored id is no UUID"))
}
