//! Checkpoints of the write-ahead log: once no more writes come, so that the main file
//! is never far behind; at intervals while they do; and with truncation after content
//! was erased.
//!
//! Truncating needs a moment without any reader of the log, also of its newest state. An
//! attempt that waits for one has the lock of writers, also of those in other processes,
//! and a reader may take minutes, such as a backup. So attempts with the next writes and in
//! the background do not wait. Short reads that overlap may leave them no such moment at
//! all: after some time one in the background waits a little, at long intervals. Readers
//! that come while it waits read the main file, which has everything then.
//!
//! While readers overlap and writes go on, the log is not used again from its beginning
//! either, and grows: searches of some seconds that follow one another during the conversion
//! of a file with a million memories left one of 17 GB. So an attempt in the background also
//! waits for readers where the log is large, the longer the larger it is. What readers kept
//! from being copied until then is copied with the lock of writers, 170 MB in a second: where
//! that is more than a small part of the log, there is no attempt.
//!
//! A page that many transactions write is copied to the main file once for each
//! checkpoint. With 200 entities that get memories in turn, 60 memories change ten
//! pages each, and 600 memories four each.

pub(crate) mod log_flush;
pub(crate) mod own_commits;
mod truncation;
pub(crate) mod wal_index;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memory_core::PendingWork;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::connections::pool::MeasuredPool;
use crate::open::connection;
use crate::wal::log_flush::LogFlusher;
use crate::wal::own_commits::OwnCommits;
use crate::wal::truncation::{MAX_TIMES, MAX_WAIT, Truncation};

/// The time to the second attempt to truncate, in the background; it doubles with each
/// that follows.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(10);

/// The longest time between two attempts.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The size of the log from which on attempts wait for readers; twice as long in one twice as
/// large.
const LARGE_LOG_BYTES: u64 = 4 * MAX_LOG_BYTES;

/// How many frames of a large log may be left to be copied when an attempt waits for readers, or
/// a part of the log if that is more: readers that overlap leave what was written since the first
/// of them began, in a log of any size.
const MAX_REST_FRAMES: i64 = MAX_LOG_BYTES.cast_signed() / connection::PAGE_SIZE as i64;
const MAX_REST_SHARE: i64 = 16;

/// How long closing makes attempts that do not wait, before one that does. The connection
/// is free between them.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

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
    truncation: Mutex<Truncation>,
    /// Attempts to truncate it in the background.
    truncations: PendingWork<()>,
    /// Checkpoints in the background.
    checkpoints: PendingWork<()>,
    last_write: Mutex<Instant>,
    busy_timeout: Duration,
    /// See [`LARGE_LOG_BYTES`] and [`MAX_REST_FRAMES`].
    large_log_bytes: u64,
    max_rest_frames: i64,
    /// What a failed flush leaves in the log may not be copied to the main file.
    flusher: Option<Arc<LogFlusher>>,
}

impl Wal {
    /// `is_left`: whether a process left a log behind, which may have erased content.
    pub(crate) fn new(
        busy_timeout: Duration,
        flusher: Option<Arc<LogFlusher>>,
        is_left: bool,
    ) -> Self {
        let truncation = Truncation {
            pending_since: is_left.then(Instant::now),
            next_wait: None,
        };
        Self {
            truncation: Mutex::new(truncation),
            truncations: PendingWork::default(),
            checkpoints: PendingWork::default(),
            last_write: Mutex::new(Instant::now()),
            busy_timeout,
            large_log_bytes: LARGE_LOG_BYTES,
            max_rest_frames: MAX_REST_FRAMES,
            flusher,
        }
    }

    /// Checkpoints and truncates the log after a write, if this one or one before it
    /// erased content, and returns whether it did. This is best effort: the write itself
    /// is committed.
    pub(crate) async fn truncate_after_write(
        &self,
        conn: &mut SqliteConnection,
        erased: bool,
        commits: Option<&Arc<OwnCommits>>,
    ) -> bool {
        if erased {
            return self.try_truncate(conn, Duration::ZERO).await;
        }
        // An attempt looks through a log of this size for milliseconds, however little of
        // it can be copied: that is left to the background.
        let is_large = || commits.is_some_and(|it| it.wal_index().log_bytes() >= MAX_LOG_BYTES);
        if !self.is_truncation_pending() || is_large() {
            return false;
        }
        self.try_truncate(conn, Duration::ZERO).await
    }

    /// Whether erased content may still be in the log.
    fn is_truncation_pending(&self) -> bool {
        self.truncation().pending_since.is_some()
    }

    /// Truncates the log if no reader prevents it for longer than `wait`, and returns
    /// whether it did.
    async fn try_truncate(&self, conn: &mut SqliteConnection, wait: Duration) -> bool {
        let done = !self.has_failed() && self.truncate(conn, wait).await.unwrap_or(false);
        let pending_since = &mut self.truncation().pending_since;
        if done {
            *pending_since = None;
        } else {
            pending_since.get_or_insert_with(Instant::now);
            tracing::debug!("readers hold the write-ahead log; it is truncated once they are done");
        }
        done
    }

    async fn truncate(&self, conn: &mut SqliteConnection, wait: Duration) -> sqlx::Result<bool> {
        set_busy_timeout(conn, wait).await?;
        let row = conn.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await;
        set_busy_timeout(conn, self.busy_timeout).await?;
        // The first column says whether the log was busy.
        Ok(row?.try_get::<i64, _>(0)? == 0)
    }

    /// Truncates the log in a task of its own, as soon as no reader prevents it.
    pub(crate) fn schedule_truncation(self: &Arc<Self>, writer: &Arc<MeasuredPool>) {
        if !self.is_truncation_pending() {
            return;
        }
        let Some(permit) = self.truncations.start() else {
            return;
        };
        let wal = Arc::clone(self);
        // A reader of another process may never end, and this store is no longer used.
        let writer = Arc::downgrade(writer);
        tokio::spawn(async move {
            let mut delay = MIN_RETRY_DELAY;
            while wal.is_truncation_pending() && !wal.has_failed() {
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(MAX_RETRY_DELAY);
                let Some(writer) = writer.upgrade() else {
                    break;
                };
                if writer.pool().is_closed() {
                    break;
                }
                // Where writers use it for that long, their writes try as well.
                let Ok(mut conn) = writer.acquire().await else {
                    continue;
                };
                if wal.is_truncation_pending() {
                    let wait = wal.truncation().begin_wait(Instant::now(), 0);
                    wal.try_truncate(&mut conn, wait).await;
                }
            }
            drop(permit);
        });
    }

    /// Checkpoints in a task of its own, soon after this write and those that follow.
    pub(crate) fn schedule_checkpoint(
        self: &Arc<Self>,
        writer: &Arc<MeasuredPool>,
        commits: &Arc<OwnCommits>,
    ) {
        if self.has_failed() {
            return;
        }
        *self.last_write() = Instant::now();
        self.schedule_truncation(writer);
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
            wal.shorten(&mut conn, &commits).await;
            drop(conn);
            // Erased content is not left to a write that may never come.
            wal.schedule_truncation(&writer);
        });
    }

    /// Copies the log into the main file, and truncates it where it may have erased content.
    async fn checkpoint(&self, conn: &mut SqliteConnection) {
        if self.has_failed() {
            return;
        }
        if self.is_truncation_pending() && self.try_truncate(conn, Duration::ZERO).await {
            return;
        }
        checkpoint(conn).await;
    }

    /// Waits for readers where they let the log become large.
    async fn shorten(&self, conn: &mut SqliteConnection, commits: &OwnCommits) {
        let times = commits.wal_index().log_bytes() / self.large_log_bytes;
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let times = times.min(self.max_times());
        if times == 0 || self.has_failed() || !self.truncation().can_wait(Instant::now()) {
            return;
        }
        if !self.leaves_little(conn).await.unwrap_or(false) {
            return;
        }
        let wait = self.truncation().begin_wait(Instant::now(), times);
        if !wait.is_zero() && self.truncate(conn, wait).await.unwrap_or(false) {
            self.truncation().pending_since = None;
        }
    }

    /// Copies what readers do not need of the log, and returns whether they leave little of it.
    async fn leaves_little(&self, conn: &mut SqliteConnection) -> sqlx::Result<bool> {
        let row = conn.fetch_one(CHECKPOINT).await?;
        let is_elsewhere: bool = row.try_get(0)?;
        let (frames, copied): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let most = self.max_rest_frames.max(frames / MAX_REST_SHARE);
        Ok(!is_elsewhere && frames - copied <= most)
    }

    /// As [`checkpoint`](Self::checkpoint), for the last time: where another process keeps
    /// the database open, nobody truncates the log for this one later.
    pub(crate) async fn checkpoint_before_close(&self, writer: &MeasuredPool) {
        let started = Instant::now();
        loop {
            let Ok(mut conn) = writer.acquire().await else {
                return;
            };
            self.checkpoint(&mut conn).await;
            if !self.is_truncation_pending() || self.has_failed() {
                return;
            }
            if started.elapsed() >= CLOSE_TIMEOUT {
                self.try_truncate(&mut conn, MAX_WAIT).await;
                return;
            }
            drop(conn);
            tokio::time::sleep(MIN_RETRY_DELAY).await;
        }
    }

    fn max_times(&self) -> u32 {
        let half = self.busy_timeout.as_millis() / 2;
        let times = half / MAX_WAIT.as_millis();
        u32::try_from(times).map_or(MAX_TIMES, |times| times.clamp(1, MAX_TIMES))
    }

    fn has_failed(&self) -> bool {
        let flusher = self.flusher.as_ref();
        flusher.is_some_and(|flusher| flusher.has_failed())
    }

    fn truncation(&self) -> MutexGuard<'_, Truncation> {
        self.truncation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    use sqlx::Connection;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    use super::*;
    use crate::wal::wal_index::WalIndex;

    #[test]
    fn waits_are_at_most_half_of_the_busy_timeout() {
        let max_times = |millis| Wal::new(Duration::from_millis(millis), None, false).max_times();
        assert_eq!([0, 500, 1_000, 5_000].map(max_times), [1, 1, 2, MAX_TIMES]);
        assert_eq!(max_times(2 * 60 * 60 * 1_000), MAX_TIMES);
    }

    async fn connect(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("wal_autocheckpoint", "0");
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Readers that overlap.
    async fn read_again_and_again(path: PathBuf) {
        let mut conn = connect(&path).await;
        loop {
            conn.execute("BEGIN; SELECT count(*) FROM t").await.unwrap();
            tokio::time::sleep(Duration::from_millis(40)).await;
            conn.execute("COMMIT").await.unwrap();
        }
    }

    /// Writes until it is stopped, and returns how often another connection had the lock.
    async fn write_again_and_again(path: PathBuf, stop: Arc<AtomicBool>) -> usize {
        let mut conn = connect(&path).await;
        set_busy_timeout(&mut conn, Duration::ZERO).await.unwrap();
        let mut refused = 0;
        while !stop.load(Ordering::Relaxed) {
            refused += usize::from(conn.execute("INSERT INTO t VALUES (1)").await.is_err());
        }
        refused
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_do_not_wait_while_readers_leave_much_to_be_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db");
        let mut conn = connect(&path).await;
        conn.execute("CREATE TABLE t (b BLOB)").await.unwrap();
        let mut reader = connect(&path).await;
        reader
            .execute("BEGIN; SELECT count(*) FROM t")
            .await
            .unwrap();
        let insert = "INSERT INTO t VALUES (randomblob(1000000))";
        conn.execute(insert).await.unwrap();
        let commits = OwnCommits::new(WalIndex::new(&path));
        let log_bytes = || commits.wal_index().log_bytes();
        let wal = Wal {
            large_log_bytes: 64 * 1024,
            max_rest_frames: 100,
            ..Wal::new(Duration::from_secs(5), None, false)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write_again_and_again(path.clone(), Arc::clone(&stop)));
        wal.shorten(&mut conn, &commits).await;
        assert!(wal.truncation().next_wait.is_none(), "no attempt was made");
        stop.store(true, Ordering::Relaxed);
        assert_eq!(writer.await.unwrap(), 0);
        reader.execute("COMMIT").await.unwrap();
        assert!(log_bytes() > 1_000_000);
        wal.shorten(&mut conn, &commits).await;
        assert_eq!(log_bytes(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readers_that_overlap_do_not_let_the_log_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db");
        let mut conn = connect(&path).await;
        conn.execute("CREATE TABLE t (b BLOB)").await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(tokio::spawn(read_again_and_again(path.clone())));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let commits = OwnCommits::new(WalIndex::new(&path));
        let log_bytes = || commits.wal_index().log_bytes();
        let wal = Wal {
            large_log_bytes: 64 * 1024,
            ..Wal::new(Duration::from_secs(5), None, false)
        };
        let insert = "INSERT INTO t VALUES (randomblob(1000000))";
        conn.execute(insert).await.unwrap();
        wal.checkpoint(&mut conn).await;
        conn.execute(insert).await.unwrap();
        assert!(log_bytes() > 2_000_000, "readers have the log");
        // On a busy machine a reader may not get its turn within one wait.
        for _ in 0..10 {
            wal.truncation().next_wait = None;
            wal.shorten(&mut conn, &commits).await;
            if log_bytes() == 0 {
                break;
            }
        }
        assert_eq!(log_bytes(), 0);
        // The next attempt does not wait so soon.
        conn.execute(insert).await.unwrap();
        wal.shorten(&mut conn, &commits).await;
        assert!(log_bytes() > 1_000_000);
        readers.iter().for_each(|reader| reader.abort());
    }
}
