//! Opening a database: its connections with their pragmas.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, query_scalar};

use crate::connections::database::{Database, DatabaseFile, check_runtime};
use crate::error::{Failure, SQLITE_CANTOPEN, SQLITE_READONLY};
use crate::open::immutable_file::ImmutableFile;
use crate::open::inspect::{self, FileState};
use crate::open::open_problem;
use crate::operations::backup;
use crate::options::{Access, Location, RequiredSchema, SqliteOptions, Synchronous};
use crate::reindex::analysis_state::AnalysisState;
use crate::schema;
use crate::wal;
use crate::wal::log_flush::LogFlusher;

pub(crate) const OPERATION: &str = "open";

/// Bytes of a page. Vectors of 384 dimensions fill such pages to 94 % and
/// those of 768 to 75 %, where the default of 4,096 wastes a quarter on the
/// first and is equal on the second; a scan reads them in half the time.
pub(crate) const PAGE_SIZE: u32 = 8_192;

/// Rows that a connection reads ahead of the task that consumes them.
const ROWS_AHEAD: usize = 1_024;

/// How long a call waits for a connection of this store to become free: long
/// enough for a queue of large batches. Locks of other processes have their own
/// timeout.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens a database and brings its schema up to date.
pub(crate) async fn open(options: &SqliteOptions) -> MemoryResult<Database> {
    check_runtime()?;
    options.validate()?;
    schema::check_library().await.map_err(open_error)?;
    match &options.location {
        Location::Memory => {
            let pool = connect_pool(1, base_options(options))
                .await
                .map_err(open_error)?;
            prepare(&pool, options).await?;
            Ok(Database::new(
                pool.clone(),
                Some(pool),
                options.busy_timeout,
                None,
            ))
        }
        Location::File(path) => {
            let path = absolute_path(path)?;
            let opened = open_file(&path, options).await;
            opened.map_err(|error| name_file(error, &path))
        }
    }
}

async fn open_file(named: &Path, options: &SqliteOptions) -> MemoryResult<Database> {
    // SQLite names its other files after the one that links lead to.
    let link_target = open_problem::link_target(named);
    let path = link_target.as_deref().unwrap_or(named);
    open_problem::check_path(path)?;
    check_folder(named)?;
    drop(CREATING.lock().unwrap_or_else(PoisonError::into_inner));
    let state = inspect::inspect(path, base_options(options)).await?;
    check_state(state, named, path, options)?;
    if state == FileState::Missing {
        check_folder(path)?;
        create_private_file(path);
    }
    let file = base_options(options).filename(path);
    if options.access == Access::Read {
        return open_for_reading(path, &file, options).await;
    }
    // The process that wrote it may have been killed before content that was erased was gone
    // from it.
    let log_is_left = inspect::sidecar_exists(path, "-wal");
    let writer = match connect_pool(1, writer_options(file.clone(), options)).await {
        Ok(writer) => writer,
        Err(error) => return Err(unwritable_error(error, state, path)),
    };
    let prepared = if options.migrate {
        prepare(&writer, options).await
    } else {
        check_schema(&writer, options.schema).await
    };
    let flusher = match prepared {
        Ok(()) => own_flusher(&writer, path, options).await,
        Err(error) => Err(error),
    };
    let flusher = match flusher {
        Ok(flusher) => flusher,
        Err(error) => {
            writer.close().await;
            return Err(error);
        }
    };
    let readers = connect_pool(options.max_readers.get(), file.read_only(true)).await;
    let readers = readers.map_err(open_error)?;
    let file = DatabaseFile {
        path: path.to_owned(),
        immutable: None,
        flusher,
        log_is_left,
    };
    // Without migration the schema may be older, and nothing is converted.
    let is_converting = options.migrate && is_converting(&readers).await?;
    let database = Database::new(readers, Some(writer), options.busy_timeout, Some(file));
    if is_converting {
        database.start_conversion(options.language);
    }
    Ok(database)
}

/// Refuses what cannot be opened with these options, before anything is written.
fn check_state(
    state: FileState,
    named: &Path,
    path: &Path,
    options: &SqliteOptions,
) -> MemoryResult<()> {
    let is_read = options.access == Access::Read;
    match state {
        FileState::Missing if options.access != Access::Create || !options.migrate => {
            let shown = path.display();
            Err(missing_file(if named == path {
                format!("no database file at {shown}")
            } else {
                format!(
                    "no database file at {shown}, to which the symbolic link {} leads",
                    named.display()
                )
            }))
        }
        FileState::Empty if is_read || !options.migrate => Err(missing_file(format!(
            "the file {} is empty: it holds no memory database yet; open it for writing first",
            path.display()
        ))),
        // Refused before it is opened, because a connection that only reads
        // leaves files next to the database.
        FileState::Outdated(version)
            if options.schema == RequiredSchema::Current && (is_read || !options.migrate) =>
        {
            Err(open_error(schema::outdated(version)))
        }
        _ => Ok(()),
    }
}

async fn open_for_reading(
    path: &Path,
    file: &SqliteConnectOptions,
    options: &SqliteOptions,
) -> MemoryResult<Database> {
    let (readers, immutable) = connect_readers(path, file, options).await?;
    let file = DatabaseFile {
        path: path.to_owned(),
        immutable: immutable.map(Arc::new),
        flusher: None,
        log_is_left: false,
    };
    let timeout = options.busy_timeout;
    Ok(Database::new(readers, None, timeout, Some(file)))
}

async fn is_converting(readers: &SqlitePool) -> MemoryResult<bool> {
    let mut reader = readers.acquire().await.map_err(open_error)?;
    let analysis = AnalysisState::read(&mut reader).await;
    let analysis = analysis.map_err(|failure| failure.into_error(OPERATION))?;
    Ok(analysis.is_converting())
}

/// Takes flushing the log over from SQLite, where acknowledged writes survive a power
/// failure and the log is flushed in the same way here. Elsewhere, and on a connection
/// that replaces a broken one, SQLite flushes in each commit and checkpoints by itself.
async fn own_flusher(
    writer: &SqlitePool,
    path: &Path,
    options: &SqliteOptions,
) -> MemoryResult<Option<Arc<LogFlusher>>> {
    if options.synchronous != Synchronous::Full || !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let mut conn = writer.acquire().await.map_err(open_error)?;
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *conn)
        .await
        .map_err(open_error)?;
    // A copy that was opened without migrating it may have no log.
    if mode != "wal" {
        return Ok(None);
    }
    let Ok(flusher) = LogFlusher::open(&inspect::with_suffix(path, "-wal")) else {
        return Ok(None);
    };
    // Checkpoints are those of `wal`, which wait for a pause.
    conn.execute("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0")
        .await
        .map_err(open_error)?;
    Ok(Some(flusher))
}

/// Opens connections to a file that must not be changed.
///
/// Reading in WAL mode needs a shared-memory file next to the database. Where
/// the folder does not allow one, the database is read as an immutable file.
async fn connect_readers(
    path: &Path,
    file: &SqliteConnectOptions,
    options: &SqliteOptions,
) -> MemoryResult<(SqlitePool, Option<ImmutableFile>)> {
    let file = file.clone().read_only(true);
    let readers = options.max_readers.get();
    let failure = match connect_checked(readers, file.clone(), options.schema).await {
        Ok(pool) => return Ok((pool, None)),
        Err(failure) => failure,
    };
    let no_shared_memory = matches!(
        failure.primary_code(),
        Some(SQLITE_CANTOPEN | SQLITE_READONLY)
    );
    let immutable = ImmutableFile::new(path);
    if !no_shared_memory || inspect::sidecar_exists(path, "-wal") {
        return Err(open_error(failure));
    }
    let pool = connect_checked(readers, file.immutable(true), options.schema).await;
    Ok((pool.map_err(open_error)?, Some(immutable)))
}

/// Opens a pool on a database and checks its schema.
async fn connect_checked(
    readers: u32,
    file: SqliteConnectOptions,
    required: RequiredSchema,
) -> Result<SqlitePool, Failure> {
    let pool = connect_pool(readers, file).await?;
    let mut conn = pool.acquire().await?;
    schema::check(&mut conn, required).await?;
    drop(conn);
    Ok(pool)
}

async fn prepare(writer: &SqlitePool, options: &SqliteOptions) -> MemoryResult<()> {
    let mut conn = writer.acquire().await.map_err(open_error)?;
    let in_file = options.location != Location::Memory;
    schema::prepare(&mut conn, in_file, options)
        .await
        .map_err(open_error)?;
    if in_file {
        // So that the main file alone is never without its schema.
        wal::checkpoint(&mut conn).await;
    }
    Ok(())
}

/// Checks the schema, changing nothing.
async fn check_schema(writer: &SqlitePool, required: RequiredSchema) -> MemoryResult<()> {
    let mut conn = writer.acquire().await.map_err(open_error)?;
    schema::check(&mut conn, required).await.map_err(open_error)
}

/// The options of every connection.
fn base_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .busy_timeout(options.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cache_size", format!("-{}", options.cache_size.0 / 1_024))
        // Sorting never writes content to temporary files.
        .pragma("temp_store", "MEMORY")
        // Overwrites deleted content; only the writer needs it, but in memory
        // reader and writer are the same connection.
        .pragma("secure_delete", "ON")
        .page_size(PAGE_SIZE)
        .thread_name(|number| format!("memory-sqlite-{number}"))
        .disable_statement_logging()
}

/// The additional options of the connection that writes.
fn writer_options(file: SqliteConnectOptions, options: &SqliteOptions) -> SqliteConnectOptions {
    let file = file
        .create_if_missing(options.access == Access::Create)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .pragma("journal_size_limit", wal::MAX_LOG_BYTES.to_string());
    match options.max_size {
        None => file,
        Some(bytes) => {
            let pages = (bytes.0 / u64::from(PAGE_SIZE)).clamp(1, u64::from(u32::MAX - 1));
            file.pragma("max_page_count", pages.to_string())
        }
    }
}

/// Opens a pool whose connections live as long as it does; the first is opened
/// at once.
async fn connect_pool(size: u32, options: SqliteConnectOptions) -> Result<SqlitePool, Failure> {
    let pool = PoolOptions::<Sqlite>::new()
        .max_connections(size)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        // Nothing comes between this process and its own thread.
        .test_before_acquire(false)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// The absolute path: SQLite interprets names such as `file:…` and `:memory:`,
/// and the working directory may change.
fn absolute_path(path: &Path) -> MemoryResult<PathBuf> {
    std::path::absolute(path).map_err(|error| open_error(sqlx::Error::Io(error)))
}

/// Creates the file for its owner alone, before SQLite would with the default
/// permissions. SQLite gives its other files the mode of the database.
///
/// An error is left to SQLite, which meets the same one and reports it. Closing
/// the new file could release the locks of a store of this process that has
/// opened it meanwhile; so stores look for the file while none is being created.
fn create_private_file(path: &Path) {
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    // It may exist by now.
    let _ = backup::create_private(path);
}

/// Held while a file is created and closed again.
static CREATING: Mutex<()> = Mutex::new(());

/// Refuses a path whose folder does not exist, however the file is accessed.
fn check_folder(path: &Path) -> MemoryResult<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing_file(format!(
            "the folder {shown} does not exist; create it first"
        ))),
        Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
            Err(open_error(sqlx::Error::Io(error)))
        }
        _ => Err(MemoryError::store(
            ErrorKind::Configuration,
            OPERATION,
            format!("{shown} is not a folder; name a file in a folder"),
        )),
    }
}

/// Adds the path to an error that does not name it.
fn name_file(mut error: MemoryError, path: &Path) -> MemoryError {
    if let MemoryError::Store { message, .. } = &mut error {
        let shown = path.display().to_string();
        if !message.contains(&shown) {
            *message = format!("cannot open {shown}: {message}");
        }
    }
    error
}

fn missing_file(message: String) -> MemoryError {
    MemoryError::store(ErrorKind::Missing, OPERATION, message)
}

/// The error for an existing file, or a folder to create one in, that cannot be
/// opened for writing.
fn unwritable_error(failure: Failure, state: FileState, path: &Path) -> MemoryError {
    if failure.primary_code() != Some(SQLITE_CANTOPEN) {
        return open_error(failure);
    }
    if open_problem::has_too_many_open_files() {
        return open_problem::too_many_open_files();
    }
    let problem = match state {
        FileState::Missing => "cannot create the database file",
        _ => "cannot create a write-ahead log next to",
    };
    let message = format!(
        "{problem} {}; check that the folder is writable, or open the database for reading only",
        path.display()
    );
    let error = MemoryError::store(ErrorKind::ReadOnly, OPERATION, message);
    match failure {
        Failure::Driver(source) => error.with_source(source),
        _ => error,
    }
}

fn open_error(failure: impl Into<Failure>) -> MemoryError {
    failure.into().into_error(OPERATION)
}
