//! [`Store::delete`](memory_core::Store::delete).

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult, RemoveOutcome};
use sqlx::Row;
use uuid::Uuid;

use crate::database::{Database, Link};
use crate::error::Failure;
use crate::row;
use crate::write::{End, Write, write};

const OPERATION: &str = "delete";

/// What belongs to a memory and goes with it.
const BELONGINGS: [&str; 3] = [
    "DELETE FROM memory_embedding WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
    "DELETE FROM memory_access WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
    "DELETE FROM memory_entity WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[])",
];

pub(crate) async fn delete(
    database: &Arc<Database>,
    entity: &EntityId,
    ids: &[MemoryId],
) -> MemoryResult<RemoveOutcome> {
    database.open(OPERATION)?;
    let delete = Delete {
        entity: entity.clone(),
        ids: ids.to_vec(),
    };
    write(database, delete).await
}

struct Delete {
    entity: EntityId,
    ids: Vec<MemoryId>,
}

impl Write for Delete {
    const OPERATION: &'static str = OPERATION;
    type Outcome = RemoveOutcome;

    async fn attempt(&self, link: &mut Link) -> Result<End<RemoveOutcome>, Failure> {
        let lock = sqlx::query(
            "SELECT e.generation FROM entity e WHERE e.entity_id = $1::text FOR NO KEY UPDATE",
        );
        let locked = link.rows(lock.bind(self.entity.as_str())).await?;
        let Some(locked) = locked.first() else {
            return Ok(End::Rollback(RemoveOutcome::default()));
        };
        let generation = row::generation(locked)?;
        let mut removed = self.remove(link).await?;
        if removed.is_empty() {
            return Ok(End::Rollback(RemoveOutcome {
                generation,
                removed: Vec::new(),
            }));
        }
        let generation = generation.next();
        let words: i64 = removed.values().copied().map(i64::from).sum();
        let uuids: Vec<Uuid> = removed.keys().map(|id| *id.as_uuid()).collect();
        for belonging in BELONGINGS {
            let query = sqlx::query(belonging);
            link.run(query.bind(self.entity.as_str()).bind(&uuids))
                .await?;
        }
        self.bury(link, &uuids, row::signed(generation.0), words)
            .await?;
        let in_order = self.ids.iter().filter(|id| removed.remove(*id).is_some());
        Ok(End::Commit(RemoveOutcome {
            generation,
            removed: in_order.copied().collect(),
        }))
    }
}

impl Delete {
    /// Removes the memories, and tells which were there and how long.
    async fn remove(&self, link: &mut Link) -> Result<HashMap<MemoryId, i32>, Failure> {
        let uuids: Vec<Uuid> = self.ids.iter().map(|id| *id.as_uuid()).collect();
        let query = sqlx::query(
            "DELETE FROM memory WHERE entity_id = $1::text AND memory_id = ANY ($2::uuid[]) \
             RETURNING memory_id, word_count",
        );
        let rows = link
            .rows(query.bind(self.entity.as_str()).bind(uuids))
            .await?;
        let mut removed = HashMap::with_capacity(rows.len());
        for row in &rows {
            let id: Uuid = row.try_get("memory_id")?;
            removed.insert(MemoryId::from(id), row.try_get("word_count")?);
        }
        Ok(removed)
    }

    /// Leaves the tombstones and raises the entity.
    async fn bury(
        &self,
        link: &mut Link,
        uuids: &[Uuid],
        version: i64,
        words: i64,
    ) -> Result<(), Failure> {
        let tombstones = sqlx::query(
            "INSERT INTO memory_tombstone (entity_id, memory_id, version) \
             SELECT $1::text, u.memory_id, $3::bigint FROM unnest($2::uuid[]) AS u(memory_id) \
             ON CONFLICT (entity_id, memory_id) DO UPDATE SET version = excluded.version",
        );
        let tombstones = tombstones
            .bind(self.entity.as_str())
            .bind(uuids)
            .bind(version);
        link.run(tombstones).await?;
        let raise = sqlx::query(
            "UPDATE entity SET generation = $2::bigint, memory_count = memory_count - $3::bigint, \
             word_count = word_count - $4::bigint WHERE entity_id = $1::text",
        );
        let count = row::signed(uuids.len() as u64);
        let raise = raise
            .bind(self.entity.as_str())
            .bind(version)
            .bind(count)
            .bind(words);
        link.run(raise).await?;
        Ok(())
    }
}
