//! The database URL, and opening the database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use memory::cache::SharedCache;
use memory::onnx::{OnnxEmbedder, OnnxOptions};
#[cfg(feature = "postgres")]
use memory::postgres::{Migrations, PgOptions, configure_postgres};
use memory::sqlite::{SqliteOptions, SqliteStore};
use memory::store::{BackupOptions, Store};
use memory::{ErrorKind, MemoryConfig, MemoryError, MemoryResult, MemorySystem, Settings};

use crate::exit::Failure;
use crate::null_embedder::NullEmbedder;
#[cfg(feature = "postgres")]
use crate::open_hint::add_server_hint;
use crate::open_hint::{add_file_hint, add_supported_urls};
use crate::own_files::{is_own_file, sidecar};
use crate::settings::DEFAULT_DB;
use crate::shared_cache;

/// What a command does with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// As `Create`, in a process that goes on until it is stopped.
    Serve,
    /// Writes; the database is created if it is missing.
    Create,
    /// Writes to an existing database.
    Write,
    /// Reads: creates and migrates nothing.
    Read,
}

impl Access {
    /// Whether a missing database is created.
    fn creates(self) -> bool {
        matches!(self, Self::Serve | Self::Create)
    }
}

/// Which embedder a command needs.
#[derive(Debug, Clone)]
enum EmbedderChoice {
    /// The chosen model, or the default one.
    Default,
    /// None.
    Null,
    /// That model, which is open already.
    Opened(Arc<OnnxEmbedder>),
}

/// The database that the command line names. Creating this opens nothing.
#[derive(Debug)]
pub(crate) struct Database {
    settings: Settings,
    /// What was opened and is to be closed.
    opened: Mutex<Vec<MemorySystem>>,
    /// The store of the first file that was opened.
    file_store: OnceLock<Arc<SqliteStore>>,
    /// Whether the server that was opened is a hot standby.
    is_standby: AtomicBool,
}

impl Database {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            opened: Mutex::new(Vec::new()),
            file_store: OnceLock::new(),
            is_standby: AtomicBool::new(false),
        }
    }

    /// The effective settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn url(&self) -> &str {
        self.settings.db().unwrap_or(DEFAULT_DB)
    }

    /// As [`open_or_create`](Self::open_or_create), for a server. It alone loads
    /// snapshots before they are asked for: any other command ends before they are of
    /// use.
    pub(crate) async fn open_for_serving(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Serve, EmbedderChoice::Default).await
    }

    /// Opens for commands that retain: with the model, creating the database if
    /// it is missing.
    pub(crate) async fn open_or_create(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Create, EmbedderChoice::Default)
            .await
    }

    /// Creates the database or updates its schema; no model is needed.
    pub(crate) async fn open_for_migration(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Create, EmbedderChoice::Null).await
    }

    /// Opens an existing database with the model, for commands that recall and
    /// write.
    pub(crate) async fn open(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Write, EmbedderChoice::Default).await
    }

    /// Opens an existing database with the model, for commands that recall.
    /// Access counts are written where the database is writable.
    pub(crate) async fn open_for_recall(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Read, EmbedderChoice::Default).await
    }

    /// Opens an existing database without a model, for commands that write and
    /// change no content.
    pub(crate) async fn open_without_embedder(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Write, EmbedderChoice::Null).await
    }

    /// Opens an existing database for commands that remove content. Where there is a
    /// shared cache, with the model: it alone knows which vectors are to be removed
    /// there.
    pub(crate) async fn open_for_removal(&self) -> MemoryResult<MemorySystem> {
        let embedder = match self.settings.shared_cache() {
            Some(_) => EmbedderChoice::Default,
            None => EmbedderChoice::Null,
        };
        self.open_with(Access::Write, embedder).await
    }

    /// Opens for commands that read: without a model, also where the file is
    /// not writable, changing nothing, not even an old schema.
    pub(crate) async fn open_for_read(&self) -> MemoryResult<MemorySystem> {
        self.open_with(Access::Read, EmbedderChoice::Null).await
    }

    /// As [`open_for_read`](Self::open_for_read), with a model that is open
    /// already, where there is one.
    pub(crate) async fn open_for_check(
        &self,
        embedder: Option<Arc<OnnxEmbedder>>,
    ) -> MemoryResult<MemorySystem> {
        let embedder = embedder.map_or(EmbedderChoice::Null, EmbedderChoice::Opened);
        // The shared cache has a check of its own.
        self.open_parts(Access::Read, embedder, None).await
    }

    /// Copies the database file, whatever the version of its schema.
    pub(crate) async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        let copied = self.options()?.backup(target, options).await;
        copied.map_err(add_file_hint)
    }

    /// Opens with the shared cache that the settings name. Commands without a model
    /// have nothing to share, and yet refuse a URL that cannot be used.
    async fn open_with(
        &self,
        access: Access,
        embedder: EmbedderChoice,
    ) -> MemoryResult<MemorySystem> {
        let shared_cache = shared_cache::open(&self.settings)?;
        let shared_cache = shared_cache.filter(|_| matches!(embedder, EmbedderChoice::Default));
        self.open_parts(access, embedder, shared_cache).await
    }

    async fn open_parts(
        &self,
        access: Access,
        embedder: EmbedderChoice,
        shared_cache: Option<Arc<dyn SharedCache>>,
    ) -> MemoryResult<MemorySystem> {
        self.check_url()?;
        let mut config = self.settings.config().clone();
        if access != Access::Serve {
            config.warm_entities = 0;
        }
        let mut builder = MemorySystem::builder();
        if let Some(cache) = shared_cache {
            builder = builder
                .shared_cache(cache)
                .shared_cache_budget(self.settings.shared_cache_budget());
        }
        let (model, previous) = (self.settings.model(), self.settings.previous_model());
        let builder = match embedder.clone() {
            EmbedderChoice::Null => builder.embedder(Arc::new(NullEmbedder::new())),
            EmbedderChoice::Opened(model) => builder.embedder(model),
            // The models first: where one is missing, no database is created.
            EmbedderChoice::Default if access.creates() => {
                let model = OnnxEmbedder::open(self.embedder_options()).await?;
                let builder = builder.embedder(Arc::new(model));
                match previous {
                    Some(previous) => {
                        let options = OnnxOptions::default().model(previous);
                        let previous = OnnxEmbedder::open(options).await?;
                        builder.previous_embedder(Arc::new(previous))
                    }
                    None => builder,
                }
            }
            // The database first: a wrong URL fails before a model is loaded.
            EmbedderChoice::Default => {
                let builder = match model {
                    Some(model) => builder.model(model),
                    None => builder,
                };
                match previous {
                    Some(previous) => builder.previous_model(previous),
                    None => builder,
                }
            }
        };
        let (store, config) = match self.is_shared() {
            true => self.open_server(access, &embedder, config).await?,
            false => (self.open_file(access).await?, config),
        };
        let system = builder.store(store).config(config).build().await?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.push(system.clone());
        Ok(system)
    }

    /// The options of the chosen model, or of the default one.
    pub(crate) fn embedder_options(&self) -> OnnxOptions {
        let options = OnnxOptions::default();
        match self.settings.model() {
            Some(model) => options.model(model),
            None => options,
        }
    }

    /// Closes what was opened. Called once, at the end of a command, also after
    /// a failure: closing a SQLite database removes its `-wal` and `-shm` files.
    pub(crate) async fn close(&self) -> MemoryResult<()> {
        let opened = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *opened)
        };
        for system in opened {
            system.close().await?;
        }
        Ok(())
    }

    /// Whether the URL names a database server.
    pub(crate) fn is_shared(&self) -> bool {
        const SCHEMES: [&str; 2] = ["postgres", "postgresql"];
        let scheme = self
            .url()
            .split_once("://")
            .map_or("", |(scheme, _)| scheme);
        SCHEMES.iter().any(|it| scheme.eq_ignore_ascii_case(it))
    }

    /// Whether the server that was opened is a hot standby, which only reads.
    pub(crate) fn is_standby(&self) -> bool {
        self.is_standby.load(Ordering::Relaxed)
    }

    /// Refuses a URL that this build has no store for, before anything is
    /// opened.
    fn check_url(&self) -> MemoryResult<()> {
        if !self.is_shared() {
            self.options()?;
            return match self.settings.db_replicas() {
                [] => Ok(()),
                _ => Err(MemoryError::configuration(
                    "replicas are supported for PostgreSQL only; leave out db_replicas and \
                     MEMORY_DB_REPLICAS",
                )),
            };
        }
        #[cfg(not(feature = "postgres"))]
        return Err(no_postgres());
        #[cfg(feature = "postgres")]
        Ok(())
    }

    /// Opens a database on a server. Returns the store with the configuration that the
    /// engine is to have.
    #[cfg(feature = "postgres")]
    async fn open_server(
        &self,
        access: Access,
        embedder: &EmbedderChoice,
        config: MemoryConfig,
    ) -> MemoryResult<(Arc<dyn Store>, MemoryConfig)> {
        let (options, config) = self.server_options(access, embedder, config);
        let store = options.connect(self.url()).await;
        let store = store.map_err(add_server_hint)?;
        self.is_standby.store(store.is_standby(), Ordering::Relaxed);
        Ok((Arc::new(store), config))
    }

    /// The options of a database on a server, and the configuration of the engine. A recall
    /// writes access counts, so it does not open read-only, and still migrates nothing.
    #[cfg(feature = "postgres")]
    fn server_options(
        &self,
        access: Access,
        embedder: &EmbedderChoice,
        config: MemoryConfig,
    ) -> (PgOptions, MemoryConfig) {
        let options = match (access, embedder) {
            (Access::Serve | Access::Create, _) => PgOptions::new(),
            (Access::Write, _) => PgOptions::new().create_if_missing(false),
            (Access::Read, EmbedderChoice::Default) => {
                PgOptions::new().migrations(Migrations::Check)
            }
            (Access::Read, _) => PgOptions::new().read_only(),
        };
        let replicas = self.settings.db_replicas();
        let recall = self.settings.ann_target_recall();
        configure_postgres(options, config, replicas, recall)
    }

    /// Without the feature there is no store for a server.
    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_async, reason = "same signature as with the feature")]
    async fn open_server(
        &self,
        _access: Access,
        _embedder: &EmbedderChoice,
        _config: MemoryConfig,
    ) -> MemoryResult<(Arc<dyn Store>, MemoryConfig)> {
        Err(no_postgres())
    }

    /// The store of the file, or of the database in memory, that was opened; `None` for one on a
    /// server.
    pub(crate) fn file_store(&self) -> Option<&SqliteStore> {
        self.file_store.get().map(Arc::as_ref)
    }

    /// Opens a database file, or a database in memory.
    async fn open_file(&self, access: Access) -> MemoryResult<Arc<dyn Store>> {
        let store = self.open_sqlite(access).await?;
        self.file_store.get_or_init(|| Arc::clone(&store));
        Ok(store)
    }

    async fn open_sqlite(&self, access: Access) -> MemoryResult<Arc<SqliteStore>> {
        if access.creates() {
            return open_store(self.options()?).await;
        }
        let existing = self.options()?.create_if_missing(false);
        if access == Access::Write || self.file().is_none() {
            return open_store(existing).await;
        }
        match open_store(existing.clone().migrate(false)).await {
            Err(error) if error.kind() == ErrorKind::ReadOnly => {
                open_store(existing.read_only()).await
            }
            outcome => outcome,
        }
    }

    fn options(&self) -> MemoryResult<SqliteOptions> {
        let options = SqliteOptions::from_url(self.url()).map_err(add_supported_urls)?;
        Ok(options.language(self.settings.config().language))
    }

    /// The database's file; `None` for a database in memory or on a server, and for a URL that
    /// the store refuses.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        if self.is_shared() {
            return None;
        }
        let options = SqliteOptions::from_url(self.url()).ok()?;
        options.path().map(Path::to_owned)
    }

    /// The database's file, if `path` leads to it or to a file that SQLite keeps
    /// next to it.
    pub(crate) fn own_file(&self, path: &Path) -> Option<PathBuf> {
        self.file().filter(|file| is_own_file(path, file))
    }

    /// Refuses to write to `path` if that would overwrite the database or a file
    /// that SQLite keeps next to it.
    pub(crate) fn refuse_own_file(&self, path: &Path) -> Result<(), Failure> {
        match self.own_file(path) {
            None => Ok(()),
            Some(file) => Err(Failure::usage(format!(
                "cannot write {}: it is the database {} itself or one of its files; name another file",
                path.display(),
                file.display()
            ))),
        }
    }

    /// Bytes of the file and its write-ahead log; `None` where there is no
    /// file.
    pub(crate) fn size(&self) -> Option<u64> {
        let file = self.file()?;
        let main = fs::metadata(&file).ok()?.len();
        let wal = fs::metadata(sidecar(&file, "-wal")).map_or(0, |wal| wal.len());
        Some(main + wal)
    }
}

async fn open_store(options: SqliteOptions) -> MemoryResult<Arc<SqliteStore>> {
    let store = SqliteStore::open_with(options).await;
    Ok(Arc::new(store.map_err(add_file_hint)?))
}

/// The error for a server's URL in a build without a store for it.
#[cfg(not(feature = "postgres"))]
fn no_postgres() -> MemoryError {
    MemoryError::configuration(
        "this build of the memory command does not support PostgreSQL; in its repository, run \
         cargo install --path crates/memory-cli --features postgres",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_of_a_file_has_a_file() {
        let file = |url: &str| {
            let settings = Settings::builder().db(url).build().unwrap();
            Database::new(settings).file()
        };
        for (url, path) in [
            ("sqlite:///data/a%20b.db?mode=ro", Some("/data/a b.db")),
            ("postgres.db", Some("postgres.db")),
            ("postgresql", Some("postgresql")),
            (":memory:", None),
            ("sqlite://%2", None),
            ("sqlite://a.db?mode=fast", None),
            ("postgres://host/db", None),
            ("PostgreSQL://host/db", None),
        ] {
            assert_eq!(file(url), path.map(PathBuf::from), "{url}");
        }
    }

    /// As the facade opens the same settings, but for the access.
    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_is_opened_as_the_facade_opens_it() {
        use std::time::Duration;

        use memory::Consistency;

        let variables = [
            ("MEMORY_DB", "postgres://app@db.example/memories"),
            (
                "MEMORY_DB_REPLICAS",
                "postgres://app@replica.example/memories",
            ),
            ("MEMORY_CONSISTENCY", "bounded 2 s"),
            ("MEMORY_LANGUAGE", "de"),
            ("MEMORY_ANN_TARGET_RECALL", "0.9"),
        ];
        let settings = Settings::builder().variables(variables).build().unwrap();
        let config = settings.config().clone();
        let (wanted, _) = configure_postgres(
            PgOptions::new(),
            config.clone(),
            settings.db_replicas(),
            settings.ann_target_recall(),
        );
        let database = Database::new(settings);
        for (access, embedder, change) in [
            (
                Access::Serve,
                EmbedderChoice::Default,
                (|options| options) as fn(PgOptions) -> PgOptions,
            ),
            (Access::Create, EmbedderChoice::Null, |options| options),
            (Access::Write, EmbedderChoice::Null, |options| {
                options.create_if_missing(false)
            }),
            (Access::Read, EmbedderChoice::Default, |options| {
                options.migrations(Migrations::Check)
            }),
            (Access::Read, EmbedderChoice::Null, PgOptions::read_only),
        ] {
            let (options, config) = database.server_options(access, &embedder, config.clone());
            let wanted = change(wanted.clone());
            assert_eq!(format!("{options:?}"), format!("{wanted:?}"), "{access:?}");
            let half = Consistency::Bounded(Duration::from_secs(1));
            assert_eq!(config.consistency, Some(half), "{access:?}");
        }
    }
}
