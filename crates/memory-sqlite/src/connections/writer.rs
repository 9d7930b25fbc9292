//! The connection that writes, and the write-ahead log that it fills.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use tokio::sync::oneshot;

use crate::connections::blocking::drive;
use crate::connections::database::runtime_stopped;
use crate::connections::failed_wait::FailedWait;
use crate::connections::pool::MeasuredPool;
use crate::connections::transaction::{Session, Transaction};
use crate::error::{self, Failure, SQLITE_BUSY};
use crate::operations::insert::Insert;
use crate::operations::insert::quick::QuickInsert;
use crate::rows::entity::CountDelta;
use crate::wal::log_flush::{FlushResult, LogFlusher};
use crate::wal::own_commits::{Origin, OwnCommits, UncountedCommit};
use crate::wal::{self, Wal};

/// Runs transactions that write, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// One connection.
    pool: Arc<MeasuredPool>,
    wal: Arc<Wal>,
    busy_timeout: Duration,
    failed_wait: Arc<FailedWait>,
    /// Of a database in a file, which has a log to checkpoint.
    commits: Option<Arc<OwnCommits>>,
    /// `None` where SQLite flushes the log by itself, or no write is flushed.
    pub(crate) flusher: Option<Arc<LogFlusher>>,
}

/// A transaction that is committed, and may not be flushed to disk yet.
#[must_use]
pub(crate) struct Committed<T> {
    output: T,
    needs_flush: bool,
}

impl<T> Committed<T> {
    /// The output, and the same transaction with another.
    pub(crate) fn replace<U>(self, output: U) -> (T, Committed<U>) {
        let committed = Committed {
            output,
            needs_flush: self.needs_flush,
        };
        (self.output, committed)
    }
}

impl Writer {
    /// `log_is_left`: whether a process left a log behind, which is truncated then.
    pub(crate) fn new(
        pool: Arc<MeasuredPool>,
        busy_timeout: Duration,
        commits: Option<Arc<OwnCommits>>,
        flusher: Option<Arc<LogFlusher>>,
        log_is_left: bool,
    ) -> Self {
        let wal = Arc::new(Wal::new(busy_timeout, flusher.clone(), log_is_left));
        wal.schedule_truncation(&pool);
        Self {
            pool,
            wal,
            busy_timeout,
            failed_wait: Arc::default(),
            commits,
            flusher,
        }
    }

    /// Waits for the connection. Refused where the log could not be flushed before.
    pub(crate) async fn acquire(&self, operation: &'static str) -> MemoryResult<Session> {
        let session = Session::acquire(&self.pool, operation).await?;
        self.flusher
            .as_ref()
            .map_or(Ok(()), |flusher| flusher.check(operation))?;
        Ok(session)
    }

    /// Refuses a write that waits since a moment, where it has waited for the lock of another
    /// process as long as it would by itself.
    pub(crate) fn check_wait(&self, operation: &'static str, since: Instant) -> MemoryResult<()> {
        if self.failed_wait.covers(since) {
            return Err(error::locked(operation));
        }
        Ok(())
    }

    /// Waits for the connection and runs a transaction.
    pub(crate) async fn transact<T: Transaction>(
        self,
        transaction: T,
        origin: Origin,
    ) -> MemoryResult<T::Output> {
        let since = Instant::now();
        let mut session = self.acquire(T::OPERATION).await?;
        self.check_wait(T::OPERATION, since)?;
        let writer = self.clone();
        let run = async move {
            let result = self.run(&mut session, transaction, &origin).await;
            drop(session);
            self.schedule_checkpoint();
            result
        };
        match drive(run).await {
            Ok(result) => writer.flushed(T::OPERATION, result?).await,
            Err(error) => Err(runtime_stopped(T::OPERATION).with_source(error)),
        }
    }

    /// Waits until a transaction survives a power failure.
    async fn flushed<T: Send + 'static>(
        &self,
        operation: &'static str,
        committed: Committed<T>,
    ) -> MemoryResult<T> {
        let (sender, outcome) = oneshot::channel();
        self.when_flushed(operation, committed, move |outcome| {
            // The caller may have dropped its future.
            let _ = sender.send(outcome);
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(error) => Err(runtime_stopped(operation).with_source(error)),
        }
    }

    /// Passes the output to `then` once the transaction survives a power failure,
    /// without waiting for that. To be called within a Tokio runtime.
    pub(crate) fn when_flushed<T: Send + 'static>(
        &self,
        operation: &'static str,
        committed: Committed<T>,
        then: impl FnOnce(MemoryResult<T>) + Send + 'static,
    ) {
        let Committed {
            output,
            needs_flush,
        } = committed;
        match &self.flusher {
            Some(flusher) if needs_flush => flusher.after_flush(move |flushed| {
                then(check_flushed(operation, flushed).map(|()| output));
            }),
            _ => then(Ok(output)),
        }
    }

    /// Runs a transaction, and truncates the log where it erased content.
    pub(crate) async fn run<T: Transaction>(
        &self,
        session: &mut Session,
        transaction: T,
        origin: &Origin,
    ) -> MemoryResult<Committed<T::Output>> {
        let erases = transaction.erases_content();
        let uncounted = self.commits.as_ref().map(OwnCommits::begin);
        let result = self.run_with_timeout(session, transaction).await;
        // What was truncated is flushed in the main file.
        let is_flushed = match result {
            Ok(_) => {
                self.wal
                    .truncate_after_write(&mut session.conn, erases, self.commits.as_ref())
                    .await
            }
            Err(_) => false,
        };
        if let Some(uncounted) = uncounted {
            let error = result.as_ref().err().map(MemoryError::kind);
            settle(uncounted, error, session, origin).await;
        }
        result.map(|output| Committed {
            output,
            needs_flush: T::SURVIVES_POWER_FAILURE && !is_flushed,
        })
    }

    /// Runs an insert in one call of the driver. `None` where it was rolled back and has to
    /// run in steps.
    ///
    /// # Errors
    /// Those after which it must not run again: the database was locked for the whole
    /// busy timeout, or the outcome is not known.
    pub(crate) async fn run_at_once(
        &self,
        session: &mut Session,
        insert: QuickInsert,
        origin: &Origin,
    ) -> MemoryResult<Option<Committed<BTreeMap<i64, CountDelta>>>> {
        let into_error = |failure: Failure| failure.into_error(Insert::OPERATION);
        let (statements, deltas) = insert.into_query().map_err(into_error)?;
        let began = Instant::now();
        let uncounted = self.commits.as_ref().map(OwnCommits::begin);
        let data_version = match session.run_at_once(statements).await {
            Ok(data_version) => data_version,
            Err((failure, is_rolled_back)) => {
                let code = failure.primary_code();
                let error = failure.into_commit_error(Insert::OPERATION);
                if !is_rolled_back && code.is_none() {
                    let message = "the connection ended during an insert; read the memories to see whether it happened";
                    return Err(MemoryError::store(
                        ErrorKind::OutcomeUnknown,
                        Insert::OPERATION,
                        message,
                    )
                    .with_source(error));
                }
                if !is_rolled_back && error.kind() == ErrorKind::OutcomeUnknown {
                    return Err(error);
                }
                if let Some(uncounted) = uncounted {
                    uncounted.rolled_back();
                }
                if code == Some(SQLITE_BUSY) {
                    self.failed_wait.note(began, Some(error.kind()));
                    return Err(error);
                }
                return Ok(None);
            }
        };
        self.failed_wait.note(began, None);
        let conn = &mut session.conn;
        let truncated = self
            .wal
            .truncate_after_write(conn, false, self.commits.as_ref());
        let is_flushed = truncated.await;
        // Without a version it counts as a change by others.
        if let Some((uncounted, data_version)) = uncounted.zip(data_version) {
            uncounted.committed_at(data_version, conn, origin).await;
        }
        Ok(Some(Committed {
            output: deltas,
            needs_flush: !is_flushed,
        }))
    }

    /// Runs a transaction with the busy timeout that it has.
    async fn run_with_timeout<T: Transaction>(
        &self,
        session: &mut Session,
        transaction: T,
    ) -> MemoryResult<T::Output> {
        let shorter = T::MAX_BUSY_TIMEOUT.filter(|timeout| *timeout < self.busy_timeout);
        let into_error = |error: sqlx::Error| Failure::from(error).into_error(T::OPERATION);
        if let Some(timeout) = shorter {
            wal::set_busy_timeout(&mut session.conn, timeout)
                .await
                .map_err(into_error)?;
        }
        let began = Instant::now();
        let result = session.run("BEGIN IMMEDIATE", transaction).await;
        if shorter.is_none() {
            let error = result.as_ref().err().map(MemoryError::kind);
            self.failed_wait.note(began, error);
        } else {
            let reset = wal::set_busy_timeout(&mut session.conn, self.busy_timeout).await;
            return result.and_then(|output| match reset {
                Ok(()) => Ok(output),
                Err(error) => Err(Failure::from(error).into_commit_error(T::OPERATION)),
            });
        }
        result
    }

    /// Copies the log into the main file in the background, soon after the last write.
    pub(crate) fn schedule_checkpoint(&self) {
        if let Some(commits) = &self.commits {
            self.wal.schedule_checkpoint(&self.pool, commits);
        }
    }

    /// Whether another call waits for the connection.
    pub(crate) fn is_awaited(&self) -> bool {
        self.pool.is_awaited()
    }

    /// Waits for the running transaction and closes the connection.
    pub(crate) async fn close(&self) {
        // Where others keep the database open, closing does not do this.
        if self.commits.is_some() {
            self.wal.checkpoint_before_close(&self.pool).await;
        }
        self.pool.pool().close().await;
    }
}

/// An error where a committed transaction may not survive a power failure.
fn check_flushed(operation: &'static str, flushed: FlushResult) -> MemoryResult<()> {
    flushed.map_err(|error| {
        let message = "the write-ahead log could not be flushed to disk, so a power failure may lose the write; check the disk, and open the database again";
        MemoryError::store(ErrorKind::OutcomeUnknown, operation, message).with_source(error)
    })
}

/// Counts what became of a transaction.
async fn settle(
    uncounted: UncountedCommit,
    error: Option<ErrorKind>,
    session: &mut Session,
    origin: &Origin,
) {
    match error {
        None => uncounted.committed(&mut session.conn, origin).await,
        Some(
            ErrorKind::InvalidInput
            | ErrorKind::Conflict
            | ErrorKind::NotFound
            | ErrorKind::Archived
            | ErrorKind::Changed
            | ErrorKind::LimitReached,
        ) => uncounted.rolled_back(),
        // It may have been committed, or the connection may be of no use: also where nothing was
        // written, what is known of it is not kept.
        Some(_) => drop(uncounted),
    }
}
