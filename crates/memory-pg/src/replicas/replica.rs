//! One replica: its pool, what it says about itself, and when it is not asked.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_core::EntityId;
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Row};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::connections::connection::{Connection, Scope};
use crate::connections::database::load_slots;
use crate::connections::pause::Pause;
use crate::connections::session_settings::SessionSettings;
use crate::error::Failure;
use crate::replicas::write_positions::Position;

/// How long a replica may take to give a connection and to say how far it is. Far
/// more than it needs, and what a read waits at most for one that hangs.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);
/// After its first failure a replica is not asked for this long; twice as long after
/// each that follows.
const INITIAL_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a connection to a replica that does not answer, and a statement on it, may
/// take. A server that is only slow answers much sooner.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// After so many reads in a row that took too long, a replica that is alive is asked for no
/// read for a while, as if it had failed.
const MAX_SLOW_READS: u32 = 3;
/// After so many failed loads in a row, a replica that is alive is asked for no load for a
/// while, and twice as long after each that follows.
const MAX_FAILED_LOADS: u32 = 3;
const INITIAL_LOAD_PAUSE: Duration = Duration::from_secs(60);
const MAX_LOAD_PAUSE: Duration = Duration::from_secs(15 * 60);

/// What tells servers apart whose positions do not compare: the cluster, the
/// timeline, the database and the table. The last two are the same on a standby, and
/// another value is a URL of another database.
const LINEAGE: &str = "concat_ws('/', (SELECT c.system_identifier FROM pg_control_system() c), \
     {timeline}, current_database(), to_regclass('entity')::oid)";

/// What a server says of itself and of an entity.
#[derive(Debug, Clone)]
pub(crate) struct ServerState {
    pub(crate) is_standby: bool,
    pub(crate) lineage: String,
    /// The end of the primary's log, or of what a standby has replayed.
    pub(crate) position: Position,
    /// `None` where the entity was never written to.
    pub(crate) generation: Option<i64>,
}

impl ServerState {
    /// Asks a primary.
    pub(crate) async fn of_primary(
        connection: &mut Connection,
        entity: &EntityId,
    ) -> Result<Self, Failure> {
        let timeline =
            "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer";
        Self::read(connection, "pg_current_wal_insert_lsn()", timeline, entity).await
    }

    /// Asks a standby. Its timeline is the one at its last restart point: one that
    /// follows a new primary is not used until the next (`checkpoint_timeout`).
    async fn of_replica(connection: &mut Connection, entity: &EntityId) -> Result<Self, Failure> {
        let timeline = "(SELECT c.timeline_id FROM pg_control_checkpoint() c)";
        Self::read(connection, "pg_last_wal_replay_lsn()", timeline, entity).await
    }

    async fn read(
        connection: &mut Connection,
        position: &str,
        timeline: &str,
        entity: &EntityId,
    ) -> Result<Self, Failure> {
        let lineage = LINEAGE.replace("{timeline}", timeline);
        let text = format!(
            "SELECT pg_is_in_recovery() AS is_standby, {lineage} AS lineage, \
             (coalesce({position}, '0/0') - '0/0'::pg_lsn)::bigint AS position, \
             (SELECT e.generation FROM entity e WHERE e.entity_id = $1::text) AS generation"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(entity.as_str());
        let rows = connection.fetch_all(query).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self {
            is_standby: row.try_get("is_standby")?,
            lineage: row.try_get("lineage")?,
            position: row.try_get("position")?,
            generation: row.try_get("generation")?,
        })
    }
}

/// A replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) pool: PgPool,
    /// Loads that run at once on it.
    pub(crate) load_slots: Semaphore,
    reads: Pause,
    slow_reads: Pause,
    loads: Pause,
}

/// A connection to a replica that has said how far it is.
pub(crate) struct CheckedConnection {
    pub(crate) connection: Connection,
    pub(crate) in_transaction: bool,
    pub(crate) state: ServerState,
}

impl Replica {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            load_slots: load_slots(&pool),
            pool,
            reads: Pause::new(INITIAL_PAUSE, MAX_PAUSE),
            slow_reads: Pause::new(INITIAL_PAUSE, MAX_PAUSE).after_failures(MAX_SLOW_READS),
            loads: Pause::new(INITIAL_LOAD_PAUSE, MAX_LOAD_PAUSE).after_failures(MAX_FAILED_LOADS),
        }
    }

    /// Whether it may be asked now. After a pause, one caller tries it first.
    pub(crate) fn is_available(&self) -> bool {
        self.reads.begin_try()
    }

    /// Leaves it alone for a while, since what began then has failed.
    pub(crate) fn suspend(&self, reason: &'static str, began: Instant) {
        if self.reads.record_failure(began) {
            tracing::warn!(reason, "a replica is not used; its reads go to the primary");
        }
    }

    /// Records that it answered.
    pub(crate) fn resume(&self) {
        if self.reads.record_success() {
            tracing::info!("a replica is used again");
        }
    }

    /// Whether it may be asked for a read now, as far as earlier reads say.
    pub(crate) fn may_read(&self) -> bool {
        self.slow_reads.is_over()
    }

    /// Begins a read, which [`may_read`](Self::may_read) allowed. After a pause, one caller
    /// tries it first: `false` for the others.
    pub(crate) fn begin_read(&self) -> bool {
        self.slow_reads.begin_try()
    }

    /// Records that a read that began then took too long, although the replica is alive.
    pub(crate) fn record_slow_read(&self, began: Instant) {
        if self.slow_reads.record_failure(began) {
            tracing::warn!(
                slow = MAX_SLOW_READS,
                "a replica is asked for no reads for a while, since they take too long"
            );
        }
    }

    /// Records that it answered a read.
    pub(crate) fn record_read(&self) {
        self.slow_reads.record_success();
    }

    /// Whether it may be asked for a load now.
    pub(crate) fn may_load(&self) -> bool {
        self.loads.is_over()
    }

    /// Begins a load, which [`may_load`](Self::may_load) allowed. After a pause, one caller
    /// tries it first: `false` for the others.
    pub(crate) fn begin_load(&self) -> bool {
        self.loads.begin_try()
    }

    /// Records that a load that began then failed although the replica is alive: it took
    /// too long, or conflicted with what the replica replays.
    pub(crate) fn record_failed_load(&self, began: Instant) {
        if self.loads.record_failure(began) {
            tracing::warn!(
                failed = MAX_FAILED_LOADS,
                "a replica is asked for no loads of large entities for a while, since they fail"
            );
        }
    }

    /// Records that a load came to its end.
    pub(crate) fn record_load(&self) {
        self.loads.record_success();
    }

    /// Waits for something of which the replica answers parts, as long as it is alive: each
    /// time that no part came for `patience`, another connection is made to it. `None`
    /// where that gets no answer.
    pub(crate) async fn while_alive<T>(
        &self,
        work: impl Future<Output = T>,
        parts: &AtomicU64,
        patience: Duration,
    ) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let before = parts.load(Ordering::Relaxed);
            if let Ok(done) = timeout(patience, &mut work).await {
                return Some(done);
            }
            if parts.load(Ordering::Relaxed) > before {
                continue;
            }
            let is_alive = tokio::select! {
                done = &mut work => return Some(done),
                is_alive = self.answers() => is_alive,
            };
            if !is_alive && parts.load(Ordering::Relaxed) == before {
                return None;
            }
        }
    }

    /// Whether it answers on a connection outside the pool, which may be used up.
    pub(crate) async fn answers(&self) -> bool {
        let options = self.pool.connect_options();
        let ask = async {
            let mut connection = options.connect().await?;
            sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
            Ok(())
        };
        match timeout(PROBE_TIMEOUT, ask).await {
            Ok(Ok(())) => true,
            // It refuses, such as for want of connections, unless it is stopping.
            Ok(Err(sqlx::Error::Database(error))) => {
                error.code().is_none_or(|code| !code.starts_with("57"))
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Connects, begins a transaction where reads need one, and asks how far it is.
    pub(crate) async fn check(
        &self,
        session_settings: &Arc<SessionSettings>,
        entity: &EntityId,
        settings: &[String],
    ) -> Result<CheckedConnection, Failure> {
        let check = async {
            let acquired = self.pool.acquire().await?;
            let mut connection = Connection::new(acquired, Arc::clone(session_settings));
            let scope = Scope::Entities(&[entity]);
            let in_transaction = connection.begin_read(scope, settings).await?;
            let state = ServerState::of_replica(&mut connection, entity).await?;
            Ok(CheckedConnection {
                connection,
                in_transaction,
                state,
            })
        };
        timeout(CHECK_TIMEOUT, check)
            .await
            .map_err(|_| Failure::Timeout)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_loads_keep_loads_away_and_no_other_reads() {
        let pool = PgPool::connect_lazy("postgres://localhost/none").unwrap();
        let replica = Replica::new(pool);
        for _ in 0..MAX_FAILED_LOADS {
            assert!(replica.may_load() && replica.begin_load());
            replica.record_failed_load(Instant::now());
        }
        assert!(!replica.may_load() && !replica.begin_load());
        assert!(replica.is_available());
        replica.record_load();
        assert!(replica.may_load() && replica.begin_load());
        replica.suspend("test", Instant::now());
        assert!(!replica.is_available());
        assert!(replica.may_load() && replica.begin_load());
        replica.resume();
        assert!(replica.is_available());
    }

    /// They fail for the same reason, which may be over soon.
    #[tokio::test(start_paused = true)]
    async fn reads_that_fail_at_the_same_time_suspend_a_replica_once() {
        let pool = PgPool::connect_lazy("postgres://localhost/none").unwrap();
        let (replica, began) = (Replica::new(pool), Instant::now());
        tokio::time::advance(CHECK_TIMEOUT).await;
        for _ in 0..20 {
            replica.suspend("test", began);
        }
        assert!(!replica.is_available());
        tokio::time::advance(INITIAL_PAUSE).await;
        assert!(replica.is_available());
    }

    /// Nobody listens there, and it is asked only where nothing comes.
    #[tokio::test(start_paused = true)]
    async fn a_replica_is_probed_where_no_part_comes() {
        let pool = PgPool::connect_lazy("postgres://localhost:1/none").unwrap();
        let replica = Replica::new(pool);
        let (parts, second) = (AtomicU64::new(0), Duration::from_secs(1));
        let work = async {
            for _ in 0..10 {
                tokio::time::sleep(second * 4).await;
                parts.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert_eq!(
            replica.while_alive(work, &parts, second * 5).await,
            Some(())
        );
        let work = tokio::time::sleep(second * 600);
        assert_eq!(replica.while_alive(work, &parts, second * 5).await, None);
    }
}
