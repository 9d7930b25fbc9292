//! Keeping erased content out of the write-ahead log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

/// The write-ahead log beside the database, in which the pages of before stay
/// readable until it is emptied.
#[derive(Debug)]
pub(crate) struct Log {
    /// Whether erased content may still stand in it.
    due: AtomicBool,
    busy_timeout: Duration,
}

/// How long emptying the log waits for readers of old states. It is tried
/// again after the next write, so a short wait loses nothing.
const PATIENCE: &str = "PRAGMA busy_timeout = 250";

impl Log {
    pub(crate) fn new(busy_timeout: Duration) -> Self {
        Self {
            due: AtomicBool::new(false),
            busy_timeout,
        }
    }

    /// Moves the log into the file and empties it if the last write, or one
    /// before it, erased content. This is best effort: the write itself has
    /// happened already.
    pub(crate) async fn empty_if_due(&self, conn: &mut SqliteConnection, erased: bool) {
        if !self.due.load(Ordering::Relaxed) && !erased {
            return;
        }
        let done = self.empty(conn).await.unwrap_or(false);
        self.due.store(!done, Ordering::Relaxed);
        if !done {
            tracing::debug!("readers hold the write-ahead log; it is emptied after the next write");
        }
    }

    async fn empty(&self, conn: &mut SqliteConnection) -> sqlx::Result<bool> {
        conn.execute(PATIENCE).await?;
        let row = conn.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let restore = format!("PRAGMA busy_timeout = {}", self.busy_timeout.as_millis());
        conn.execute(AssertSqlSafe(restore)).await?;
        // The first column says whether the log was busy.
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }
}
