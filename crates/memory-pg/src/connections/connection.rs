//! A pooled connection in use: running statements with a time limit and
//! returning it to the pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::EntityId;
use pgvector::{HalfVector, Vector};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{Instrument, debug_span, field};

use crate::connections::session_settings::SessionSettings;
use crate::error::Failure;

/// How long a connection whose caller is gone keeps its place in the pool while the server
/// works on its statement. It is closed then, and the server notices it about as soon.
const MAX_ABANDONED: Duration = Duration::from_secs(1);

/// How long to wait for what takes long.
const LONG_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The entities that a transaction may access under row-level security.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// These entities.
    Entities(&'a [&'a EntityId]),
    /// The names of all entities, and no other data.
    EntityNames,
}

/// What a connection runs on.
enum Inner {
    /// One of the pool's.
    Pooled(PoolConnection<Postgres>),
    /// One that the pool replaces.
    Detached(PgConnection),
}

impl Inner {
    fn as_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Detached(connection) => connection,
        }
    }
}

/// A connection in use. Unless it is returned with [`release`](Self::release)
/// it is closed: a connection that was left in the middle of a statement, or
/// whose server stopped answering, must not be reused.
pub(crate) struct Connection {
    inner: Option<Inner>,
    /// Whether the server has a statement to which nobody has waited for the answer.
    is_waiting: bool,
    response_timeout: Duration,
    /// The limit that the server has for a statement, if it is known.
    statement_timeout: Option<Duration>,
    session_settings: Arc<SessionSettings>,
}

impl Connection {
    pub(crate) fn new(
        inner: PoolConnection<Postgres>,
        session_settings: Arc<SessionSettings>,
    ) -> Self {
        Self {
            inner: Some(Inner::Pooled(inner)),
            is_waiting: false,
            response_timeout: session_settings.response_timeout,
            statement_timeout: session_settings.statement_timeout,
            session_settings,
        }
    }

    /// Leaves the pool, which may open another in its place: for work that takes long and
    /// must not keep others waiting. It is closed afterward.
    pub(crate) fn detach(mut self) -> Self {
        self.inner = self.inner.take().map(|inner| match inner {
            Inner::Pooled(connection) => Inner::Detached(connection.detach()),
            detached @ Inner::Detached(_) => detached,
        });
        self
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&mut self, entities: &[&EntityId]) -> Result<(), Failure> {
        let settings = Arc::clone(&self.session_settings);
        self.execute_all(&settings.begin).await?;
        self.record_begin();
        self.set_scope(Scope::Entities(entities)).await
    }

    /// Rolls back and begins again.
    pub(crate) async fn restart(&mut self, entities: &[&EntityId]) -> Result<(), Failure> {
        self.execute_batch("ROLLBACK").await?;
        self.begin(entities).await
    }

    /// Begins a transaction that reads, with these settings, if there are some or the
    /// session settings require one. Returns whether one was begun.
    pub(crate) async fn begin_read(
        &mut self,
        scope: Scope<'_>,
        settings: &[String],
    ) -> Result<bool, Failure> {
        let session_settings = Arc::clone(&self.session_settings);
        if !session_settings.reads_in_transactions && settings.is_empty() {
            return Ok(false);
        }
        self.execute_all(&session_settings.begin_read(settings))
            .await?;
        self.record_begin();
        if session_settings.prefetch_types {
            self.prefetch_types().await?;
        }
        self.set_scope(scope).await?;
        Ok(true)
    }

    /// Rolls back the transaction, if one was begun, and returns the
    /// connection to the pool. If that fails, the connection is closed.
    pub(crate) async fn roll_back(mut self, in_transaction: bool) {
        if !in_transaction || self.execute_batch("ROLLBACK").await.is_ok() {
            self.release();
        }
    }

    /// Records the limit that a transaction has set.
    fn record_begin(&mut self) {
        let limit = self.session_settings.transaction_statement_timeout;
        self.statement_timeout = limit.or(self.statement_timeout);
    }

    /// Sets which entities the row-level security policies let through.
    async fn set_scope(&mut self, scope: Scope<'_>) -> Result<(), Failure> {
        if !self.session_settings.set_rls_scope {
            return Ok(());
        }
        let query = match scope {
            Scope::Entities(entities) => {
                let names: Vec<&str> = entities.iter().map(|entity| entity.as_str()).collect();
                sqlx::query("SELECT set_config('memory.entities', $1::text[]::text, true)")
                    .bind(names)
            }
            Scope::EntityNames => sqlx::query("SELECT set_config('memory.names', 'on', true)"),
        };
        self.execute(query).await.map(drop)
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn fetch_all(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Failure> {
        let inner = self.inner.as_mut().ok_or(Failure::Timeout)?;
        let query = query.persistent(self.session_settings.persistent_statements);
        let span = debug_span!("statement", rows = field::Empty);
        let started = Instant::now();
        let response = timeout(self.response_timeout, query.fetch_all(inner.as_mut()));
        self.is_waiting = true;
        let rows = response.instrument(span.clone()).await;
        self.is_waiting = false;
        let rows = rows.map_err(|_| Failure::Timeout)?;
        let rows = rows.map_err(|error| self.failure(error, started))?;
        span.record("rows", rows.len());
        Ok(rows)
    }

    /// Runs a statement and returns how many rows it affected.
    pub(crate) async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, Failure> {
        let inner = self.inner.as_mut().ok_or(Failure::Timeout)?;
        let query = query.persistent(self.session_settings.persistent_statements);
        let span = debug_span!("statement", rows = field::Empty);
        let started = Instant::now();
        let response = timeout(self.response_timeout, query.execute(inner.as_mut()));
        self.is_waiting = true;
        let done = response.instrument(span.clone()).await;
        self.is_waiting = false;
        let done = done.map_err(|_| Failure::Timeout)?;
        let done = done.map_err(|error| self.failure(error, started))?;
        let rows = done.rows_affected();
        span.record("rows", rows);
        Ok(rows)
    }

    /// Runs one or several statements without parameters. The text must come
    /// from this crate.
    pub(crate) async fn execute_batch(&mut self, text: &str) -> Result<(), Failure> {
        let inner = self.inner.as_mut().ok_or(Failure::Timeout)?;
        let text = AssertSqlSafe(text.to_owned());
        let started = Instant::now();
        let response = timeout(
            self.response_timeout,
            sqlx::Executor::execute(inner.as_mut(), sqlx::raw_sql(text)),
        );
        self.is_waiting = true;
        let done = response.await;
        self.is_waiting = false;
        let done = done.map_err(|_| Failure::Timeout)?;
        done.map_err(|error| self.failure(error, started))?;
        Ok(())
    }

    /// Runs statements without parameters, each in a message of its own.
    pub(crate) async fn execute_all(&mut self, texts: &[String]) -> Result<(), Failure> {
        for text in texts {
            self.execute_batch(text).await?;
        }
        Ok(())
    }

    /// Why a statement that began at `started` failed.
    fn failure(&self, error: sqlx::Error, started: Instant) -> Failure {
        Failure::of_statement(error, started.elapsed(), self.statement_timeout)
    }

    /// Waits up to a day for each answer from here on: index builds and
    /// migrations take long.
    pub(crate) fn disable_timeout(&mut self) {
        self.response_timeout = LONG_TIMEOUT;
        self.statement_timeout = None;
    }

    /// Waits as long as the options say from here on.
    pub(crate) fn restore_timeout(&mut self) {
        self.response_timeout = self.session_settings.response_timeout;
        self.statement_timeout = self.session_settings.statement_timeout;
    }

    /// Whether writes notify listeners.
    pub(crate) fn notifies(&self) -> bool {
        self.session_settings.notify
    }

    /// Whether the server spreads tables over other servers.
    pub(crate) fn is_distributed(&self) -> bool {
        self.session_settings.is_distributed
    }

    /// Returns the connection to the pool, in good order.
    ///
    /// The pool pings a connection that is returned, and would wait for the
    /// answer without end (sqlx issue 4349): a server that stopped answering
    /// just then would occupy the slot for good. So the wait is limited.
    pub(crate) fn release(mut self) {
        if let Some(Inner::Pooled(mut inner)) = self.inner.take() {
            let limit = self.session_settings.ping_timeout;
            tokio::spawn(async move { timeout(limit, inner.return_to_pool()).await });
        }
    }

    /// Lets the driver look up the types of the schema's columns where
    /// statements are not persistent: a lookup during a statement would discard
    /// its preparation.
    pub(crate) async fn prefetch_types(&mut self) -> Result<(), Failure> {
        if self.session_settings.persistent_statements {
            return Ok(());
        }
        self.execute(type_lookup()).await.map(drop)
    }
}

impl Drop for Connection {
    /// Of a statement whose caller is gone, the end is awaited for a moment: callers that
    /// give up and come again would make the server work on more than the pool has
    /// connections.
    fn drop(&mut self) {
        let Some(Inner::Pooled(mut inner)) = self.inner.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) if self.is_waiting => {
                runtime.spawn(async move {
                    let _ = timeout(MAX_ABANDONED, inner.ping()).await;
                    drop(inner.detach());
                });
            }
            _ => drop(inner.detach()),
        }
    }
}

/// A statement with every type that the driver has to look up.
pub(crate) fn type_lookup() -> Query<'static, Postgres, PgArguments> {
    sqlx::query("SELECT $1::halfvec[] IS NULL, $2::vector[] IS NULL")
        .bind(Vec::<HalfVector>::new())
        .bind(Vec::<Vector>::new())
        .persistent(false)
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::connections::database::{Database, ReadTarget};
    use crate::connections::session_settings::ServerTraits;
    use crate::options::PgOptions;
    use crate::rows::sql::SqlBuilder;
    use crate::search::query_plan_tests::support::server;

    /// The options have none for a statement outside of transactions, which is then as the
    /// application's pool says.
    #[tokio::test]
    async fn limit_of_a_pool_of_the_application_is_not_taken_for_that_of_the_options() {
        let pool = PgPool::connect(&server()).await.unwrap();
        let options = PgOptions::new().statement_timeout(Duration::from_millis(300));
        let mut database = Database::new(pool, Vec::new(), options, false);
        database.set_traits(ServerTraits {
            is_distributed: true,
            ..ServerTraits::default()
        });
        let canceled = async |text: &str, settings: &[String]| {
            let mut sql = SqlBuilder::new();
            sql.push(text);
            let target = ReadTarget {
                settings,
                ..ReadTarget::new(Scope::EntityNames)
            };
            let read = database.read_rows("test", target, sql).await;
            read.map(drop).unwrap_err().to_string()
        };
        let cancel = "SELECT pg_sleep(0.5), pg_cancel_backend(pg_backend_pid())";
        let message = canceled(cancel, &[]).await;
        assert!(message.contains("of its connection"), "{message}");
        let settings = ["enable_sort = off".to_owned()];
        let message = canceled("SELECT pg_sleep(5)", &settings).await;
        assert!(
            message.contains("PgOptions::statement_timeout"),
            "{message}"
        );
        database.pool.close().await;
    }
}
