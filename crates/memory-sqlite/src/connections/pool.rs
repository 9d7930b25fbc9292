//! A connection pool that measures how long calls wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use memory_metrics::{Label, Samples, Source, label};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqlitePool};

/// Which connections of a database a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Those that only read.
    Read,
    /// The one that writes; of a database in memory, the only one.
    Write,
}

/// A pool and its metrics.
#[derive(Debug)]
pub(crate) struct MeasuredPool {
    pool: SqlitePool,
    role: Role,
    timeouts: AtomicU64,
    waiting: AtomicUsize,
}

/// A call that waits for a connection.
struct Waiting<'p>(&'p AtomicUsize);

impl<'p> Waiting<'p> {
    fn new(waiting: &'p AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MeasuredPool {
    /// Registers the metrics of a pool.
    pub(crate) fn new(pool: SqlitePool, role: Role) -> Arc<Self> {
        let measured = Arc::new(Self {
            pool,
            role,
            timeouts: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        });
        let source = Arc::downgrade(&measured);
        memory_metrics::register(source);
        measured
    }

    /// The pool.
    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for a connection.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let started = Instant::now();
        let _waiting = Waiting::new(&self.waiting);
        let connection = self.pool.acquire().await;
        let metric = &memory_metrics::POOL_WAIT_DURATION;
        metric.record_duration(self.role.labels(), started.elapsed());
        if matches!(connection, Err(sqlx::Error::PoolTimedOut)) {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        connection
    }

    /// Whether a call waits for a connection. Who has one for long returns it then.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Role {
    const fn labels(self) -> &'static [Label] {
        match self {
            Self::Read => label!("pool": "sqlite_read"),
            Self::Write => label!("pool": "sqlite_write"),
        }
    }

    const fn labels_with_state(self) -> [&'static [Label]; 2] {
        match self {
            Self::Read => [
                label!("pool": "sqlite_read", "state": "used"),
                label!("pool": "sqlite_read", "state": "idle"),
            ],
            Self::Write => [
                label!("pool": "sqlite_write", "state": "used"),
                label!("pool": "sqlite_write", "state": "idle"),
            ],
        }
    }
}

impl Source for MeasuredPool {
    fn sample(&self, samples: &mut Samples) {
        let size = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle())
            .unwrap_or(u32::MAX)
            .min(size);
        let [used_labels, idle_labels] = self.role.labels_with_state();
        let connections = &memory_metrics::POOL_CONNECTIONS;
        samples.gauge(connections, used_labels, f64::from(size - idle));
        samples.gauge(connections, idle_labels, f64::from(idle));
        let max = self.pool.options().get_max_connections();
        let labels = self.role.labels();
        let max_connections = &memory_metrics::POOL_MAX_CONNECTIONS;
        samples.gauge(max_connections, labels, f64::from(max));
        let timeouts = self.timeouts.load(Ordering::Relaxed);
        samples.counter(&memory_metrics::POOL_TIMEOUTS, labels, timeouts);
    }
}
