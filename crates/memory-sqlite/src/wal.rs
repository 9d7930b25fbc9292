//! Checkpoints of the write-ahead log: once no more writes come, so that the main file
//! is never far behind; at intervals while they do; and with truncation after content
//! was erased.
//!
//! A page that many transactions write is copied to the main file once for each
//! checkpoint. With 200 entities that get memories in turn, 60 memories change ten
//! pages each, and 600 memories four each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memory_core::PendingWork;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::own_commits::OwnCommits;
use crate::pool::MeasuredPool;

/// How long truncating waits for readers of earlier states. It is tried again after the
/// next write, and in the background, so a short wait loses nothing.
const TRUNCATE_TIMEOUT: Duration = Duration::from_millis(250);

/// How long no transaction has to end before a checkpoint in the background.
const QUIET: Duration = Duration::from_millis(100);

/// The longest time from a transaction to the checkpoint that follows it.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// The size of the log from which on a checkpoint does not wait longer. The file keeps
/// this size: overwriting it takes less than growing it.
pub(crate) const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// Copies what it can without waiting for anyone.
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The write-ahead log of a database.
#[derive(Debug)]
pub(crate) struct Wal {
    /// Whether erased content may still be in it.
    truncation_pending: AtomicBool,
    /// Checkpoints in the background.
    checkpoints: PendingWork<()>,
    last_write: Mutex<Instant>,
    busy_timeout: Duration,
}

impl Wal {
    pub(crate) fn new(busy_timeout: Duration) -> Self {
        Self {
            truncation_pending: AtomicBool::new(false),
            checkpoints: PendingWork::default(),
            last_write: Mutex::new(Instant::now()),
            busy_timeout,
        }
    }

    /// Checkpoints and truncates the log if the last write, or one before it,
    /// erased content, and returns whether it did. This is best effort: the write itself
    /// is committed.
    pub(crate) async fn truncate_if_required(
        &self,
        conn: &mut SqliteConnection,
        erased: bool,
    ) -> bool {
        if !self.truncation_pending.load(Ordering::Relaxed) && !erased {
            return false;
        }
        let done = self.truncate(conn).await.unwrap_or(false);
        self.truncation_pending.store(!done, Ordering::Relaxed);
        if !done {
            tracing::debug!("readers hold the write-ahead log; it is truncated once they are done");
        }
        done
    }

    async fn truncate(&self, conn: &mut SqliteConnection) -> sqlx::Result<bool> {
        set_busy_timeout(conn, TRUNCATE_TIMEOUT).await?;
        let row = conn.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
        set_busy_timeout(conn, self.busy_timeout).await?;
        // The first column says whether the log was busy.
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }

    /// Checkpoints in a task of its own, soon after this write and those that follow.
    pub(crate) fn schedule_checkpoint(
        self: &Arc<Self>,
        writer: &Arc<MeasuredPool>,
        commits: &Arc<OwnCommits>,
    ) {
        *self.last_write() = Instant::now();
        let Some(permit) = self.checkpoints.start() else {
            return;
        };
        let (wal, writer) = (Arc::clone(self), Arc::clone(writer));
        let commits = Arc::clone(commits);
        tokio::spawn(async move {
            let first = Instant::now();
            loop {
                let quiet = wal.last_write().elapsed();
                if quiet >= QUIET || first.elapsed() >= MAX_DELAY {
                    break;
                }
                // Not at once: readers may keep the log from being used again from its
                // beginning.
                if commits.wal_index().log_bytes() >= MAX_LOG_BYTES && first.elapsed() >= QUIET {
                    break;
                }
                tokio::time::sleep(QUIET.saturating_sub(quiet)).await;
            }
            let conn = writer.acquire().await;
            // Before the checkpoint: what is written from now on needs another.
            drop(permit);
            let Ok(mut conn) = conn else { return };
            wal.checkpoint(&mut conn).await;
            drop(conn);
            // Erased content is not left to a write that may never come.
            if wal.truncation_pending.load(Ordering::Relaxed) {
                tokio::time::sleep(MAX_DELAY).await;
                wal.schedule_checkpoint(&writer, &commits);
            }
        });
    }

    /// Copies the log into the main file, and truncates it where it may have erased content.
    pub(crate) async fn checkpoint(&self, conn: &mut SqliteConnection) {
        if !self.truncate_if_required(conn, false).await {
            checkpoint(conn).await;
        }
    }

    fn last_write(&self) -> MutexGuard<'_, Instant> {
        self.last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
