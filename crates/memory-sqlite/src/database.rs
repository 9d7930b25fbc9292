//! Running work as transactions.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::Executor;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool};
use tokio::runtime::Handle;
use tracing::{Instrument, debug_span};

use crate::error::Failure;
use crate::log::Log;

/// One operation of the store, run within one transaction.
pub(crate) trait Work: Send + 'static {
    /// What it gives back.
    type Output: Send + 'static;

    /// Its name in errors and spans.
    const OPERATION: &'static str;

    /// Whether it takes content away, so that the write-ahead log is to be
    /// emptied once it is done.
    fn erases(&self) -> bool {
        false
    }

    /// Does it. On an error the transaction is rolled back.
    fn run(
        self,
        conn: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// The connections of one database: one that writes, several that read.
#[derive(Debug)]
pub(crate) struct Database {
    readers: SqlitePool,
    /// `None` where the database is open for reading only.
    writer: Option<SqlitePool>,
    log: Arc<Log>,
}

impl Database {
    pub(crate) fn new(
        readers: SqlitePool,
        writer: Option<SqlitePool>,
        busy_timeout: Duration,
    ) -> Self {
        Self {
            readers,
            writer,
            log: Arc::new(Log::new(busy_timeout)),
        }
    }

    /// Answers an operation that needs no connection as a closed store would.
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        if self.readers.is_closed() {
            return Err(Failure::from(sqlx::Error::PoolClosed).during(operation));
        }
        Ok(())
    }

    /// Runs work that only reads: all that it sees is one state.
    pub(crate) async fn read<W: Work>(&self, work: W) -> MemoryResult<W::Output> {
        let readers = self.readers.clone();
        spawn(W::OPERATION, async move {
            let mut session = Session::on(&readers, W::OPERATION).await?;
            session.transact("BEGIN", work).await
        })
        .await
    }

    /// Runs work that writes: all of it or nothing, also when the caller goes
    /// away in the middle.
    pub(crate) async fn write<W: Work>(&self, work: W) -> MemoryResult<W::Output> {
        self.check_open(W::OPERATION)?;
        let writer = self.writer.clone().ok_or_else(|| {
            let message = "the database was opened for reading only";
            MemoryError::store(ErrorKind::ReadOnly, W::OPERATION, message)
        })?;
        let log = Arc::clone(&self.log);
        spawn(W::OPERATION, async move {
            let mut session = Session::on(&writer, W::OPERATION).await?;
            let erases = work.erases();
            let output = session.transact("BEGIN IMMEDIATE", work).await?;
            log.empty_if_due(&mut session.conn, erases).await;
            Ok(output)
        })
        .await
    }

    /// Waits for what is under way and closes every connection.
    pub(crate) async fn close(&self) {
        // The writer goes last: the last connection to leave moves the log
        // into the file, and a reader could not.
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// The driver panics outside of a Tokio runtime; this is the error instead.
pub(crate) fn check_runtime() -> MemoryResult<Handle> {
    Handle::try_current().map_err(|_| {
        MemoryError::configuration("the SQLite store needs a Tokio runtime, and there is none here")
    })
}

/// Runs a future to its end, whether or not the caller waits for it.
///
/// Waiting for a connection belongs to it: the driver closes a connection whose
/// taker goes away at the wrong moment, and a database in memory is gone with
/// it.
async fn spawn<T: Send + 'static>(
    operation: &'static str,
    future: impl Future<Output = MemoryResult<T>> + Send + 'static,
) -> MemoryResult<T> {
    let span = debug_span!("sqlite", operation);
    match check_runtime()?.spawn(future.instrument(span)).await {
        Ok(result) => result,
        Err(error) => Err(MemoryError::store(
            ErrorKind::OutcomeUnknown,
            operation,
            "the runtime stopped in the middle of it",
        )
        .with_source(error)),
    }
}

/// A connection while it is used.
struct Session {
    conn: PoolConnection<Sqlite>,
    in_transaction: bool,
}

impl Session {
    async fn on(pool: &SqlitePool, operation: &'static str) -> MemoryResult<Self> {
        match pool.acquire().await {
            Ok(conn) => Ok(Self {
                conn,
                in_transaction: false,
            }),
            Err(error) => Err(Failure::from(error).during(operation)),
        }
    }

    /// Runs work between `begin` and a commit, or a rollback if it fails.
    ///
    /// The transaction is plain SQL and not the driver's own: SQLite ends a
    /// transaction by itself on some errors (a full disk among them), which
    /// the driver's count of open transactions does not survive.
    async fn transact<W: Work>(&mut self, begin: &'static str, work: W) -> MemoryResult<W::Output> {
        self.in_transaction = true;
        let result = self.attempt(begin, work).await;
        if result.is_err() {
            // The one error that this can have says that SQLite has rolled
            // back already.
            let _ = self.conn.execute("ROLLBACK").await;
        }
        self.in_transaction = false;
        result
    }

    async fn attempt<W: Work>(&mut self, begin: &'static str, work: W) -> MemoryResult<W::Output> {
        let named = |failure: Failure| failure.during(W::OPERATION);
        self.conn
            .execute(begin)
            .await
            .map_err(|e| named(e.into()))?;
        let output = work.run(&mut self.conn).await.map_err(named)?;
        match self.conn.execute("COMMIT").await {
            Ok(_) => Ok(output),
            Err(error) => Err(Failure::from(error).during_commit(W::OPERATION)),
        }
    }
}

impl Drop for Session {
    /// Where a runtime stops in the middle of a transaction, the connection
    /// does not go back to the others.
    fn drop(&mut self) {
        if self.in_transaction {
            self.conn.close_on_drop();
        }
    }
}
