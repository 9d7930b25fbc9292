//! [`Store::record_accesses`](memory_core::Store::record_accesses).

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use memory_core::{AccessUpdate, EntityId, MemoryResult};
use uuid::Uuid;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Failure;
use crate::rows;
use crate::transaction::{Transaction, TxOutcome};

const OPERATION: &str = "record_accesses";

pub(crate) async fn record_accesses(
    database: &Arc<Database>,
    updates: &[AccessUpdate],
) -> MemoryResult<()> {
    database.check_open(OPERATION)?;
    AccessUpdate::validate_all(updates)?;
    if updates.is_empty() {
        return Ok(());
    }
    database.write(RecordAccesses::new(updates)).await
}

/// The accesses of each entity. Entities and ids are in order: locking rows in one
/// order avoids deadlocks.
struct RecordAccesses(BTreeMap<EntityId, Accesses>);

/// One row for each memory of an entity: a statement may not write a row twice.
#[derive(Default)]
struct Accesses {
    ids: Vec<Uuid>,
    counts: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl RecordAccesses {
    fn new(updates: &[AccessUpdate]) -> Self {
        let mut merged: BTreeMap<(&EntityId, Uuid), (u64, DateTime<Utc>)> = BTreeMap::new();
        for update in updates {
            let (count, time) = merged
                .entry((&update.entity, *update.id.as_uuid()))
                .or_insert((0, update.last_accessed));
            *count = count.saturating_add(update.accesses);
            *time = update.last_accessed.max(*time);
        }
        let mut by_entity: BTreeMap<EntityId, Accesses> = BTreeMap::new();
        for ((entity, id), (count, time)) in merged {
            let accesses = by_entity.entry(entity.clone()).or_default();
            accesses.ids.push(id);
            accesses.counts.push(rows::signed(count));
            accesses.times.push(time);
        }
        Self(by_entity)
    }
}

impl Transaction for RecordAccesses {
    const OPERATION: &'static str = OPERATION;
    type Output = ();

    fn entities(&self) -> Vec<&EntityId> {
        self.0.keys().collect()
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<()>, Failure> {
        for (entity, accesses) in &self.0 {
            accesses.record(entity, connection).await?;
        }
        Ok(TxOutcome::Commit(()))
    }
}

impl Accesses {
    async fn record(&self, entity: &EntityId, connection: &mut Connection) -> Result<(), Failure> {
        // A shared lock excludes writers: a memory removed concurrently would
        // leave its access row behind.
        let lock =
            sqlx::query("SELECT e.entity_id FROM entity e WHERE e.entity_id = $1::text FOR SHARE");
        connection.fetch_all(lock.bind(entity.as_str())).await?;
        let query = sqlx::query(
            "INSERT INTO memory_access AS a (entity_id, memory_id, access_count, last_accessed) \
             SELECT m.entity_id, m.memory_id, u.accesses, u.at \
             FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) \
             AS u(memory_id, accesses, at) \
             JOIN memory m ON m.entity_id = $1::text AND m.memory_id = u.memory_id \
             AND m.memory_id = ANY ($2::uuid[]) \
             ORDER BY m.memory_id \
             ON CONFLICT (entity_id, memory_id) DO UPDATE SET access_count = \
             least(a.access_count::numeric + excluded.access_count, 9223372036854775807)::bigint, \
             last_accessed = greatest(a.last_accessed, excluded.last_accessed)",
        );
        let query = query
            .bind(entity.as_str())
            .bind(&self.ids)
            .bind(&self.counts)
            .bind(&self.times);
        connection.execute(query).await?;
        Ok(())
    }
}
