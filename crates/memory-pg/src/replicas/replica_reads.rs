//! Reads from replicas: from one that has replayed what the read must see, otherwise
//! from the primary.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::EntityId;
use memory_metrics::{Label, label};
use sqlx::PgPool;
use sqlx::postgres::PgRow;
use tokio::time::{Instant, timeout};

use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::error::Failure;
use crate::operations::load::Load;
use crate::replicas::replica::{CheckedConnection, Replica, ServerState};
use crate::replicas::write_positions::{OwnWrites, Position, WritePositions};
use crate::rows;
use crate::rows::sql::SqlBuilder;

/// How long a replica may take for a statement, or a portion of a load, before it is asked
/// whether it is alive. The primary then runs the statement.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

const SERVED: &[Label] = label!("outcome": "served");
const BEHIND: &[Label] = label!("outcome": "behind");
const FAILED: &[Label] = label!("outcome": "failed");
const SUSPENDED: &[Label] = label!("outcome": "suspended");

/// The replicas of a primary.
#[derive(Debug)]
pub(crate) struct Replicas {
    replicas: Vec<Replica>,
    /// Replicas take turns, by themselves for loads: a read that precedes each would make
    /// all of them fall to the same one of two.
    next: AtomicUsize,
    next_load: AtomicUsize,
    writes: WritePositions,
    staleness: Duration,
    /// What the primary said last.
    last: Mutex<Option<Sample>>,
}

/// The primary's position at a time.
#[derive(Debug, Clone)]
struct Sample {
    /// Before it was asked.
    asked: Instant,
    lineage: String,
    position: Position,
}

/// What a replica must have replayed for a read.
#[derive(Debug)]
struct Requirement {
    lineage: String,
    /// Includes the writes of this process.
    own: Position,
    /// Includes the writes of all processes.
    all: Position,
    /// The entity's generation, which is enough in place of `all`. The inner value is
    /// `None` where the entity was never written to.
    generation: Option<Option<i64>>,
}

impl Requirement {
    fn is_met_by(&self, replica: &ServerState) -> bool {
        let has_entity = match (self.generation, replica.generation) {
            (None, _) | (Some(None), Some(_)) | (Some(Some(_)), None) => false,
            (Some(None), None) => true,
            (Some(Some(required)), Some(found)) => found >= required,
        };
        replica.position >= self.own && (has_entity || replica.position >= self.all)
    }
}

impl Replicas {
    pub(crate) fn new(pools: Vec<PgPool>, staleness: Duration) -> Self {
        Self {
            replicas: pools.into_iter().map(Replica::new).collect(),
            next: AtomicUsize::new(0),
            next_load: AtomicUsize::new(0),
            writes: WritePositions::new(),
            staleness,
            last: Mutex::new(None),
        }
    }

    /// Records that a write to an entity ended.
    pub(crate) fn record_write(&self, entity: &EntityId) {
        self.writes.record_write(entity);
    }

    pub(crate) async fn close(&self) {
        for replica in &self.replicas {
            replica.pool.close().await;
        }
    }

    /// Reads from a replica. `None` where none may or can answer: then the primary
    /// has to.
    pub(crate) async fn fetch(
        &self,
        database: &Database,
        target: ReadTarget<'_>,
        sql: &SqlBuilder,
    ) -> Option<Vec<PgRow>> {
        // The names of all entities are of no entity's generation.
        let Scope::Entities(&[entity]) = target.scope else {
            return None;
        };
        let fetched = self.try_fetch(database, entity, target, sql).await;
        let outcome = fetched.as_ref().err().unwrap_or(&SERVED);
        memory_metrics::STORE_REPLICA_READS.increment(outcome, 1);
        fetched.ok()
    }

    /// Reads the rows of a load from a replica. `None` as for [`fetch`](Self::fetch).
    pub(crate) async fn load(&self, database: &Database, load: &Load<'_>) -> Option<Vec<PgRow>> {
        let Scope::Entities(&[entity]) = load.target.scope else {
            return None;
        };
        let loaded = self.try_load(database, entity, load).await;
        let outcome = loaded.as_ref().err().unwrap_or(&SERVED);
        memory_metrics::STORE_REPLICA_READS.increment(outcome, 1);
        loaded.ok()
    }

    async fn try_fetch(
        &self,
        database: &Database,
        entity: &EntityId,
        target: ReadTarget<'_>,
        sql: &SqlBuilder,
    ) -> Result<Vec<PgRow>, &'static [Label]> {
        let may_read = |replica: &Replica| replica.may_read() && replica.is_available();
        let replica = self.choose(&self.next, may_read).ok_or(SUSPENDED)?;
        let query = sql.copy_query().map_err(|_| FAILED)?;
        let checked = self.check(replica, database, entity, target);
        let CheckedConnection {
            mut connection,
            in_transaction,
            ..
        } = checked.await?;
        if !replica.begin_read() {
            connection.roll_back(in_transaction).await;
            return Err(SUSPENDED);
        }
        let began = Instant::now();
        let failure = match timeout(READ_TIMEOUT, connection.fetch_all(query)).await {
            Ok(Ok(rows)) => {
                connection.roll_back(in_transaction).await;
                replica.record_read();
                return Ok(rows);
            }
            Ok(Err(failure)) => Some(failure),
            Err(_) => None,
        };
        let is_alive = match &failure {
            // Such as a conflict with what it replays, or the timeout of a statement.
            Some(failure) if failure.leaves_connection_usable() => {
                connection.roll_back(in_transaction).await;
                true
            }
            Some(_) => false,
            None => {
                drop(connection);
                replica.answers().await
            }
        };
        match failure {
            _ if !is_alive => replica.suspend("it did not answer a read", began),
            Some(failure) if !failure.is_canceled() => {}
            _ => replica.record_slow_read(began),
        }
        Err(FAILED)
    }

    async fn try_load(
        &self,
        database: &Database,
        entity: &EntityId,
        load: &Load<'_>,
    ) -> Result<Vec<PgRow>, &'static [Label]> {
        let may_load = |replica: &Replica| replica.may_load() && replica.is_available();
        let replica = self.choose(&self.next_load, may_load).ok_or(SUSPENDED)?;
        // Others are running: then the primary loads.
        let _slot = replica.load_slots.try_acquire().map_err(|_| SUSPENDED)?;
        let settings = Load::settings();
        let target = ReadTarget {
            settings: &settings,
            ..load.target
        };
        let checked = self.check(replica, database, entity, target).await?;
        let mut connection = checked.connection;
        if !replica.begin_load() {
            connection.roll_back(checked.in_transaction).await;
            return Err(SUSPENDED);
        }
        let began = Instant::now();
        let (portions, options) = (AtomicU64::new(0), &database.options);
        let rows = load.run(&mut connection, options.statement_timeout, &portions);
        let rows = timeout(options.load_timeout, rows);
        let rows = replica.while_alive(rows, &portions, READ_TIMEOUT).await;
        match rows {
            Some(Ok(Ok(rows))) => {
                connection.roll_back(checked.in_transaction).await;
                replica.record_load();
                return Ok(rows);
            }
            // Such as a conflict with what it replays.
            Some(Ok(Err(failure))) if failure.leaves_connection_usable() => {
                connection.roll_back(checked.in_transaction).await;
                replica.record_failed_load(began);
            }
            Some(Ok(Err(failure))) if failure.is_canceled() => replica.record_failed_load(began),
            // It took too long.
            Some(Err(_)) => replica.record_failed_load(began),
            Some(Ok(Err(_))) | None => replica.suspend("it did not answer during a load", began),
        }
        Err(FAILED)
    }

    /// Connects to a replica, which has what the read must see.
    async fn check(
        &self,
        replica: &Replica,
        database: &Database,
        entity: &EntityId,
        target: ReadTarget<'_>,
    ) -> Result<CheckedConnection, &'static [Label]> {
        let began = Instant::now();
        let session_settings = &database.session_settings;
        // At the same time: what must be seen was committed before either is asked.
        let (requirement, checked) = tokio::join!(
            self.requirement(database, entity),
            replica.check(session_settings, entity, target.settings)
        );
        let checked = checked.map_err(|_| {
            replica.suspend("it gave no connection, or no answer in time", began);
            FAILED
        })?;
        let problem = match requirement {
            Err(_) => Some(FAILED),
            Ok(requirement) => {
                let seen = rows::signed(target.min_generation.0);
                Self::problem(replica, &checked.state, &requirement, seen, began)
            }
        };
        match problem {
            None => Ok(checked),
            Some(outcome) => {
                let CheckedConnection {
                    connection,
                    in_transaction,
                    ..
                } = checked;
                connection.roll_back(in_transaction).await;
                Err(outcome)
            }
        }
    }

    /// Why a replica does not answer a read that began then, of a caller that has seen this
    /// generation; where it does not.
    fn problem(
        replica: &Replica,
        state: &ServerState,
        requirement: &Requirement,
        seen: i64,
        began: Instant,
    ) -> Option<&'static [Label]> {
        if !state.is_standby || state.lineage != requirement.lineage {
            let reason = match state.is_standby {
                true => "it is not a standby of the primary, or follows another timeline",
                false => "it is not in recovery: it was promoted",
            };
            replica.suspend(reason, began);
            return Some(FAILED);
        }
        replica.resume();
        let has_all = requirement.is_met_by(state) && state.generation.unwrap_or(0) >= seen;
        (!has_all).then_some(BEHIND)
    }

    /// The next replica that may be asked.
    fn choose(&self, next: &AtomicUsize, may_ask: impl Fn(&Replica) -> bool) -> Option<&Replica> {
        let first = next.fetch_add(1, Ordering::Relaxed);
        let count = self.replicas.len();
        (0..count)
            .filter_map(|offset| self.replicas.get(first.wrapping_add(offset) % count))
            .find(|replica| may_ask(replica))
    }

    /// What a read that begins now must see. Asks the primary, unless it was asked
    /// recently enough.
    async fn requirement(
        &self,
        database: &Database,
        entity: &EntityId,
    ) -> Result<Requirement, Failure> {
        let known = self.writes.of(entity);
        let asked = Instant::now();
        if let (Some(own), Some(sample)) = (known.position, self.recent_sample(asked)) {
            return Ok(Requirement {
                lineage: sample.lineage,
                own,
                all: sample.position,
                generation: None,
            });
        }
        let mut connection = database.acquire().await?;
        let scope = Scope::Entities(&[entity]);
        let in_transaction = connection.begin_read(scope, &[]).await?;
        let primary = ServerState::of_primary(&mut connection, entity).await?;
        connection.roll_back(in_transaction).await;
        Ok(self.learn(entity, known, asked, primary))
    }

    /// Records what the primary said, which it was asked for after `known`.
    fn learn(
        &self,
        entity: &EntityId,
        known: OwnWrites,
        asked: Instant,
        primary: ServerState,
    ) -> Requirement {
        self.writes.record_position(entity, known, primary.position);
        let mut last = self.last();
        if !self.staleness.is_zero() && last.as_ref().is_none_or(|last| last.asked < asked) {
            *last = Some(Sample {
                asked,
                lineage: primary.lineage.clone(),
                position: primary.position,
            });
        }
        Requirement {
            lineage: primary.lineage,
            own: known.position.unwrap_or(primary.position),
            all: primary.position,
            generation: Some(primary.generation),
        }
    }

    /// What the primary said last, if that is not too old for a read that begins now.
    fn recent_sample(&self, now: Instant) -> Option<Sample> {
        if self.staleness.is_zero() {
            return None;
        }
        let last = self.last();
        let is_recent =
            |sample: &&Sample| now.saturating_duration_since(sample.asked) <= self.staleness;
        last.as_ref().filter(is_recent).cloned()
    }

    fn last(&self) -> MutexGuard<'_, Option<Sample>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(position: Position, generation: Option<i64>) -> ServerState {
        ServerState {
            is_standby: true,
            lineage: String::new(),
            position,
            generation,
        }
    }

    fn requirement(generation: Option<Option<i64>>) -> Requirement {
        Requirement {
            lineage: String::new(),
            own: 10,
            all: 90,
            generation,
        }
    }

    #[test]
    fn own_writes_and_the_generation_or_everything_are_required() {
        let written = requirement(Some(Some(3)));
        assert!(written.is_met_by(&replica(10, Some(3))));
        assert!(
            written.is_met_by(&replica(10, Some(4))),
            "written meanwhile"
        );
        assert!(written.is_met_by(&replica(90, Some(2))), "all was replayed");
        assert!(
            !written.is_met_by(&replica(9, Some(3))),
            "own access counts"
        );
        assert!(!written.is_met_by(&replica(89, Some(2))));
        assert!(!written.is_met_by(&replica(89, None)));
        let unwritten = requirement(Some(None));
        assert!(unwritten.is_met_by(&replica(10, None)));
        assert!(
            !unwritten.is_met_by(&replica(10, Some(1))),
            "a row that is gone"
        );
        let sampled = requirement(None);
        assert!(sampled.is_met_by(&replica(90, None)));
        assert!(!sampled.is_met_by(&replica(89, Some(5))));
    }
}
