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
    entity: &EntityId,
    updates: &[AccessUpdate],
) -> MemoryResult<()> {
    database.check_open(OPERATION)?;
    if updates.is_empty() {
        return Ok(());
    }
    database
        .write(RecordAccesses::new(entity.clone(), updates))
        .await
}

/// One row for each memory, in the order of the ids: a statement may not write a
/// row twice, and locking rows in one order avoids deadlocks.
struct RecordAccesses {
    entity: EntityId,
    ids: Vec<Uuid>,
    counts: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl RecordAccesses {
    fn new(entity: EntityId, updates: &[AccessUpdate]) -> Self {
        let mut merged: BTreeMap<Uuid, (u64, DateTime<Utc>)> = BTreeMap::new();
        for update in updates {
            let (count, time) = merged
                .entry(*update.id.as_uuid())
                .or_insert((0, update.last_accessed));
            *count = count.saturating_add(update.accesses);
            *time = update.last_accessed.max(*time);
        }
        let mut accesses = Self {
            entity,
            ids: Vec::with_capacity(merged.len()),
            counts: Vec::with_capacity(merged.len()),
            times: Vec::with_capacity(merged.len()),
        };
        for (id, (count, time)) in merged {
            accesses.ids.push(id);
            accesses.counts.push(rows::signed(count));
            accesses.times.push(time);
        }
        accesses
    }
}

impl Transaction for RecordAccesses {
    const OPERATION: &'static str = OPERATION;
    type Output = ();

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<()>, Failure> {
        // A shared lock excludes writers: a memory removed concurrently would
        // leave its access row behind.
        let lock =
            sqlx::query("SELECT e.entity_id FROM entity e WHERE e.entity_id = $1::text FOR SHARE");
        connection
            .fetch_all(lock.bind(self.entity.as_str()))
            .await?;
        let query = sqlx::query(
            "INSERT INTO memory_access AS a (entity_id, memory_id, access_count, last_accessed) \
             SELECT m.entity_id, m.memory_id, u.accesses, u.at \
             FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) \
             AS u(memory_id, accesses, at) \
             JOIN memory m ON m.entity_id = $1::text AND m.memory_id = u.memory_id \
             ORDER BY m.memory_id \
             ON CONFLICT (entity_id, memory_id) DO UPDATE SET access_count = \
             least(a.access_count::numeric + excluded.access_count, 9223372036854775807)::bigint, \
             last_accessed = greatest(a.last_accessed, excluded.last_accessed)",
        );
        let query = query
            .bind(self.entity.as_str())
            .bind(&self.ids)
            .bind(&self.counts)
            .bind(&self.times);
        connection.execute(query).await?;
        Ok(TxOutcome::Commit(()))
    }
}
