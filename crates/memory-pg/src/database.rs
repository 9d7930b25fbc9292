//! The pool, and what every verb needs of it.

use std::sync::Arc;
use std::time::Duration;

use memory_core::{EntityId, MemoryResult};
use pgvector::{HalfVector, Vector};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::approximate::Catalog;
use crate::error::{self, Failure};
use crate::manners::Manners;
use crate::options::PgOptions;

/// A pool and how it is used.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    pub(crate) options: PgOptions,
    pub(crate) manners: Arc<Manners>,
    pub(crate) catalog: Catalog,
    /// Whether closing the store closes the pool.
    owned: bool,
    closed: watch::Sender<bool>,
}

impl Database {
    pub(crate) fn new(pool: PgPool, options: PgOptions, owned: bool) -> Self {
        Self {
            pool,
            manners: Arc::new(Manners::new(&options, owned)),
            catalog: Catalog::default(),
            options,
            owned,
            closed: watch::Sender::new(false),
        }
    }

    /// Refuses what comes after [`close`](Self::close), before its input is
    /// even looked at.
    pub(crate) fn open(&self, operation: &'static str) -> MemoryResult<()> {
        if *self.closed.borrow() {
            return Err(error::closed(operation));
        }
        Ok(())
    }

    /// Turns true when the store is closed.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Waits for a connection, no longer than the options say.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        // The pool's own bound ends its waiting for a place; this one also ends
        // its waiting for a server that takes connections and then is silent.
        let patience = self.options.acquire_timeout;
        let connection = timeout(patience.saturating_mul(2), self.pool.acquire()).await;
        let connection = connection.map_err(|_| Failure::Silent)??;
        Ok(Link {
            connection: Some(connection),
            patience: self.manners.patience,
            manners: Arc::clone(&self.manners),
        })
    }

    /// Reads which approximate indexes there are.
    pub(crate) async fn load_catalog(&self) -> MemoryResult<()> {
        let load = async {
            let mut link = self.link().await?;
            self.catalog.read(&mut link).await?;
            link.release();
            Ok::<(), Failure>(())
        };
        load.await.map_err(|failure| failure.told("open"))
    }

    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        if self.owned {
            self.pool.close().await;
        }
    }
}

/// Whom a transaction is about, where policies ask.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// These entities.
    Of(&'a [&'a EntityId]),
    /// The names of all, and nothing else of them.
    Names,
}

/// A connection in use. Unless it is given back with [`release`](Self::release)
/// it is cut: a connection that was left in the middle of something, or whose
/// server went silent, is no good to whoever would get it next.
pub(crate) struct Link {
    connection: Option<PoolConnection<Postgres>>,
    /// How long to wait for an answer.
    patience: Duration,
    manners: Arc<Manners>,
}

impl Link {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&mut self, entities: &[&EntityId]) -> Result<(), Failure> {
        let manners = Arc::clone(&self.manners);
        self.script(&manners.begin).await?;
        self.tell(Scope::Of(entities)).await
    }

    /// Undoes what was done, and begins again.
    pub(crate) async fn restart(&mut self, entities: &[&EntityId]) -> Result<(), Failure> {
        self.script("ROLLBACK").await?;
        self.begin(entities).await
    }

    /// Begins a transaction that reads, where it takes one.
    pub(crate) async fn begin_reading(&mut self, scope: Scope<'_>) -> Result<bool, Failure> {
        let manners = Arc::clone(&self.manners);
        if !manners.reads_in_transactions {
            return Ok(false);
        }
        self.script(&manners.begin_reading).await?;
        if manners.asks_for_types {
            self.know_types().await?;
        }
        self.tell(scope).await?;
        Ok(true)
    }

    /// Tells the policies which entities the transaction is about.
    async fn tell(&mut self, scope: Scope<'_>) -> Result<(), Failure> {
        if !self.manners.names_entities {
            return Ok(());
        }
        let query = match scope {
            Scope::Of(entities) => {
                let names: Vec<&str> = entities.iter().map(|entity| entity.as_str()).collect();
                sqlx::query("SELECT set_config('memory.entities', $1::text[]::text, true)")
                    .bind(names)
            }
            Scope::Names => sqlx::query("SELECT set_config('memory.names', 'on', true)"),
        };
        self.run(query).await.map(drop)
    }

    /// Runs a statement and gives its rows.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let query = query.persistent(self.manners.keeps_statements);
        let answer = timeout(self.patience, query.fetch_all(&mut **connection));
        Ok(answer.await.map_err(|_| Failure::Silent)??)
    }

    /// Runs a statement and gives how many rows it touched.
    pub(crate) async fn run(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let query = query.persistent(self.manners.keeps_statements);
        let answer = timeout(self.patience, query.execute(&mut **connection));
        let done = answer.await.map_err(|_| Failure::Silent)??;
        Ok(done.rows_affected())
    }

    /// Runs statements without values; several are one text. The text is this
    /// crate's own.
    pub(crate) async fn script(&mut self, text: &str) -> Result<(), Failure> {
        let connection = self.connection.as_mut().ok_or(Failure::Silent)?;
        let text = AssertSqlSafe(text.to_owned());
        let answer = timeout(
            self.patience,
            sqlx::Executor::execute(&mut **connection, sqlx::raw_sql(text)),
        );
        answer.await.map_err(|_| Failure::Silent)??;
        Ok(())
    }

    /// Waits for what may take a day, from here on.
    pub(crate) fn be_patient(&mut self) {
        self.patience = Duration::from_secs(24 * 60 * 60);
    }

    /// Whether writes are announced to those who listen.
    pub(crate) fn announces(&self) -> bool {
        self.manners.announces
    }

    /// Gives the connection back, in good order.
    ///
    /// The pool asks a connection that comes back for a sign of life, and would
    /// wait for it without end (sqlx issue 4349): a server that went silent just
    /// then would take the place in the pool with it. So it is not waited for
    /// longer than for a connection.
    pub(crate) fn release(mut self) {
        if let Some(mut connection) = self.connection.take() {
            let limit = self.manners.sign_of_life;
            tokio::spawn(async move { timeout(limit, connection.return_to_pool()).await });
        }
    }

    /// Lets the driver look up the types of our columns, where statements are
    /// not kept: a look-up in the middle of one would undo its preparation.
    pub(crate) async fn know_types(&mut self) -> Result<(), Failure> {
        if self.manners.keeps_statements {
            return Ok(());
        }
        self.run(types()).await.map(drop)
    }
}

/// A statement with all types that the driver does not know by itself.
pub(crate) fn types() -> Query<'static, Postgres, PgArguments> {
    sqlx::query("SELECT $1::halfvec[] IS NULL, $2::vector[] IS NULL")
        .bind(Vec::<HalfVector>::new())
        .bind(Vec::<Vector>::new())
        .persistent(false)
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
