//! Truncating the write-ahead log, so that erased content does not stay in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

/// The write-ahead log, in which earlier versions of pages stay readable until
/// it is truncated.
#[derive(Debug)]
pub(crate) struct Wal {
    /// Whether erased content may still be in it.
    truncation_pending: AtomicBool,
    busy_timeout: Duration,
}

/// How long truncating waits for readers of earlier states. It is tried again
/// after the next write, so a short wait loses nothing.
const TRUNCATE_TIMEOUT: &str = "PRAGMA busy_timeout = 250";

impl Wal {
    pub(crate) fn new(busy_timeout: Duration) -> Self {
        Self {
            truncation_pending: AtomicBool::new(false),
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
        conn.execute(TRUNCATE_TIMEOUT).await?;
        let row = conn.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let restore = format!("PRAGMA busy_timeout = {}", self.busy_timeout.as_millis());
        conn.execute(AssertSqlSafe(restore)).await?;
        // The first column says whether the log was busy.
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }
}
