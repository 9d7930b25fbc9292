//! The pool, and what every verb needs of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memory_core::MemoryResult;
use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use tokio::time::timeout;

use crate::error::{self, Failure};
use crate::options::PgOptions;

/// How much longer than the server may take its answer may be under way.
const GRACE: Duration = Duration::from_secs(5);

/// A pool and how it is used.
#[derive(Debug)]
pub(crate) struct Database {
    pool: PgPool,
    pub(crate) options: PgOptions,
    /// Whether closing the store closes the pool.
    owned: bool,
    closed: AtomicBool,
}

impl Database {
    pub(crate) fn new(pool: PgPool, options: PgOptions, owned: bool) -> Self {
        Self {
            pool,
            options,
            owned,
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses what comes after [`close`](Self::close), before its input is
    /// even looked at.
    pub(crate) fn open(&self, operation: &'static str) -> MemoryResult<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(error::closed(operation));
        }
        Ok(())
    }

    /// Waits for a connection, no longer than the options say.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        let connection = self.pool.acquire().await?;
        Ok(Link {
            connection: Some(connection),
            patience: self.options.statement_timeout.saturating_add(GRACE),
        })
    }

    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if self.owned {
            self.pool.close().await;
        }
    }
}

/// A connection in use. Unless it is given back with [`release`](Self::release)
/// it is cut: a connection that was left in the middle of something, or whose
/// server went silent, is no good to whoever would get it next.
pub(crate) struct Link {
    connection: Option<PoolConnection<Postgres>>,
    patience: Duration,
}

impl Link {
    /// Runs a statement and gives its rows.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let answer = timeout(self.patience, query.fetch_all(&mut **connection));
        Ok(answer.await.map_err(|_| Failure::Silent)??)
    }

    /// Runs a statement and gives how many rows it touched.
    pub(crate) async fn run(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let answer = timeout(self.patience, query.execute(&mut **connection));
        let done = answer.await.map_err(|_| Failure::Silent)??;
        Ok(done.rows_affected())
    }

    /// Runs statements without values; several are one text.
    pub(crate) async fn script(&mut self, text: &'static str) -> Result<(), Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let answer = timeout(
            self.patience,
            sqlx::Executor::execute(&mut **connection, sqlx::raw_sql(text)),
        );
        answer.await.map_err(|_| Failure::Silent)??;
        Ok(())
    }

    /// Gives the connection back, in good order.
    pub(crate) fn release(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
