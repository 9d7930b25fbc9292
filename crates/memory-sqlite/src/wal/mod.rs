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
//! waits for readers where the log is large, the longer the larger it is.
//!
//! A page that many transactions write is copied to the main file once for each
//! checkpoint. With 200 entities that get memories in turn, 60 memories change ten
//! pages each, and 600 memories four each.

pub(crate) mod log_flush;
pub(crate) mod own_commits;
pub(crate) mod wal_index;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memory_core::PendingWork;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::connections::pool::MeasuredPool;
use crate::wal::log_flush::LogFlusher;
use crate::wal::own_commits::OwnCommits;

/// The time to the second attempt to truncate, in the background; it doubles with each
/// that follows.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(10);

/// The longest time between two attempts.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long attempts do not wait for readers.
const MIN_PENDING: Duration = Duration::from_secs(2);

/// How long an attempt waits for readers after that, or in a log of [`LARGE_LOG_BYTES`].
/// Writes are held up for as long.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// The time between two attempts that wait, as a multiple of the first one's wait: writes are
/// held up for at most a twentieth of it.
const WAIT_INTERVAL: u32 = 20;

/// The size of the log from which on attempts wait for readers; twice as long in one twice as
/// large.
const LARGE_LOG_BYTES: u64 = 4 * MAX_LOG_BYTES;

/// The longest wait in proportion to that for a large log: 2 s, or half of the busy timeout if
/// that is less, since other processes wait for the lock of writers meanwhile.
const MAX_TIMES: u32 = 8;

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
    /// See [`LARGE_LOG_BYTES`].
    large_log_bytes: u64,
    /// What a failed flush leaves in the log may not be copied to the main file.
    flusher: Option<Arc<LogFlusher>>,
}

/// What is known of truncating the log.
#[derive(Debug, Default)]
struct Truncation {
    /// Since when erased content may be in it.
    pending_since: Option<Instant>,
    /// Until when no attempt waits for readers.
    next_wait: Option<Instant>,
}

impl Truncation {
    /// How long an attempt in the background that begins now waits for readers, in a log so
    /// many times as large as a large one.
    fn begin_wait(&mut self, now: Instant, times: u32) -> Duration {
        let is_pending = self
            .pending_since
            .is_some_and(|since| now.saturating_duration_since(since) >= MIN_PENDING);
        let wait = MAX_WAIT * times.clamp(u32::from(is_pending), MAX_TIMES);
        if self.next_wait.is_some_and(|next| now < next) || wait.is_zero() {
            return Duration::ZERO;
        }
        self.next_wait = Some(now + wait * WAIT_INTERVAL);
        wait
    }
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
        if times == 0 || self.has_failed() {
            return;
        }
        let wait = self.truncation().begin_wait(Instant::now(), times);
        if !wait.is_zero() && self.truncate(conn, wait).await.unwrap_or(false) {
            self.truncation().pending_since = None;
        }
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

    use sqlx::Connection;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    use super::*;
    use crate::wal::wal_index::WalIndex;

    #[test]
    fn attempts_wait_only_after_a_time_and_at_intervals() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut truncation = Truncation::default();
        assert!(
            truncation.begin_wait(after(9_000), 0).is_zero(),
            "not pending"
        );
        truncation.pending_since = Some(start);
        let waits: Vec<u64> = (0..20_000)
            .step_by(500)
            .filter(|millis| !truncation.begin_wait(after(*millis), 0).is_zero())
            .collect();
        assert_eq!(waits, [2_000, 7_000, 12_000, 17_000]);
        // What is pending from now on is not left to waits that come sooner.
        truncation.pending_since = Some(after(18_000));
        assert!(truncation.begin_wait(after(21_000), 0).is_zero());
        assert_eq!(truncation.begin_wait(after(22_000), 0), MAX_WAIT);
    }

    #[test]
    fn attempts_wait_longer_and_less_often_for_a_larger_log() {
        let start = Instant::now();
        let mut truncation = Truncation::default();
        let mut waits = Vec::new();
        for (times, seconds) in [(1, 0), (1, 4), (4, 5), (9, 24), (9, 25), (1, 64), (1, 65)] {
            let now = start + Duration::from_secs(seconds);
            waits.push(truncation.begin_wait(now, times).as_millis());
        }
        assert_eq!(waits, [250, 0, 1_000, 0, 2_000, 0, 250]);
    }

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
