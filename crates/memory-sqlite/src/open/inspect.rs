//! Inspecting a file before anything is written to it.

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::error::{Failure, SQLITE_CANTOPEN, SQLITE_NOTADB};
use crate::open::connection::OPERATION;
use crate::open::open_problem;
use crate::schema;

/// Bytes of the smallest database: one page, of the smallest size.
const MIN_FILE_BYTES: u64 = 512;

const UNREADABLE: &str = "the file cannot be read; check the permissions of the file and its \
                          folder, and which user runs this program";

const NOT_A_DATABASE: &str = "it is not an SQLite database";

/// The state of a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileState {
    /// There is no file.
    Missing,
    /// A file without content, or a database without tables: a memory database
    /// may be created in it.
    Empty,
    /// A memory database of a version that this program knows.
    Memory,
    /// A memory database whose schema has an older version.
    Outdated(i64),
}

/// Determines the state of the file at `path` without changing a byte of it.
///
/// The file is read through SQLite and never directly: closing a file releases
/// all POSIX locks that this process has on it, those of other stores too.
///
/// # Errors
/// [`ErrorKind::ForeignData`], [`ErrorKind::NewerSchema`], [`ErrorKind::ReadOnly`] for a
/// file that may not be read, [`ErrorKind::Configuration`] for what is no file, or the
/// error that prevents reading it.
pub(crate) async fn inspect(path: &Path, base: SqliteConnectOptions) -> MemoryResult<FileState> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(FileState::Missing);
        }
        Err(error) => return Err(Failure::Driver(sqlx::Error::Io(error)).into_error(OPERATION)),
        Ok(found) if found.is_dir() => {
            let message = format!(
                "{} is a folder; the path of a database must be a file",
                path.display()
            );
            return Err(MemoryError::store(
                ErrorKind::Configuration,
                OPERATION,
                message,
            ));
        }
        // A device or a pipe: SQLite would write to it, or wait for it.
        Ok(found) if !found.is_file() => {
            let message = format!("{} is not a regular file; name a file", path.display());
            return Err(MemoryError::store(
                ErrorKind::Configuration,
                OPERATION,
                message,
            ));
        }
        Ok(found) if found.len() == 0 => return Ok(FileState::Empty),
        // SQLite would take a file of one byte for an empty one.
        Ok(found) if found.len() < MIN_FILE_BYTES => return Err(foreign(path, NOT_A_DATABASE)),
        Ok(_) => {}
    }
    // Without a write-ahead log the file is complete, and reading it as
    // immutable creates no other file. With one, the other files exist already.
    let complete = !sidecar_exists(path, "-wal");
    let file = base.filename(path).read_only(true).immutable(complete);
    match read_state(&file).await {
        Ok(found) => Ok(found),
        Err(Failure::Refused(error)) if error.kind() == ErrorKind::ForeignData => {
            Err(foreign(path, "it is a database of another application"))
        }
        // A process died while it created the database, or is creating it now.
        // Only a connection that writes can recover it; that checks the owner
        // again.
        Err(Failure::Driver(_))
            if sidecar_exists(path, "-journal") || (complete && sidecar_exists(path, "-wal")) =>
        {
            Ok(FileState::Memory)
        }
        Err(failure) if failure.primary_code() == Some(SQLITE_NOTADB) => {
            Err(foreign(path, NOT_A_DATABASE))
        }
        // Its content was not read: the file exists, and was not opened.
        Err(failure) if failure.primary_code() == Some(SQLITE_CANTOPEN) => {
            Err(match open_problem::has_too_many_open_files() {
                true => open_problem::too_many_open_files(),
                false => MemoryError::store(ErrorKind::ReadOnly, OPERATION, UNREADABLE),
            })
        }
        Err(failure) => Err(failure.into_error(OPERATION)),
    }
}

async fn read_state(file: &SqliteConnectOptions) -> Result<FileState, Failure> {
    let mut conn: SqliteConnection = file.connect().await?;
    let owner = schema::read_owner(&mut conn).await;
    let outdated = schema::read_outdated_version(&mut conn).await;
    // Closing waits until the connection's thread has closed the file.
    conn.close().await?;
    match owner? {
        schema::Owner::Empty => Ok(FileState::Empty),
        schema::Owner::Memory => Ok(outdated?.map_or(FileState::Memory, FileState::Outdated)),
    }
}

fn foreign(path: &Path, why: &str) -> MemoryError {
    let message = format!("cannot open {}: {why}; nothing was changed", path.display());
    MemoryError::store(ErrorKind::ForeignData, OPERATION, message)
}

/// Whether a file with the database's name and a suffix exists and has content.
pub(crate) fn sidecar_exists(path: &Path, suffix: &str) -> bool {
    fs::metadata(with_suffix(path, suffix)).is_ok_and(|found| found.len() > 0)
}

/// A path with a suffix after its name, as SQLite names the files of a database.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether an open file still has a name, so that SQLite still uses it.
#[cfg(unix)]
pub(crate) fn is_linked(file: &fs::File) -> bool {
    use std::os::unix::fs::MetadataExt;

    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}
