//! Options for opening a store.

use std::time::Duration;

use memory_core::{
    DEFAULT_ANN_TARGET_RECALL, Language, MemoryError, MemoryResult, check_target_recall,
};
use sqlx::PgPool;

use crate::ann::ann_index::AnnIndex;
use crate::store::PgStore;
use crate::url::ReplicaUrls;

/// The precision in which new vectors are stored. Vectors that are stored already
/// keep theirs, and are still found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 16 bits: half the space; cosines differ in the fourth digit.
    #[default]
    Half,
    /// 32 bits, as the embedder returns them.
    Single,
}

/// What to do if the schema is missing or older than this program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Migrations {
    /// Migrate it. The role needs the privilege to create tables.
    #[default]
    Apply,
    /// Refuse to open it: an operator applies the migrations.
    Check,
}

/// The connection pooler between this program and the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooler {
    /// None, or one that gives each connection a session of its own.
    #[default]
    None,
    /// One that assigns a session for each transaction, as PgBouncer does in
    /// transaction mode. Every read takes a transaction, statements are not kept
    /// on the server, timeouts are set in every transaction, and
    /// [`watch`](memory_core::Store::watch) is not available.
    Transaction,
}

/// Options for opening a store.
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
    pub(crate) load_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) precision: Precision,
    pub(crate) migrations: Migrations,
    pub(crate) create_if_missing: bool,
    pub(crate) read_only: bool,
    pub(crate) pooler: Pooler,
    pub(crate) row_level_security: bool,
    pub(crate) notify_changes: bool,
    pub(crate) ann_index: AnnIndex,
    pub(crate) ann_target_recall: f64,
    pub(crate) ann_min_vectors: u64,
    pub(crate) ann_max_indexes: u32,
    pub(crate) replicas: ReplicaUrls,
    pub(crate) replica_staleness: Duration,
    pub(crate) language: Option<Language>,
}

impl Default for PgOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_secs(10),
            precision: Precision::default(),
            migrations: Migrations::default(),
            create_if_missing: true,
            read_only: false,
            pooler: Pooler::default(),
            row_level_security: false,
            notify_changes: false,
            ann_index: AnnIndex::default(),
            ann_target_recall: DEFAULT_ANN_TARGET_RECALL,
            ann_min_vectors: 50_000,
            ann_max_indexes: 32,
            replicas: ReplicaUrls::default(),
            replica_staleness: Duration::ZERO,
            language: None,
        }
    }
}

impl PgOptions {
    /// The defaults: 10 connections, 5 s to wait for one, 30 s for a statement, 5 min
    /// for a load, 10 s for a lock, half precision, migrations applied.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The language of the texts, where it is known: see
    /// [`MemoryConfig::language`](memory_core::MemoryConfig::language), which has to be
    /// the same. `None`, the default, detects it in each text.
    #[must_use]
    pub fn language(mut self, language: Option<Language>) -> Self {
        self.language = language;
        self
    }

    /// The maximum number of connections.
    #[must_use]
    pub fn max_connections(mut self, count: u32) -> Self {
        self.max_connections = count;
        self
    }

    /// How long a call waits for a connection before it fails with
    /// [`memory_core::ErrorKind::Unavailable`].
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long the server may work on one statement; a connection without an answer
    /// for 5 s longer is closed. In a URL, in seconds: `?statement_timeout=60`.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long loading the whole state of an entity may take
    /// ([`changes_since`](memory_core::Store::changes_since) and the pages of snapshots);
    /// 5 minutes by default. In a URL, in seconds: `?load_timeout=600`.
    ///
    /// More than 1,000 memories are read in portions that take a small part of the
    /// statement timeout each, in one transaction. A load from a replica that reaches its
    /// limit is repeated on the server, with a limit of its own.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// How long a statement waits for a lock.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The precision in which new vectors are stored.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What to do if the schema is missing or older than this program.
    #[must_use]
    pub fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = migrations;
        self
    }

    /// Whether a missing schema is created; `true` by default. With `false`,
    /// opening a database without memory tables fails with
    /// [`ErrorKind::Missing`](memory_core::ErrorKind::Missing), and an existing
    /// schema is migrated as [`migrations`](Self::migrations) says.
    #[must_use]
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.create_if_missing = create;
        self
    }

    /// Opens for reading only: nothing in the database is created, migrated or
    /// changed, and writes fail with
    /// [`ErrorKind::ReadOnly`](memory_core::ErrorKind::ReadOnly). So does opening
    /// a schema that is older than this program; without memory tables it fails
    /// with [`ErrorKind::Missing`](memory_core::ErrorKind::Missing). A role with
    /// `SELECT` on the tables is enough.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The connection pooler between this program and the server. In a URL:
    /// `?pooler=transaction`.
    #[must_use]
    pub fn pooler(mut self, pooler: Pooler) -> Self {
        self.pooler = pooler;
        self
    }

    /// Enables row-level security: policies let a transaction read and write only
    /// the entities that it has named. A statement without an entity condition
    /// finds nothing of other entities. In a URL: `?row_level_security=on`.
    ///
    /// The role must be neither a superuser nor have `BYPASSRLS`. The policies
    /// are created when a store is opened, or only checked with
    /// [`Migrations::Check`]. Each call takes one or two more round trips, and
    /// the lexical retriever and conditions on tags, metadata and links read all
    /// of an entity's memories: the server uses no GIN index under a policy.
    #[must_use]
    pub fn row_level_security(mut self, on: bool) -> Self {
        self.row_level_security = on;
        self
    }

    /// Whether each write notifies those that
    /// [`watch`](memory_core::Store::watch), in any process; off by default. All
    /// processes that share a database must use the same value. In a URL:
    /// `?notify_changes=on`.
    ///
    /// Only [`Consistency::Bounded`](memory_core::Consistency::Bounded) makes use
    /// of it: writes of other processes are then seen before the bound expires.
    /// It slows down every writer: the server commits transactions that notify
    /// one after the other.
    #[must_use]
    pub fn notify_changes(mut self, on: bool) -> Self {
        self.notify_changes = on;
        self
    }

    /// The ANN index for very large entities; by default the one that
    /// [`maintain_indexes`](memory_core::Store::maintain_indexes), which builds them, chose
    /// for each. A search by an index scores what it finds exactly but may miss some of the
    /// nearest. Under any filter it finds as many as requested, if necessary by an exact
    /// search.
    #[must_use]
    pub fn ann_index(mut self, index: AnnIndex) -> Self {
        self.ann_index = index;
        self
    }

    /// The share of the ten nearest vectors that a search by an index that maintenance
    /// chose finds, above 0 and at most 1; 0.95 by default. It is measured on a sample, and
    /// an index is kept only if it reaches the target with a confidence of 95 %; no sample
    /// shows 1.
    #[must_use]
    pub fn ann_target_recall(mut self, recall: f64) -> Self {
        self.ann_target_recall = recall;
        self
    }

    /// The number of vectors from which an entity gets an ANN index; 50,000 by
    /// default. Below that, exact search is fast enough.
    #[must_use]
    pub fn ann_min_vectors(mut self, vectors: u64) -> Self {
        self.ann_min_vectors = vectors;
        self
    }

    /// The maximum number of ANN indexes; 32 by default, for the largest
    /// entities. Every write to any entity checks the predicates of all.
    #[must_use]
    pub fn ann_max_indexes(mut self, count: u32) -> Self {
        self.ann_max_indexes = count;
        self
    }

    /// Hot standbys of the server, which answer reads; none by default. Each has a
    /// pool of its own, with the same limits.
    ///
    /// A read goes to one that has replayed what the read must see: every write of
    /// this store, and what others committed before the read began
    /// ([`replica_staleness`](Self::replica_staleness)). A replica that is behind,
    /// does not answer, follows another server or was promoted costs a retry on the
    /// server, at most half a second or, if it stops during a statement, five; it is
    /// then left alone for a while, 250 ms at first and up to 30 s. Writes,
    /// [`entity_stats`](memory_core::Store::entity_stats),
    /// [`list_entities`](memory_core::Store::list_entities) and notifications always
    /// use the server.
    ///
    /// The URLs have the form of [`connect`](Self::connect)'s and name the same
    /// database. Give the role on them the search path that it has on the server.
    #[must_use]
    pub fn replicas(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.replicas = ReplicaUrls(urls.into_iter().map(Into::into).collect());
        self
    }

    /// How much older than the beginning of the read what a replica answers may be;
    /// zero by default. This store's own writes are always in it.
    ///
    /// With zero, each read asks the server for the entity's generation, at the same
    /// time as the replica: a row by its key, in place of the read itself. With more,
    /// the server is asked once in this time, for all entities. What is cached of such
    /// a read is older than its caller assumes: with
    /// [`Consistency::Bounded`](memory_core::Consistency::Bounded) its duration and
    /// this one add up. The facade divides the bound between the two.
    #[must_use]
    pub fn replica_staleness(mut self, staleness: Duration) -> Self {
        self.replica_staleness = staleness;
        self
    }

    /// Opens a store with a pool of its own.
    ///
    /// The URL is `postgres://user:password@host:port/database?parameter=value`.
    /// Its parameters are those of the driver (`sslmode`, `sslrootcert`,
    /// `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, `dbname`, `user`,
    /// `password`, `application_name`, `options`, `statement-cache-capacity`) and
    /// those that options here mention. Others are refused.
    ///
    /// `sslmode` is `prefer` by default, as in libpq: TLS if the server offers
    /// it, without checking its certificate. `verify-full` checks certificate
    /// and host name, against the system's root certificates and `sslrootcert`;
    /// `verify-ca` the certificate alone; `require` neither. `allow` and `disable`
    /// connect without TLS, as do Unix sockets, whatever the mode. Without the
    /// crate feature `tls`, the default connects without TLS, and the modes that
    /// require it are refused.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for an invalid URL, an invalid value of a
    /// parameter in it, or an invalid option; [`MemoryError::Store`] as for
    /// [`with_pool`](Self::with_pool).
    pub async fn connect(mut self, url: &str) -> MemoryResult<PgStore> {
        let url = self.apply_url_parameters(url)?;
        self.validate()?;
        self.ann_index = self.possible_ann_index();
        let options = crate::url::connect_options(&url)?;
        let pool = self.pool().connect_lazy_with(self.connection(options));
        let replicas = self.replica_pools()?;
        PgStore::open(pool, replicas, self, true).await
    }

    /// Opens a store on a pool that the application shares. Its connections keep
    /// their settings; closing the store leaves the pool open, and does not wait for calls
    /// that are running: close the pool after the store, which does.
    ///
    /// # Errors
    /// [`MemoryError::Store`] with kind `Unavailable` if the server does not
    /// answer, `NewerSchema` if a newer version migrated the schema, `ForeignData`
    /// if the tables belong to another program, `Missing` if an extension or (with
    /// [`Migrations::Check`]) a migration is missing, `Configuration` if the role
    /// lacks a privilege.
    pub async fn with_pool(mut self, pool: PgPool) -> MemoryResult<PgStore> {
        self.validate()?;
        self.ann_index = self.possible_ann_index();
        let replicas = self.replica_pools()?;
        PgStore::open(pool, replicas, self, false).await
    }

    /// A pool for each replica. None of them connects yet: a replica that is down does
    /// not keep a store from being opened.
    fn replica_pools(&self) -> MemoryResult<Vec<PgPool>> {
        let pool = |url: &String| {
            let mut options = self.clone().read_only();
            let url = options.apply_url_parameters(url)?;
            if options.session_parameters() != self.session_parameters() {
                return Err(MemoryError::configuration(
                    "the URL of a replica may not set pooler, row_level_security, \
                     notify_changes or timeouts; they are those of the primary's URL",
                ));
            }
            let connection = crate::url::connect_options(&url)?;
            let connection = options.connection(connection);
            Ok(options.pool().connect_lazy_with(connection))
        };
        self.replicas.0.iter().map(pool).collect()
    }

    /// The options that a URL may set.
    fn session_parameters(&self) -> impl PartialEq {
        let switches = (self.pooler, self.row_level_security, self.notify_changes);
        (switches, self.statement_timeout, self.load_timeout)
    }

    /// Whether opening may create and change tables and policies.
    pub(crate) fn may_migrate(&self) -> bool {
        !self.read_only && self.migrations == Migrations::Apply
    }

    /// The timeouts of a session, or of each transaction.
    pub(crate) fn timeouts(&self) -> [(&'static str, Duration); 3] {
        [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            // A client that died during a transaction holds no lock for longer.
            (
                "idle_in_transaction_session_timeout",
                self.statement_timeout,
            ),
        ]
    }

    /// No index, instead of any, where maintenance cannot run.
    fn possible_ann_index(&self) -> AnnIndex {
        let is_possible = !self.row_level_security && self.pooler == Pooler::None;
        match self.ann_index {
            AnnIndex::Auto if !is_possible => AnnIndex::None,
            index => index,
        }
    }

    fn validate(&self) -> MemoryResult<()> {
        let timeouts = [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("load_timeout", self.load_timeout),
            ("lock_timeout", self.lock_timeout),
        ];
        for (field, timeout) in timeouts {
            // The server counts milliseconds in 31 bits, and 0 means no limit.
            if !(1..=i32::MAX.unsigned_abs().into()).contains(&timeout.as_millis()) {
                return Err(MemoryError::configuration(format!(
                    "invalid {field} {timeout:?}: must be from 1 ms to 24 days"
                )));
            }
        }
        if let Some(problem) = self.ann_index.invalid_parameter() {
            return Err(MemoryError::configuration(format!(
                "invalid ANN index parameters: {problem}"
            )));
        }
        check_target_recall(self.ann_target_recall)
            .map_err(|error| MemoryError::configuration(error.to_string()))?;
        let is_indexed = self.ann_index.method().is_some();
        if is_indexed && (self.row_level_security || self.pooler == Pooler::Transaction) {
            return Err(MemoryError::configuration(
                "an ANN index cannot be used with row-level security or with a transaction pooler",
            ));
        }
        if self.max_connections == 0 {
            return Err(MemoryError::configuration(
                "invalid max_connections 0: must be at least 1",
            ));
        }
        Ok(())
    }
}
