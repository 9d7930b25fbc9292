//! Statistics of an entity, and the lists of entities.

use memory_core::{EntityId, EntityStats};
use sqlx::query_scalar;
use sqlx::sqlite::SqliteConnection;

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::rows::entity;

/// [`Store::entity_stats`](memory_core::Store::entity_stats).
pub(crate) struct Stats {
    pub(crate) entity: EntityId,
}

impl Transaction for Stats {
    type Output = EntityStats;
    const OPERATION: &'static str = "entity_stats";
    const IS_ONE_READ: bool = true;

    async fn run(self, conn: &mut SqliteConnection) -> Result<EntityStats, Failure> {
        let row = entity::find(conn, &self.entity).await?;
        Ok(row.map_or_else(EntityStats::default, |row| {
            EntityStats::new(row.generation, row.memory_count, row.archived_count)
        }))
    }
}

/// [`Store::list_entities`](memory_core::Store::list_entities).
pub(crate) struct ListEntities {
    pub(crate) after: Option<EntityId>,
    pub(crate) limit: usize,
}

impl Transaction for ListEntities {
    type Output = Vec<EntityId>;
    const OPERATION: &'static str = "list_entities";
    const IS_ONE_READ: bool = true;

    async fn run(self, conn: &mut SqliteConnection) -> Result<Vec<EntityId>, Failure> {
        // No name is empty, so all of them sort after the empty string.
        let after = self.after.as_ref().map_or("", EntityId::as_str);
        let names: Vec<String> = query_scalar(
            "SELECT entity_id FROM entity WHERE memory_count + archived_count > 0 AND entity_id > ?1
             ORDER BY entity_id LIMIT ?2",
        )
        .bind(after)
        .bind(i64::try_from(self.limit).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
        Ok(names.into_iter().map(EntityId::from).collect())
    }
}

/// [`Store::recently_accessed_entities`](memory_core::Store::recently_accessed_entities).
pub(crate) struct RecentlyAccessedEntities {
    pub(crate) limit: usize,
}

impl Transaction for RecentlyAccessedEntities {
    type Output = Vec<EntityId>;
    const OPERATION: &'static str = "recently_accessed_entities";
    const IS_ONE_READ: bool = true;

    async fn run(self, conn: &mut SqliteConnection) -> Result<Vec<EntityId>, Failure> {
        // The upper half of a memory's key is its entity's, so this reads neither memories
        // nor an index: only the table of accesses, some 20 bytes for each memory.
        let names: Vec<String> = query_scalar(
            "SELECT e.entity_id FROM (
                 SELECT memory_key >> 32 AS entity_key, max(last_accessed) AS latest
                 FROM memory_access WHERE last_accessed IS NOT NULL GROUP BY 1
             ) AS a JOIN entity AS e ON e.entity_key = a.entity_key
             ORDER BY a.latest DESC, e.entity_id LIMIT ?1",
        )
        .bind(i64::try_from(self.limit).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
        Ok(names.into_iter().map(EntityId::from).collect())
    }
}
