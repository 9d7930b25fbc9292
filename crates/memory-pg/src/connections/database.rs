//! The connection pool: running reads and write transactions, with retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use memory_core::{EntityId, ErrorKind, Generation, MemoryError, MemoryResult};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::{Instrument, debug_span};

use crate::ann::ann_index::IndexCatalog;
use crate::connections::acquire_probe::AcquireProbe;
use crate::connections::blocking::decode_rows;
use crate::connections::connection::{Connection, Scope};
use crate::connections::pool::PoolMetrics;
use crate::connections::session_settings::{ServerTraits, SessionSettings};
use crate::connections::transaction::{Attempts, Transaction, TxOutcome};
use crate::error::{self, Failure};
use crate::operations::load::{Load, MAX_IN_ONE_STATEMENT};
use crate::options::PgOptions;
use crate::replicas::replica_reads::Replicas;
use crate::rows::sql::SqlBuilder;

/// A pool and how it is used.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    pool_metrics: Arc<PoolMetrics>,
    pub(crate) options: PgOptions,
    acquire_probe: AcquireProbe,
    pub(crate) session_settings: Arc<SessionSettings>,
    pub(crate) index_catalog: IndexCatalog,
    /// Whether closing the store closes the pool.
    owns_pool: bool,
    /// Where some of the reads go.
    replicas: Option<Replicas>,
    /// Whether the server was a hot standby when it was last asked.
    is_standby: AtomicBool,
    /// Loads that run at once on the primary: others need connections too.
    load_slots: Semaphore,
    closed: watch::Sender<bool>,
}

/// How many loads may run at once on a server: half of the pool's connections, since each
/// keeps one for as long as it takes.
pub(crate) fn load_slots(pool: &PgPool) -> Semaphore {
    let connections = pool.options().get_max_connections();
    Semaphore::new((connections as usize / 2).max(1))
}

/// Where a read may go and how it is run.
#[derive(Clone, Copy)]
pub(crate) struct ReadTarget<'a> {
    pub(crate) scope: Scope<'a>,
    /// The settings of its transaction, if it needs one.
    pub(crate) settings: &'a [String],
    /// Whether a replica may answer.
    pub(crate) allows_replica: bool,
    /// The generation that the caller has seen already: no server answers that has
    /// less.
    pub(crate) min_generation: Generation,
}

impl<'a> ReadTarget<'a> {
    pub(crate) fn new(scope: Scope<'a>) -> Self {
        Self {
            scope,
            settings: &[],
            allows_replica: true,
            min_generation: Generation::ZERO,
        }
    }

    /// A statement that costs the primary no more than asking what a replica must have.
    pub(crate) fn small(entities: &'a [&'a EntityId]) -> Self {
        Self {
            allows_replica: false,
            ..Self::new(Scope::Entities(entities))
        }
    }
}

impl Database {
    pub(crate) fn new(
        pool: PgPool,
        replicas: Vec<PgPool>,
        options: PgOptions,
        owns_pool: bool,
    ) -> Self {
        let staleness = options.replica_staleness;
        Self {
            replicas: (!replicas.is_empty()).then(|| Replicas::new(replicas, staleness)),
            is_standby: AtomicBool::new(false),
            pool_metrics: PoolMetrics::new(pool.clone()),
            load_slots: load_slots(&pool),
            pool,
            session_settings: Arc::new(SessionSettings::new(
                &options,
                owns_pool,
                ServerTraits::default(),
            )),
            index_catalog: IndexCatalog::default(),
            options,
            owns_pool,
            acquire_probe: AcquireProbe::default(),
            closed: watch::Sender::new(false),
        }
    }

    /// Adapts to what was found out about the server when the store was opened.
    pub(crate) fn set_traits(&mut self, server: ServerTraits) {
        let settings = SessionSettings::new(&self.options, self.owns_pool, server);
        self.session_settings = Arc::new(settings);
    }

    /// Records whether the server is a hot standby.
    pub(crate) fn set_standby(&self, is_standby: bool) {
        self.is_standby.store(is_standby, Ordering::Relaxed);
    }

    /// Whether the server was a hot standby when it was last asked.
    pub(crate) fn is_standby(&self) -> bool {
        self.is_standby.load(Ordering::Relaxed)
    }

    pub(crate) fn has_replicas(&self) -> bool {
        self.replicas.is_some()
    }

    /// Whether opening may create and change tables and policies.
    pub(crate) fn may_migrate(&self) -> bool {
        !self.is_standby() && self.options.may_migrate()
    }

    /// Refuses calls after [`close`](Self::close), before their input is
    /// checked.
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        if *self.closed.borrow() {
            return Err(error::closed(operation));
        }
        Ok(())
    }

    /// Refuses writes where the store was opened for reading only.
    pub(crate) fn check_writable(&self, operation: &'static str) -> MemoryResult<()> {
        if self.options.read_only {
            let message = "the store was opened read-only";
            return Err(MemoryError::store(ErrorKind::ReadOnly, operation, message));
        }
        Ok(())
    }

    /// Refuses writes to a hot standby, without sending them. A standby may have been
    /// promoted since it was last asked, so it is asked again.
    async fn check_primary(&self, operation: &'static str) -> MemoryResult<()> {
        if !self.is_standby() {
            return Ok(());
        }
        let ask = async {
            let mut connection = self.acquire().await?;
            // In a transaction where a pooler needs one for a session.
            let in_transaction = connection.begin_read(Scope::EntityNames, &[]).await?;
            let query = sqlx::query("SELECT pg_is_in_recovery() AS is_standby");
            let rows = connection.fetch_all(query).await?;
            connection.roll_back(in_transaction).await;
            let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
            Ok::<bool, Failure>(row.try_get("is_standby")?)
        };
        let is_standby = ask.await.map_err(|failure| failure.into_error(operation))?;
        self.set_standby(is_standby);
        if is_standby {
            let message = "the server is a hot standby, which only reads; connect to its primary";
            return Err(MemoryError::store(ErrorKind::ReadOnly, operation, message));
        }
        Ok(())
    }

    /// Becomes true when the store is closed.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Waits for a connection, at most as long as the options allow.
    pub(crate) async fn acquire(&self) -> Result<Connection, Failure> {
        // The pool's own limit covers the wait for a free slot; this one also
        // covers a server that accepts connections and then does not answer.
        let limit = self.options.acquire_timeout.saturating_mul(2);
        let started = Instant::now();
        let acquired = timeout(limit, self.pool.acquire()).await;
        self.pool_metrics.record_wait(started);
        if matches!(acquired, Err(_) | Ok(Err(sqlx::Error::PoolTimedOut))) {
            self.pool_metrics.record_timeout();
        }
        match acquired {
            Ok(Ok(connection)) => {
                let session_settings = Arc::clone(&self.session_settings);
                Ok(Connection::new(connection, session_settings))
            }
            Ok(Err(sqlx::Error::PoolClosed)) => Err(sqlx::Error::PoolClosed.into()),
            Ok(Err(cause)) => Err(self.acquire_probe.explain(&self.pool, cause).await),
            Err(_) => {
                let cause = sqlx::Error::PoolTimedOut;
                Err(self.acquire_probe.explain(&self.pool, cause).await)
            }
        }
    }

    /// Reads which ANN indexes there are.
    pub(crate) async fn load_index_catalog(&self) -> MemoryResult<()> {
        let load = async {
            let mut connection = self.acquire().await?;
            self.index_catalog.load(&mut connection).await?;
            connection.release();
            Ok::<(), Failure>(())
        };
        load.await.map_err(|failure| failure.into_error("open"))
    }

    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        if let Some(replicas) = &self.replicas {
            replicas.close().await;
        }
        if self.owns_pool {
            self.pool.close().await;
        }
    }

    /// Runs a statement that reads data of one entity, and decodes its rows.
    pub(crate) async fn read<T>(
        &self,
        operation: &'static str,
        entity: &EntityId,
        sql: SqlBuilder,
        decode: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error> + Send + 'static,
    ) -> MemoryResult<T>
    where
        T: Send + 'static,
    {
        let entities = [entity];
        let target = ReadTarget::new(Scope::Entities(&entities));
        self.read_target(operation, target, sql, decode).await
    }

    /// As [`read`](Self::read), for any scope.
    pub(crate) async fn read_target<T>(
        &self,
        operation: &'static str,
        target: ReadTarget<'_>,
        sql: SqlBuilder,
        decode: impl FnOnce(&[PgRow]) -> Result<T, sqlx::Error> + Send + 'static,
    ) -> MemoryResult<T>
    where
        T: Send + 'static,
    {
        let rows = self.read_rows(operation, target, sql).await?;
        decode_rows(operation, rows, decode).await
    }

    /// Runs a statement that reads, and returns its rows.
    pub(crate) async fn read_rows(
        &self,
        operation: &'static str,
        target: ReadTarget<'_>,
        sql: SqlBuilder,
    ) -> MemoryResult<Vec<PgRow>> {
        let span = debug_span!("store", backend = "postgres", operation);
        let rows = self.fetch(target, sql).instrument(span).await;
        rows.map_err(|failure| failure.into_error(operation))
    }

    /// Runs a statement that reads: on a replica, where one may answer and has what
    /// the read must see, otherwise on the server.
    pub(crate) async fn fetch(
        &self,
        target: ReadTarget<'_>,
        sql: SqlBuilder,
    ) -> Result<Vec<PgRow>, Failure> {
        if let Some(replicas) = &self.replicas
            && target.allows_replica
            && !self.is_standby()
            && let Some(rows) = replicas.fetch(self, target, &sql).await
        {
            return Ok(rows);
        }
        let mut attempts = Attempts::new();
        loop {
            match self.fetch_once(target, &sql).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => attempts.after(failure).await?,
            }
        }
    }

    async fn fetch_once(
        &self,
        target: ReadTarget<'_>,
        sql: &SqlBuilder,
    ) -> Result<Vec<PgRow>, Failure> {
        let query = sql.copy_query()?;
        let mut connection = self.acquire().await?;
        let in_transaction = connection.begin_read(target.scope, target.settings).await?;
        let rows = connection.fetch_all(query).await;
        match &rows {
            Err(failure) if !failure.leaves_connection_usable() => drop(connection),
            _ => connection.roll_back(in_transaction).await,
        }
        rows
    }

    /// Reads what may be large: by one statement, and where that has left out memories, by a
    /// load with a cursor of this name. `statement` is one that reads at most so many
    /// memories, and `has_left_out` says whether its rows are not all.
    pub(crate) async fn fetch_or_load(
        &self,
        operation: &'static str,
        target: ReadTarget<'_>,
        cursor: &'static str,
        statement: impl Fn(i64) -> SqlBuilder,
        has_left_out: impl Fn(&[PgRow], i64) -> Result<bool, sqlx::Error>,
    ) -> MemoryResult<Vec<PgRow>> {
        let read = async {
            let rows = self.fetch(target, statement(MAX_IN_ONE_STATEMENT)).await?;
            if !has_left_out(&rows, MAX_IN_ONE_STATEMENT)? {
                return Ok(rows);
            }
            let load = Load::new(cursor, target, statement(i64::MAX));
            self.load(load).await
        };
        let span = debug_span!("store", backend = "postgres", operation);
        let rows = read.instrument(span).await;
        rows.map_err(|failure: Failure| failure.into_error(operation))
    }

    /// Reads the rows of a load: from a replica, where one may answer, otherwise from the
    /// server.
    async fn load(&self, load: Load<'_>) -> Result<Vec<PgRow>, Failure> {
        let target = load.target;
        if let Some(replicas) = &self.replicas
            && target.allows_replica
            && !self.is_standby()
            && let Some(rows) = replicas.load(self, &load).await
        {
            return Ok(rows);
        }
        let work = async {
            // Never closed, so that there is always one in the end.
            let _slot = self.load_slots.acquire().await;
            let mut attempts = Attempts::new();
            loop {
                match self.load_once(&load).await {
                    Ok(rows) => return Ok(rows),
                    Err(failure) => attempts.after(failure).await?,
                }
            }
        };
        let limit = self.options.load_timeout;
        let rows = timeout(limit, work).await;
        rows.unwrap_or(Err(Failure::LoadTimeout(limit)))
    }

    async fn load_once(&self, load: &Load<'_>) -> Result<Vec<PgRow>, Failure> {
        let mut connection = self.acquire().await?;
        let settings = Load::settings();
        let in_transaction = connection.begin_read(load.target.scope, &settings).await?;
        let limit = self.options.statement_timeout;
        let rows = load.run(&mut connection, limit, &AtomicU64::new(0)).await;
        match &rows {
            Err(failure) if !failure.leaves_connection_usable() => drop(connection),
            _ => connection.roll_back(in_transaction).await,
        }
        rows
    }

    /// Runs a write transaction in a task of its own: a caller that is
    /// cancelled leaves neither half a write nor an open transaction.
    pub(crate) async fn write<T: Transaction>(
        self: &Arc<Self>,
        transaction: T,
    ) -> MemoryResult<T::Output> {
        self.check_writable(T::OPERATION)?;
        self.check_primary(T::OPERATION).await?;
        let database = Arc::clone(self);
        let span = debug_span!("store", backend = "postgres", operation = T::OPERATION);
        let work = async move {
            let outcome = database.run_with_retries(&transaction).await;
            // Also after a failure: the write may have happened, or another one that
            // made it fail, and the caller reads next what there is.
            if let Some(replicas) = &database.replicas {
                for entity in transaction.entities() {
                    replicas.record_write(entity);
                }
            }
            outcome
        };
        let task = tokio::spawn(work.instrument(span));
        task.await.unwrap_or_else(|_| {
            let cause = "the task of the write was stopped before it finished";
            Err(error::outcome_unknown(
                cause,
                T::OPERATION,
                T::IS_REPEATABLE,
            ))
        })
    }

    async fn run_with_retries<T: Transaction>(&self, transaction: &T) -> MemoryResult<T::Output> {
        let mut attempts = Attempts::new();
        loop {
            let failure = match self.try_once(transaction).await {
                Ok(outcome) => return outcome,
                Err(failure) => failure,
            };
            let again = attempts.after(failure).await;
            again.map_err(|failure| failure.into_error(T::OPERATION))?;
        }
    }

    /// One attempt. The inner error is that of a commit without an answer,
    /// which must not be retried here.
    async fn try_once<T: Transaction>(
        &self,
        transaction: &T,
    ) -> Result<MemoryResult<T::Output>, Failure> {
        let mut connection = self.acquire().await?;
        connection.begin(&transaction.entities()).await?;
        match transaction.run(&mut connection).await {
            Ok(TxOutcome::Commit(output)) => match connection.execute_batch("COMMIT").await {
                Ok(()) => {
                    connection.release();
                    Ok(Ok(output))
                }
                Err(failure) if failure.is_refusal() => Err(failure),
                Err(failure) => Ok(Err(
                    failure.into_commit_error(T::OPERATION, T::IS_REPEATABLE)
                )),
            },
            Ok(TxOutcome::Rollback(output)) => {
                connection.roll_back(true).await;
                Ok(Ok(output))
            }
            Err(failure) => {
                // It would wait behind a statement that is not answered.
                if failure.leaves_connection_usable() {
                    connection.roll_back(true).await;
                }
                Err(failure)
            }
        }
    }
}
