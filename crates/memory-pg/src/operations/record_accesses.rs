//! [`Store::record_accesses`](memory_core::Store::record_accesses).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use memory_core::{AccessOutcome, AccessUpdate, EntityId, MemoryResult};
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::rows;

const OPERATION: &str = "record_accesses";

pub(crate) async fn record_accesses(
    database: &Arc<Database>,
    updates: &[AccessUpdate],
    max_wait: Duration,
) -> MemoryResult<AccessOutcome> {
    database.check_open(OPERATION)?;
    AccessUpdate::validate_all(updates)?;
    if updates.is_empty() {
        return Ok(AccessOutcome::default());
    }
    let max_wait = max_wait.min(database.options.lock_timeout);
    let record = RecordAccesses::new(updates, max_wait);
    let locked = database.write(record).await?;
    let deferred = updates.iter();
    let deferred = deferred.filter(|update| locked.contains(&update.entity));
    Ok(AccessOutcome::new(deferred.cloned().collect()))
}

struct RecordAccesses {
    /// The accesses of each entity. Entities and ids are in order: locking rows in one
    /// order avoids deadlocks.
    by_entity: BTreeMap<EntityId, Accesses>,
    /// How long to wait for the lock of an entity.
    max_wait: Duration,
}

/// One row for each memory of an entity: a statement may not write a row twice.
#[derive(Default)]
struct Accesses {
    ids: Vec<Uuid>,
    counts: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl RecordAccesses {
    fn new(updates: &[AccessUpdate], max_wait: Duration) -> Self {
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
        Self {
            by_entity,
            max_wait,
        }
    }

    /// Writes the accesses of the entities that no other transaction has locked. The
    /// locks that it has until it ends make their writers wait, so it waits for none, and
    /// hardly for another that writes accesses of the same memory.
    async fn record_unlocked(
        &self,
        connection: &mut Connection,
    ) -> Result<BTreeSet<EntityId>, Failure> {
        let mut locked = BTreeSet::new();
        for (entity, accesses) in &self.by_entity {
            let lock = sqlx::query(
                "SELECT e.entity_id FROM entity e WHERE e.entity_id = $1::text \
                 FOR SHARE SKIP LOCKED",
            );
            let is_free = !connection
                .fetch_all(lock.bind(entity.as_str()))
                .await?
                .is_empty();
            if is_free {
                accesses.record(entity, connection).await?;
            } else if exists(entity, connection).await? {
                locked.insert(entity.clone());
            }
        }
        Ok(locked)
    }

    /// Writes the accesses of all entities, and waits for their locks.
    async fn record_waiting(&self, connection: &mut Connection) -> Result<(), Failure> {
        for (entity, accesses) in &self.by_entity {
            let lock = sqlx::query(
                "SELECT e.entity_id FROM entity e WHERE e.entity_id = $1::text FOR SHARE",
            );
            let rows = connection.fetch_all(lock.bind(entity.as_str())).await?;
            if !rows.is_empty() {
                accesses.record(entity, connection).await?;
            }
        }
        Ok(())
    }
}

async fn exists(entity: &EntityId, connection: &mut Connection) -> Result<bool, Failure> {
    let query = sqlx::query("SELECT e.entity_id FROM entity e WHERE e.entity_id = $1::text");
    let rows = connection.fetch_all(query.bind(entity.as_str())).await?;
    Ok(!rows.is_empty())
}

impl Transaction for RecordAccesses {
    const OPERATION: &'static str = OPERATION;
    const IS_REPEATABLE: bool = false;
    /// The entities whose accesses were not written, since they are locked.
    type Output = BTreeSet<EntityId>;

    fn entities(&self) -> Vec<&EntityId> {
        self.by_entity.keys().collect()
    }

    async fn run(
        &self,
        connection: &mut Connection,
    ) -> Result<TxOutcome<BTreeSet<EntityId>>, Failure> {
        /// For rows that another recorder writes: the server takes 0 for no limit.
        const MIN_WAIT: Duration = Duration::from_millis(10);
        let millis = self.max_wait.max(MIN_WAIT).as_millis();
        connection
            .execute_batch(&format!("SET LOCAL lock_timeout = {millis}"))
            .await?;
        let all = || self.by_entity.keys().cloned().collect();
        let recorded = if self.max_wait.is_zero() {
            self.record_unlocked(connection).await
        } else {
            let recorded = self.record_waiting(connection).await;
            recorded.map(|()| BTreeSet::new())
        };
        match recorded {
            Ok(locked) if locked.len() < self.by_entity.len() => Ok(TxOutcome::Commit(locked)),
            Ok(locked) => Ok(TxOutcome::Rollback(locked)),
            // The server has undone all of it.
            Err(failure) if failure.is_lock_timeout() => Ok(TxOutcome::Rollback(all())),
            Err(failure) => Err(failure),
        }
    }
}

impl Accesses {
    /// Of an entity whose row is locked, if only for sharing. That excludes writers: a
    /// memory removed concurrently would leave its access row behind.
    async fn record(&self, entity: &EntityId, connection: &mut Connection) -> Result<(), Failure> {
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
