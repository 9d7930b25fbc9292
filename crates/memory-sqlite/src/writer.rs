//! The connection that writes, and the write-ahead log that it fills.

use std::sync::Arc;
use std::time::Duration;

use memory_core::MemoryResult;

use crate::error::Failure;
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
    /// Whether the database is in a file, and so has a log to checkpoint.
    in_file: bool,
}

impl Writer {
    pub(crate) fn new(pool: Arc<MeasuredPool>, busy_timeout: Duration, in_file: bool) -> Self {
        Self {
            pool,
            wal: Arc::new(Wal::new(busy_timeout)),
            busy_timeout,
            in_file,
        }
    }

    /// Waits for the connection.
    pub(crate) async fn acquire(&self, operation: &'static str) -> MemoryResult<Session> {
        Session::acquire(&self.pool, operation).await
    }

    /// Runs a transaction, and truncates the log where it erased content.
    pub(crate) async fn run<T: Transaction>(
        &self,
        session: &mut Session,
        transaction: T,
    ) -> MemoryResult<T::Output> {
        let erases = transaction.erases_content();
        let output = self.run_with_timeout(session, transaction).await?;
        self.wal
            .truncate_if_required(&mut session.conn, erases)
            .await;
        Ok(output)
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
            wal::set_busy_timeout(&mut session.conn, self.busy_timeout)
                .await
                .map_err(into_error)?;
        }
        result
    }

    /// Copies the log into the main file in the background. Call it after the
    /// session has ended.
    pub(crate) fn schedule_checkpoint(&self) {
        if self.in_file {
            self.wal.schedule_checkpoint(self.pool.pool());
        }
    }

    /// Waits for the running transaction and closes the connection.
    pub(crate) async fn close(&self) {
        // Where others keep the database open, closing does not do this.
        if self.in_file
            && let Ok(mut conn) = self.pool.acquire().await
        {
            wal::checkpoint(&mut conn).await;
        }
        self.pool.pool().close().await;
    }
}
