//! Looking at a file before anything is written to it.

use std::fs;
use std::path::{Path, PathBuf};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::connect::OPERATION;
use crate::error::{Failure, SQLITE_NOTADB};
use crate::schema;

/// Bytes of the smallest database: one page, of the smallest size.
const SMALLEST: u64 = 512;

const NO_DATABASE: &str = "it is no SQLite database";

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing at all.
    Nothing,
    /// A file without content, or a database without tables: free to be made
    /// ours.
    Empty,
    /// A memory database of a version that this program knows.
    Ours,
}

/// Finds out what stands at `path` and leaves it, byte for byte, as it is.
///
/// The file is read through SQLite and never directly: closing a file lets go
/// of all the locks that this process has on it, those of other stores too.
///
/// # Errors
/// [`ErrorKind::ForeignData`], [`ErrorKind::NewerSchema`], or whatever keeps
/// the file from being read.
pub(crate) async fn inspect(path: &Path, base: SqliteConnectOptions) -> MemoryResult<Found> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(Failure::Driver(sqlx::Error::Io(error)).during(OPERATION)),
        Ok(found) if found.is_dir() => {
            let message = format!("{} is a folder; a file is needed", path.display());
            return Err(MemoryError::store(
                ErrorKind::Configuration,
                OPERATION,
                message,
            ));
        }
        Ok(found) if found.len() == 0 => return Ok(Found::Empty),
        // SQLite would take a file of one byte for an empty one.
        Ok(found) if found.len() < SMALLEST => return Err(foreign(path, NO_DATABASE)),
        Ok(_) => {}
    }
    // Without a log the file is complete in itself, and reading it as one that
    // never changes leaves no log behind. With one, the log is there anyway.
    let complete = !beside(path, "-wal");
    let file = base.filename(path).read_only(true).immutable(complete);
    match look(&file).await {
        Ok(found) => Ok(found),
        Err(Failure::Refused(error)) if error.kind() == ErrorKind::ForeignData => {
            Err(foreign(path, "it is a database of another application"))
        }
        // A process died while it made the database, or is at it now. Only a
        // connection that writes can settle that; it then looks for itself.
        Err(Failure::Driver(_))
            if beside(path, "-journal") || (complete && beside(path, "-wal")) =>
        {
            Ok(Found::Ours)
        }
        Err(failure) if failure.primary_code() == Some(SQLITE_NOTADB) => {
            Err(foreign(path, NO_DATABASE))
        }
        Err(failure) => Err(failure.during(OPERATION)),
    }
}

async fn look(file: &SqliteConnectOptions) -> Result<Found, Failure> {
    let mut conn: SqliteConnection = file.connect().await?;
    let owner = schema::owner(&mut conn).await;
    // Closing waits until the connection's thread has let go of the file.
    conn.close().await?;
    match owner? {
        schema::Owner::Nobody => Ok(Found::Empty),
        schema::Owner::Us => Ok(Found::Ours),
    }
}

fn foreign(path: &Path, why: &str) -> MemoryError {
    let message = format!("{} is left alone: {why}", path.display());
    MemoryError::store(ErrorKind::ForeignData, OPERATION, message)
}

/// Whether a file with content stands beside the database under its name and
/// a suffix.
pub(crate) fn beside(path: &Path, suffix: &str) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    fs::metadata(PathBuf::from(name)).is_ok_and(|found| found.len() > 0)
}
