//! The connection pools of a database, and running reads and writes on them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{BackupOptions, ChangeMarker, ErrorKind, MemoryError, MemoryResult};
use sqlx::sqlite::SqlitePool;
use tokio::runtime::Handle;
use tracing::{Instrument, debug_span};

use crate::backup;
use crate::error::Failure;
use crate::pool::{MeasuredPool, Role};
use crate::transaction::{Session, Transaction};
use crate::wal::{self, Wal};
use crate::wal_index::WalIndex;

/// The connections of one database: one that writes, several that read.
#[derive(Debug)]
pub(crate) struct Database {
    readers: Arc<MeasuredPool>,
    /// `None` where the database is open for reading only.
    writer: Option<Arc<MeasuredPool>>,
    wal: Arc<Wal>,
    busy_timeout: Duration,
    /// `None` for a database in memory.
    path: Option<PathBuf>,
    wal_index: Option<WalIndex>,
}

impl Database {
    pub(crate) fn new(
        readers: SqlitePool,
        writer: Option<SqlitePool>,
        busy_timeout: Duration,
        path: Option<PathBuf>,
    ) -> Self {
        // In memory, the connection that writes also reads.
        let read = if path.is_some() {
            Role::Read
        } else {
            Role::Write
        };
        let readers = MeasuredPool::new(readers, read);
        let writer = match path {
            Some(_) => writer.map(|writer| MeasuredPool::new(writer, Role::Write)),
            None => writer.map(|_| Arc::clone(&readers)),
        };
        Self {
            readers,
            writer,
            wal: Arc::new(Wal::new(busy_timeout)),
            busy_timeout,
            wal_index: path.as_deref().map(WalIndex::new),
            path,
        }
    }

    /// Refuses operations after [`close`](Self::close), also those that need no
    /// connection.
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        if self.readers.pool().is_closed() {
            return Err(Failure::from(sqlx::Error::PoolClosed).into_error(operation));
        }
        Ok(())
    }

    /// Runs a transaction that only reads: it sees one consistent state.
    pub(crate) async fn read<T: Transaction>(&self, transaction: T) -> MemoryResult<T::Output> {
        let readers = Arc::clone(&self.readers);
        spawn(T::OPERATION, async move {
            let mut session = Session::acquire(&readers, T::OPERATION).await?;
            session.run("BEGIN", transaction).await
        })
        .await
    }

    /// Runs a transaction that writes: all of it or nothing, even if the caller
    /// drops the future.
    pub(crate) async fn write<T: Transaction>(&self, transaction: T) -> MemoryResult<T::Output> {
        self.check_open(T::OPERATION)?;
        let writer = self.writer.clone().ok_or_else(|| {
            let message = "the database is open for reading only; open it without read_only() or mode=ro to write";
            MemoryError::store(ErrorKind::ReadOnly, T::OPERATION, message)
        })?;
        let (wal, in_file, busy_timeout) = (
            Arc::clone(&self.wal),
            self.path.is_some(),
            self.busy_timeout,
        );
        spawn(T::OPERATION, async move {
            let mut session = Session::acquire(&writer, T::OPERATION).await?;
            let erases = transaction.erases_content();
            let output = run_write(&mut session, transaction, busy_timeout).await?;
            wal.truncate_if_required(&mut session.conn, erases).await;
            drop(session);
            if in_file {
                wal.schedule_checkpoint(writer.pool());
            }
            Ok(output)
        })
        .await
    }

    /// Waits for running operations and closes every connection.
    pub(crate) async fn close(&self) {
        // The writer closes last: the last connection checkpoints the
        // write-ahead log into the file, and a reader cannot do that.
        self.readers.pool().close().await;
        if let Some(writer) = &self.writer {
            // Where others keep the database open, closing does not do this.
            if self.path.is_some()
                && let Ok(mut conn) = writer.acquire().await
            {
                wal::checkpoint(&mut conn).await;
            }
            writer.pool().close().await;
        }
        if let Some(wal_index) = &self.wal_index {
            wal_index.release();
        }
    }

    /// Copies the database to a file.
    pub(crate) async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        let copy = backup::run(
            self.readers.pool().clone(),
            self.path.clone(),
            target.to_owned(),
            options.clone(),
        );
        spawn(backup::OPERATION, copy).await
    }

    /// A value that changes with every commit of any process; `None` where that
    /// is not known.
    pub(crate) fn change_marker(&self) -> Option<ChangeMarker> {
        if self.readers.pool().is_closed() {
            return None;
        }
        self.wal_index.as_ref()?.read()
    }
}

/// Runs a transaction that writes, with the busy timeout that it has.
async fn run_write<T: Transaction>(
    session: &mut Session,
    transaction: T,
    busy_timeout: Duration,
) -> MemoryResult<T::Output> {
    let shorter = T::MAX_BUSY_TIMEOUT.filter(|timeout| *timeout < busy_timeout);
    let into_error = |error: sqlx::Error| Failure::from(error).into_error(T::OPERATION);
    if let Some(timeout) = shorter {
        wal::set_busy_timeout(&mut session.conn, timeout)
            .await
            .map_err(into_error)?;
    }
    let result = session.run("BEGIN IMMEDIATE", transaction).await;
    if shorter.is_some() {
        wal::set_busy_timeout(&mut session.conn, busy_timeout)
            .await
            .map_err(into_error)?;
    }
    result
}

/// Returns an error outside of a Tokio runtime, where the driver would panic.
pub(crate) fn check_runtime() -> MemoryResult<Handle> {
    Handle::try_current().map_err(|_| {
        MemoryError::configuration(
            "the SQLite store needs a Tokio runtime, and none is running here",
        )
    })
}

/// Runs a future to its end in a task, even if the caller drops this one.
///
/// Acquiring a connection is part of the task: the driver closes a connection
/// whose caller is dropped at the wrong moment, and a database in memory would
/// be lost with it.
async fn spawn<T: Send + 'static>(
    operation: &'static str,
    future: impl Future<Output = MemoryResult<T>> + Send + 'static,
) -> MemoryResult<T> {
    let span = debug_span!("store", backend = "sqlite", operation);
    match check_runtime()?.spawn(future.instrument(span)).await {
        Ok(result) => result,
        Err(error) => Err(MemoryError::store(
            ErrorKind::OutcomeUnknown,
            operation,
            "the Tokio runtime shut down during the operation",
        )
        .with_source(error)),
    }
}
