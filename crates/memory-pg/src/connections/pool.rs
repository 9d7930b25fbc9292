//! Metrics of a connection pool: how long calls wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use memory_metrics::{Label, Samples, Source, label};
use sqlx::PgPool;

const POOL: &[Label] = label!("pool": "postgres");
const USED: &[Label] = label!("pool": "postgres", "state": "used");
const IDLE: &[Label] = label!("pool": "postgres", "state": "idle");

/// What is measured of a pool.
#[derive(Debug)]
pub(crate) struct PoolMetrics {
    pool: PgPool,
    timeouts: AtomicU64,
}

impl PoolMetrics {
    /// Registers the metrics of a pool.
    pub(crate) fn new(pool: PgPool) -> Arc<Self> {
        let metrics = Arc::new(Self {
            pool,
            timeouts: AtomicU64::new(0),
        });
        let source = Arc::downgrade(&metrics);
        memory_metrics::register(source);
        metrics
    }

    /// Records a wait that began at `started` and ends now.
    pub(crate) fn record_wait(&self, started: Instant) {
        let metric = &memory_metrics::POOL_WAIT_DURATION;
        metric.record_duration(POOL, started.elapsed());
    }

    /// Counts a call that got no connection in time.
    pub(crate) fn record_timeout(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Source for PoolMetrics {
    fn sample(&self, samples: &mut Samples) {
        let size = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle())
            .unwrap_or(u32::MAX)
            .min(size);
        let connections = &memory_metrics::POOL_CONNECTIONS;
        samples.gauge(connections, USED, f64::from(size - idle));
        samples.gauge(connections, IDLE, f64::from(idle));
        let max = self.pool.options().get_max_connections();
        let max_connections = &memory_metrics::POOL_MAX_CONNECTIONS;
        samples.gauge(max_connections, POOL, f64::from(max));
        let timeouts = self.timeouts.load(Ordering::Relaxed);
        samples.counter(&memory_metrics::POOL_TIMEOUTS, POOL, timeouts);
    }
}
