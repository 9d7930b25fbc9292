//! The connection that writes, and the write-ahead log that it fills.

use std::sync::Arc;
use std::time::Duration;

use memory_core::{ErrorKind, MemoryError, MemoryResult};

use crate::blocking::drive;
use crate::database::runtime_stopped;
use crate::error::Failure;
use crate::own_commits::{Origin, OwnCommits, UncountedCommit};
use crate::pool::MeasuredPool;
use crate::transaction::{Session, Transaction};
use crate::wal::{self, Wal};

/// Runs transactions that write, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// One connection.
    pool: Arc<MeasuredPool>,
    wal: Arc<Wal>,
    busy_timeout: Duration,
    /// Of a database in a file, which has a log to checkpoint.
    commits: Option<Arc<OwnCommits>>,
}

impl Writer {
    pub(crate) fn new(
        pool: Arc<MeasuredPool>,
        busy_timeout: Duration,
        commits: Option<Arc<OwnCommits>>,
    ) -> Self {
        Self {
            pool,
            wal: Arc::new(Wal::new(busy_timeout)),
            busy_timeout,
            commits,
        }
    }

    /// Waits for the connection.
    pub(crate) async fn acquire(&self, operation: &'static str) -> MemoryResult<Session> {
        Session::acquire(&self.pool, operation).await
    }

    /// Waits for the connection and runs a transaction.
    pub(crate) async fn transact<T: Transaction>(
        self,
        transaction: T,
        origin: Origin,
    ) -> MemoryResult<T::Output> {
        let mut session = self.acquire(T::OPERATION).await?;
        let run = async move {
            let result = self.run(&mut session, transaction, &origin).await;
            drop(session);
            self.schedule_checkpoint();
            result
        };
        match drive(run).await {
            Ok(result) => result,
            Err(error) => Err(runtime_stopped(T::OPERATION).with_source(error)),
        }
    }

    /// Runs a transaction, and truncates the log where it erased content.
    pub(crate) async fn run<T: Transaction>(
        &self,
        session: &mut Session,
        transaction: T,
        origin: &Origin,
    ) -> MemoryResult<T::Output> {
        let erases = transaction.erases_content();
        let uncounted = self.commits.as_ref().map(OwnCommits::begin);
        let result = self.run_with_timeout(session, transaction).await;
        if result.is_ok() {
            self.wal
                .truncate_if_required(&mut session.conn, erases)
                .await;
        }
        if let Some(uncounted) = uncounted {
            let error = result.as_ref().err().map(MemoryError::kind);
            settle(uncounted, error, session, origin).await;
        }
        result
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
        let result = session.run("BEGIN IMMEDIATE", transaction).await;
        if shorter.is_some() {
            let reset = wal::set_busy_timeout(&mut session.conn, self.busy_timeout).await;
            return result.and_then(|output| match reset {
                Ok(()) => Ok(output),
                Err(error) => Err(Failure::from(error).into_commit_error(T::OPERATION)),
            });
        }
        result
    }

    /// Copies the log into the main file in the background, as soon as the connection
    /// is free.
    pub(crate) fn schedule_checkpoint(&self) {
        if self.commits.is_some() {
            self.wal.schedule_checkpoint(&self.pool);
        }
    }

    /// Whether another call waits for the connection.
    pub(crate) fn is_awaited(&self) -> bool {
        self.pool.is_awaited()
    }

    /// Waits for the running transaction and closes the connection.
    pub(crate) async fn close(&self) {
        // Where others keep the database open, closing does not do this.
        if self.commits.is_some()
            && let Ok(mut conn) = self.pool.acquire().await
        {
            wal::checkpoint(&mut conn).await;
        }
        self.pool.pool().close().await;
    }
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
        // It may have been committed.
        Some(_) => drop(uncounted),
    }
}
