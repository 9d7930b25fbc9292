//! Opening: from options to connections on a database that is ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::ConnectOptions;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePool, SqliteSynchronous};

use crate::database::{Database, check_runtime};
use crate::error::{Failure, SQLITE_CANTOPEN, SQLITE_READONLY};
use crate::inspect::{self, Found};
use crate::options::{Access, Location, SqliteOptions, Synchronous};
use crate::schema;

pub(crate) const OPERATION: &str = "open";

/// Bytes of a page. Vectors of 384 dimensions fill such pages to 94 % and
/// those of 768 to 75 %, where the default of 4,096 wastes a quarter on the
/// one and has the same on the other; a sweep reads it in half the time.
const PAGE_SIZE: u32 = 8_192;

/// How far the write-ahead log is cut back once it has been moved into the file.
const LOG_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// Rows that a connection reads ahead of the task that takes them.
const ROWS_AHEAD: usize = 1_024;

/// How long a call waits for a connection of this store to become free: long
/// enough for a queue of large batches. Locks of others have a time-out of
/// their own.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens a database and brings its schema up to date.
pub(crate) async fn open(options: &SqliteOptions) -> MemoryResult<Database> {
    check_runtime()?;
    options.validate()?;
    schema::check_library().await.map_err(opening)?;
    match &options.location {
        Location::Memory => {
            let pool = pool(1, base(options)).await.map_err(opening)?;
            prepare(&pool, options).await?;
            Ok(Database::new(
                pool.clone(),
                Some(pool),
                options.busy_timeout,
            ))
        }
        Location::File(path) => open_file(&absolute(path)?, options).await,
    }
}

async fn open_file(path: &Path, options: &SqliteOptions) -> MemoryResult<Database> {
    let found = inspect::inspect(path, base(options)).await?;
    match (found, options.access) {
        (Found::Nothing, Access::Write | Access::Read) => {
            return Err(missing("there is no database file", path));
        }
        (Found::Empty, Access::Read) => {
            return Err(missing("there is no memory database yet in", path));
        }
        (Found::Nothing, Access::Create) => check_folder(path)?,
        _ => {}
    }
    let file = base(options).filename(path);
    if options.access == Access::Read {
        let readers = read_only(path, &file, options).await?;
        return Ok(Database::new(readers, None, options.busy_timeout));
    }
    let writer = match pool(1, writing(file.clone(), options)).await {
        Ok(writer) => writer,
        Err(error) => return Err(unwritable(error, found, path)),
    };
    if let Err(error) = prepare(&writer, options).await {
        writer.close().await;
        return Err(error);
    }
    let readers = pool(options.max_readers.get(), file.read_only(true)).await;
    let readers = readers.map_err(opening)?;
    Ok(Database::new(readers, Some(writer), options.busy_timeout))
}

/// Connections to a file that is not to be changed.
///
/// Reading in WAL mode needs a place for the shared memory beside the file. On
/// a medium where none can be made nobody writes either, and the file is read
/// as it is.
async fn read_only(
    path: &Path,
    file: &SqliteConnectOptions,
    options: &SqliteOptions,
) -> MemoryResult<SqlitePool> {
    let file = file.clone().read_only(true);
    let readers = options.max_readers.get();
    let failure = match checked(readers, file.clone()).await {
        Ok(pool) => return Ok(pool),
        Err(failure) => failure,
    };
    let placeless = matches!(
        failure.primary_code(),
        Some(SQLITE_CANTOPEN | SQLITE_READONLY)
    );
    if !placeless || inspect::beside(path, "-wal") {
        return Err(opening(failure));
    }
    let unchanging = file.immutable(true);
    checked(readers, unchanging).await.map_err(opening)
}

/// A pool on a database whose schema is the one that this program knows.
async fn checked(readers: u32, file: SqliteConnectOptions) -> Result<SqlitePool, Failure> {
    let pool = pool(readers, file).await?;
    let mut conn = pool.acquire().await?;
    schema::check_current(&mut conn).await?;
    drop(conn);
    Ok(pool)
}

async fn prepare(writer: &SqlitePool, options: &SqliteOptions) -> MemoryResult<()> {
    let mut conn = writer.acquire().await.map_err(opening)?;
    let in_file = options.location != Location::Memory;
    schema::prepare(&mut conn, in_file, options.busy_timeout)
        .await
        .map_err(opening)
}

/// What every connection has.
fn base(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .busy_timeout(options.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cache_size", format!("-{}", options.page_cache.0 / 1_024))
        // Sorters and the like never spill content into temporary files.
        .pragma("temp_store", "MEMORY")
        // Overwrites what is deleted; only the one that writes needs it, but
        // in memory they are the same.
        .pragma("secure_delete", "ON")
        .page_size(PAGE_SIZE)
        .thread_name(|number| format!("memory-sqlite-{number}"))
        .disable_statement_logging()
}

/// What the connection that writes has beside.
fn writing(file: SqliteConnectOptions, options: &SqliteOptions) -> SqliteConnectOptions {
    let file = file
        .create_if_missing(options.access == Access::Create)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .pragma("journal_size_limit", LOG_BYTES_KEPT.to_string());
    match options.max_size {
        None => file,
        Some(bytes) => {
            let pages = (bytes.0 / u64::from(PAGE_SIZE)).clamp(1, u64::from(u32::MAX - 1));
            file.pragma("max_page_count", pages.to_string())
        }
    }
}

/// A pool whose connections live as long as it does, one of them open already.
async fn pool(size: u32, options: SqliteConnectOptions) -> Result<SqlitePool, Failure> {
    let pool = PoolOptions::<Sqlite>::new()
        .max_connections(size)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// The whole path: SQLite gives names such as `file:…` and `:memory:` a meaning
/// of their own, and the working directory may change.
fn absolute(path: &Path) -> MemoryResult<PathBuf> {
    std::path::absolute(path).map_err(|error| opening(sqlx::Error::Io(error)))
}

fn check_folder(path: &Path) -> MemoryResult<()> {
    match path.parent() {
        Some(folder) if !folder.is_dir() => Err(missing("there is no folder", folder)),
        _ => Ok(()),
    }
}

fn missing(what: &str, path: &Path) -> MemoryError {
    let message = format!("{what} {}", path.display());
    MemoryError::store(ErrorKind::Missing, OPERATION, message)
}

/// Why a file that is there, or a folder to make one in, did not open.
fn unwritable(failure: Failure, found: Found, path: &Path) -> MemoryError {
    if failure.primary_code() != Some(SQLITE_CANTOPEN) {
        return opening(failure);
    }
    let what = match found {
        Found::Nothing => "no file can be created at",
        _ => "no write-ahead log can be kept beside",
    };
    let message = format!("{what} {}: is the folder writable?", path.display());
    let error = MemoryError::store(ErrorKind::ReadOnly, OPERATION, message);
    match failure {
        Failure::Driver(source) => error.with_source(source),
        _ => error,
    }
}

fn opening(failure: impl Into<Failure>) -> MemoryError {
    failure.into().during(OPERATION)
}
