//! Operations of the store as transactions, and the connection that runs them.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt;
use memory_core::MemoryResult;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{Executor, Row};

use crate::connections::pool::MeasuredPool;
use crate::error::Failure;

/// One operation of the store, run within one transaction.
pub(crate) trait Transaction: Send + 'static {
    /// What it returns.
    type Output: Send + 'static;

    /// Its name in errors and spans.
    const OPERATION: &'static str;

    /// How long it waits for the locks of others, if less than the store's busy
    /// timeout.
    const MAX_BUSY_TIMEOUT: Option<Duration> = None;

    /// Whether a power failure must not undo it once it is acknowledged. Otherwise the
    /// log is not flushed for it, and a later flush or checkpoint does that.
    const SURVIVES_POWER_FAILURE: bool = true;

    /// Whether it only reads, and with one statement: that sees one state without a
    /// transaction around it.
    const IS_ONE_READ: bool = false;

    /// Whether it removes content, so that the write-ahead log has to be
    /// truncated after it.
    fn erases_content(&self) -> bool {
        false
    }

    /// Runs it. On an error the transaction is rolled back.
    fn run(
        self,
        conn: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// A connection from the pool for the time of one transaction.
pub(crate) struct Session {
    pub(crate) conn: PoolConnection<Sqlite>,
    in_transaction: bool,
}

impl Session {
    /// Waits for a connection.
    pub(crate) async fn acquire(
        pool: &MeasuredPool,
        operation: &'static str,
    ) -> MemoryResult<Self> {
        match pool.acquire().await {
            Ok(conn) => Ok(Self {
                conn,
                in_transaction: false,
            }),
            Err(error) => Err(Failure::from(error).into_error(operation)),
        }
    }

    /// Runs a transaction that only reads.
    pub(crate) async fn read<T: Transaction>(&mut self, transaction: T) -> MemoryResult<T::Output> {
        if T::IS_ONE_READ {
            let result = transaction.run(&mut self.conn).await;
            return result.map_err(|failure| failure.into_error(T::OPERATION));
        }
        self.run("BEGIN", transaction).await
    }

    /// Runs a transaction between `begin` and a commit, or a rollback if it
    /// fails.
    ///
    /// The statements are plain SQL and not the driver's own transactions:
    /// SQLite ends a transaction by itself on some errors (a full disk among
    /// them), and the driver's count of open transactions is wrong afterward.
    pub(crate) async fn run<T: Transaction>(
        &mut self,
        begin: &'static str,
        transaction: T,
    ) -> MemoryResult<T::Output> {
        self.in_transaction = true;
        let result = self.run_and_commit(begin, transaction).await;
        if result.is_err() {
            // The only error here says that SQLite has rolled back already.
            let _ = self.conn.execute("ROLLBACK").await;
        }
        self.in_transaction = false;
        result
    }

    /// Runs a transaction that is one text of statements, with its beginning and its
    /// commit, of which the last two return a row behind the commit; returns the second of
    /// these, `None` where it failed.
    ///
    /// # Errors
    /// The failure, and whether it was rolled back for certain.
    pub(crate) async fn run_at_once(
        &mut self,
        statements: Query<'static, Sqlite, SqliteArguments>,
    ) -> Result<Option<i64>, (Failure, bool)> {
        self.in_transaction = true;
        let mut result = last_number(&mut self.conn, statements)
            .await
            .map_err(|error| (error.into(), false));
        if let Err((_, is_rolled_back)) = &mut result {
            // An error says that none is open: SQLite has rolled back already, or it never
            // began.
            *is_rolled_back = self.conn.execute("ROLLBACK").await.is_ok();
        }
        self.in_transaction = false;
        result
    }

    async fn run_and_commit<T: Transaction>(
        &mut self,
        begin: &'static str,
        transaction: T,
    ) -> MemoryResult<T::Output> {
        let into_error = |failure: Failure| failure.into_error(T::OPERATION);
        self.conn
            .execute(begin)
            .await
            .map_err(|error| into_error(error.into()))?;
        let output = transaction.run(&mut self.conn).await.map_err(into_error)?;
        match self.conn.execute("COMMIT").await {
            Ok(_) => Ok(output),
            Err(error) => Err(Failure::from(error).into_commit_error(T::OPERATION)),
        }
    }
}

/// Runs statements that return three rows, and returns the number in the last; `None` where
/// an error came between the second and the last.
async fn last_number(
    conn: &mut SqliteConnection,
    statements: Query<'static, Sqlite, SqliteArguments>,
) -> sqlx::Result<Option<i64>> {
    let mut rows = statements.fetch(conn);
    let mut seen = 0;
    loop {
        match rows.try_next().await {
            Ok(Some(row)) if seen == 2 => return row.try_get(0).map(Some),
            Ok(Some(_)) => seen += 1,
            Err(_) if seen == 2 => return Ok(None),
            Ok(None) => return Err(sqlx::Error::RowNotFound),
            Err(error) => return Err(error),
        }
    }
}

impl Drop for Session {
    /// Where a runtime stops in the middle of a transaction, the connection is
    /// not returned to the pool.
    fn drop(&mut self) {
        if self.in_transaction {
            self.conn.close_on_drop();
        }
    }
}
