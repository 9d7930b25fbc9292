//! Checkpoints of the write-ahead log: soon after each write, so that the main
//! file is never far behind, and with truncation after content was erased.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::pool::MeasuredPool;

/// How long truncating waits for readers of earlier states. It is tried again
/// after the next write, so a short wait loses nothing.
const TRUNCATE_TIMEOUT: Duration = Duration::from_millis(250);

/// The shortest time between two checkpoints in the background. Each costs a
/// flush to disk or two.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(100);

/// Copies what it can without waiting for anyone.
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The write-ahead log of a database.
#[derive(Debug)]
pub(crate) struct Wal {
    /// Whether erased content may still be in it.
    truncation_pending: AtomicBool,
    checkpoint_scheduled: AtomicBool,
    last_checkpoint: Mutex<Option<Instant>>,
    busy_timeout: Duration,
}

impl Wal {
    pub(crate) fn new(busy_timeout: Duration) -> Self {
        Self {
            truncation_pending: AtomicBool::new(false),
            checkpoint_scheduled: AtomicBool::new(false),
            last_checkpoint: Mutex::new(None),
            busy_timeout,
        }
    }

    /// Checkpoints and truncates the log if the last write, or one before it,
    /// erased content. This is best effort: the write itself is committed.
    pub(crate) async fn truncate_if_required(&self, conn: &mut SqliteConnection, erased: bool) {
        if !self.truncation_pending.load(Ordering::Relaxed) && !erased {
            return;
        }
        let done = self.truncate(conn).await.unwrap_or(false);
        self.truncation_pending.store(!done, Ordering::Relaxed);
        if !done {
            tracing::debug!(
                "readers hold the write-ahead log; it is truncated after the next write"
            );
        }
    }

    async fn truncate(&self, conn: &mut SqliteConnection) -> sqlx::Result<bool> {
        set_busy_timeout(conn, TRUNCATE_TIMEOUT).await?;
        let row = conn.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
        set_busy_timeout(conn, self.busy_timeout).await?;
        // The first column says whether the log was busy.
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }

    /// Checkpoints in a task of its own, at once or as soon as the interval has
    /// passed. A write that follows schedules another.
    pub(crate) fn schedule_checkpoint(self: &Arc<Self>, writer: &Arc<MeasuredPool>) {
        if self.checkpoint_scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let (wal, writer) = (Arc::clone(self), Arc::clone(writer));
        tokio::spawn(async move {
            let last = *wal.lock_last_checkpoint();
            if let Some(last) = last {
                tokio::time::sleep(CHECKPOINT_INTERVAL.saturating_sub(last.elapsed())).await;
            }
            let conn = writer.acquire().await;
            // Before the checkpoint: what is written from now on needs another.
            wal.checkpoint_scheduled.store(false, Ordering::Release);
            if let Ok(mut conn) = conn {
                checkpoint(&mut conn).await;
                *wal.lock_last_checkpoint() = Some(Instant::now());
            }
        });
    }

    fn lock_last_checkpoint(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        let last = self.last_checkpoint.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies the log into the main file, as far as no reader or other process
/// prevents it. This is best effort: the log keeps what is not copied.
pub(crate) async fn checkpoint(conn: &mut SqliteConnection) {
    if let Err(error) = conn.execute(CHECKPOINT).await {
        let code = error.as_database_error().and_then(|error| error.code());
        tracing::debug!(?code, "the write-ahead log was not checkpointed");
    }
}

/// Sets how long a connection waits for the locks of others.
pub(crate) async fn set_busy_timeout(
    conn: &mut SqliteConnection,
    timeout: Duration,
) -> sqlx::Result<()> {
    let pragma = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    conn.execute(AssertSqlSafe(pragma)).await.map(drop)
}
