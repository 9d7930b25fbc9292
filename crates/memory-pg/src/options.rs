//! How a store is opened.

use std::str::FromStr;
use std::time::Duration;

use memory_core::{MemoryError, MemoryResult};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::approximate::ApproximateIndex;
use crate::database::types;
use crate::store::PgStore;

/// With how many bits the components of new vectors are kept. What is there
/// already stays as it is, and is found all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 16 bits: half the room, and cosines that differ in the fourth digit.
    #[default]
    Half,
    /// 32 bits, as the embedder gave them.
    Single,
}

/// What to do where the schema is older than this program, or not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Migrations {
    /// Make it so. The role needs the right to create tables.
    #[default]
    Apply,
    /// Refuse to open: whoever runs the database applies them.
    Check,
}

/// What stands between this program and the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooler {
    /// Nothing, or something that gives each connection a session of its own.
    #[default]
    None,
    /// A pooler that hands out sessions for a transaction at a time, as
    /// PgBouncer does in that mode. Reads take a transaction each, statements
    /// are not kept on the server, timeouts are set in every transaction, and
    /// [`watch`](memory_core::Store::watch) has no channel.
    Transaction,
}

/// How a store is opened, where the defaults do not fit.
///
/// ```no_run
/// # async fn open() -> memory_core::MemoryResult<()> {
/// use std::time::Duration;
/// use memory_pg::PgOptions;
/// let store = PgOptions::new()
///     .max_connections(32)
///     .statement_timeout(Duration::from_secs(5))
///     .connect("postgres://app@localhost/memories")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PgOptions {
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) precision: Precision,
    pub(crate) migrations: Migrations,
    pub(crate) pooler: Pooler,
    pub(crate) row_level_security: bool,
    pub(crate) announcements: bool,
    pub(crate) approximate: ApproximateIndex,
    pub(crate) approximate_from: u64,
    pub(crate) approximate_at_most: u32,
}

impl Default for PgOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            precision: Precision::default(),
            migrations: Migrations::default(),
            pooler: Pooler::default(),
            row_level_security: false,
            announcements: false,
            approximate: ApproximateIndex::default(),
            approximate_from: 50_000,
            approximate_at_most: 32,
        }
    }
}

impl PgOptions {
    /// The defaults: 10 connections, 5 s to wait for one, 30 s for a statement,
    /// 10 s for a lock, half precision, migrations applied.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Most connections held at once.
    #[must_use]
    pub fn max_connections(mut self, count: u32) -> Self {
        self.max_connections = count;
        self
    }

    /// How long a call waits for a connection before it answers with
    /// [`memory_core::ErrorKind::Unavailable`].
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long the server works on one statement before it gives up; a server
    /// that is silent for somewhat longer counts as gone.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement waits for another's lock.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// With how many bits new vectors are kept.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What to do where the schema is older than this program.
    #[must_use]
    pub fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = migrations;
        self
    }

    /// What stands between this program and the server. In a URL:
    /// `?pooler=transaction`.
    #[must_use]
    pub fn pooler(mut self, pooler: Pooler) -> Self {
        self.pooler = pooler;
        self
    }

    /// Puts every table under policies that let a transaction see, and write,
    /// nothing but the entities that it names beforehand; a statement that
    /// forgot its condition would find nothing of others. In a URL:
    /// `?row_level_security=on`.
    ///
    /// The role must be neither a superuser nor have `BYPASSRLS`. Policies are
    /// made when a store is opened, or with [`Migrations::Check`] looked for.
    /// Costs a round trip or two for each call, and the lexical retriever and tag,
    /// metadata and link conditions read all of an entity's memories: the
    /// server uses no inverted index below a policy.
    #[must_use]
    pub fn row_level_security(mut self, on: bool) -> Self {
        self.row_level_security = on;
        self
    }

    /// Whether each write is announced to those who
    /// [`watch`](memory_core::Store::watch), in whatever process; off by
    /// default. All who share a database must agree.
    ///
    /// Only [`Consistency::Bounded`](memory_core::Consistency::Bounded) has
    /// use for it: others' writes are then seen before the bound is over. It
    /// costs every writer: the server lets transactions that announce
    /// something commit one after the other.
    #[must_use]
    pub fn announcements(mut self, on: bool) -> Self {
        self.announcements = on;
        self
    }

    /// Which index, if any, very large entities are searched by; none by
    /// default. [`PgStore::maintain`] makes them. A search by an index compares
    /// what it finds exactly, but may miss some of the nearest; under any filter
    /// it finds as many as asked for, if need be by comparing all.
    #[must_use]
    pub fn approximate(mut self, index: ApproximateIndex) -> Self {
        self.approximate = index;
        self
    }

    /// From how many vectors of one entity on it gets an index; 50,000 by
    /// default. Below, exact search is quick enough.
    #[must_use]
    pub fn approximate_from(mut self, vectors: u64) -> Self {
        self.approximate_from = vectors;
        self
    }

    /// How many indexes there may be; 32 by default, for the largest entities.
    /// Every write to any entity looks at the conditions of all.
    #[must_use]
    pub fn approximate_at_most(mut self, count: u32) -> Self {
        self.approximate_at_most = count;
        self
    }

    /// Opens a store with a pool of its own.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for a URL that does not read, a setting of
    /// ours in it with no value of ours, or a timeout of less than a
    /// millisecond; [`MemoryError::Store`] as for
    /// [`with_pool`](Self::with_pool).
    pub async fn connect(mut self, url: &str) -> MemoryResult<PgStore> {
        let url = self.take_settings(url)?;
        self.validate()?;
        // The parser's own words are left out: they may quote the password.
        let options = PgConnectOptions::from_str(&url).map_err(|_| {
            MemoryError::configuration(
                "the URL does not read; it looks like postgres://user:password@host:5432/database",
            )
        })?;
        let pool = self.pool().connect_lazy_with(self.connection(options));
        PgStore::open(pool, self, true).await
    }

    /// Opens a store on a pool that others use as well. Its connections keep
    /// the settings that they were given; closing the store leaves it open.
    ///
    /// # Errors
    /// [`MemoryError::Store`] with kind `Unavailable` when the server does not
    /// answer, `NewerSchema` when a newer program was here, `ForeignData` when
    /// the tables are somebody else's, `Missing` when an extension or (with
    /// [`Migrations::Check`]) a migration is, `Configuration` when the role may
    /// not do what it has to.
    pub async fn with_pool(self, pool: PgPool) -> MemoryResult<PgStore> {
        self.validate()?;
        PgStore::open(pool, self, false).await
    }

    fn pool(&self) -> PgPoolOptions {
        let pool = PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.acquire_timeout);
        match self.pooler {
            Pooler::None => pool,
            Pooler::Transaction => pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // In one transaction, and so in one session. Where the types
                    // are not there yet, opening makes them and asks again.
                    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
                    let _ = types().execute(&mut *connection).await;
                    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                    Ok(())
                })
            }),
        }
    }

    fn connection(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("memory-pg"),
        };
        match self.pooler {
            Pooler::None => {
                let millis = |(name, timeout): (_, Duration)| (name, timeout.as_millis());
                options.options(self.timeouts().map(millis))
            }
            // It knows neither start-up options nor statements with names.
            Pooler::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
        }
    }

    /// The settings of a session, or of each transaction.
    pub(crate) fn timeouts(&self) -> [(&'static str, Duration); 3] {
        [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            // A client that died in mid-transaction holds no lock for longer.
            (
                "idle_in_transaction_session_timeout",
                self.statement_timeout,
            ),
        ]
    }

    /// Takes what is ours out of the URL's parameters.
    fn take_settings(&mut self, url: &str) -> MemoryResult<String> {
        let Some((address, parameters)) = url.split_once('?') else {
            return Ok(url.to_owned());
        };
        let mut others = Vec::new();
        for parameter in parameters.split('&') {
            match parameter.split_once('=') {
                Some(("pooler", "transaction")) => self.pooler = Pooler::Transaction,
                Some(("pooler", "none")) => self.pooler = Pooler::None,
                Some(("row_level_security", "on")) => self.row_level_security = true,
                Some(("row_level_security", "off")) => self.row_level_security = false,
                Some(("announcements", "on")) => self.announcements = true,
                Some(("announcements", "off")) => self.announcements = false,
                Some((name @ ("pooler" | "row_level_security" | "announcements"), _)) => {
                    return Err(MemoryError::configuration(format!(
                        "the URL's {name} has no such value; pooler is transaction or none, \
                         row_level_security and announcements are on or off"
                    )));
                }
                _ => others.push(parameter),
            }
        }
        Ok(match others.is_empty() {
            true => address.to_owned(),
            false => format!("{address}?{}", others.join("&")),
        })
    }

    fn validate(&self) -> MemoryResult<()> {
        let timeouts = [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
        ];
        for (field, timeout) in timeouts {
            // The server counts milliseconds in 31 bits, and 0 means for ever.
            if !(1..=i32::MAX.unsigned_abs().into()).contains(&timeout.as_millis()) {
                return Err(MemoryError::configuration(format!(
                    "{field} is {timeout:?}; it must be from 1 ms to 24 days"
                )));
            }
        }
        if let Some(problem) = self.approximate.problem() {
            return Err(MemoryError::configuration(format!(
                "the approximate index cannot be so: {problem}"
            )));
        }
        let is_indexed = self.approximate.method().is_some();
        if is_indexed && (self.row_level_security || self.pooler == Pooler::Transaction) {
            return Err(MemoryError::configuration(
                "approximate indexes go neither with row-level security nor with a pooler",
            ));
        }
        if self.max_connections == 0 {
            return Err(MemoryError::configuration(
                "max_connections is 0; it must be at least 1",
            ));
        }
        Ok(())
    }
}
