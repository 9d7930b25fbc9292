//! How a store is opened.

use std::str::FromStr;
use std::time::Duration;

use memory_core::{MemoryError, MemoryResult};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

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

    /// Opens a store with a pool of its own.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for a URL that does not read or a timeout
    /// of less than a millisecond; [`MemoryError::Store`] as for
    /// [`with_pool`](Self::with_pool).
    pub async fn connect(self, url: &str) -> MemoryResult<PgStore> {
        self.validate()?;
        // The parser's own words are left out: they may quote the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
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
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.acquire_timeout)
    }

    fn connection(&self, options: PgConnectOptions) -> PgConnectOptions {
        let millis = |timeout: Duration| timeout.as_millis().to_string();
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("memory-pg"),
        };
        options.options([
            ("statement_timeout", millis(self.statement_timeout)),
            ("lock_timeout", millis(self.lock_timeout)),
            // A client that died in mid-transaction holds no lock for longer.
            (
                "idle_in_transaction_session_timeout",
                millis(self.statement_timeout),
            ),
        ])
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
        if self.max_connections == 0 {
            return Err(MemoryError::configuration(
                "max_connections is 0; it must be at least 1",
            ));
        }
        Ok(())
    }
}
