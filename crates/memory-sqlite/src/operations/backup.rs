//! [`Store::backup`](memory_core::Store::backup): a consistent copy of the
//! database in one file, while it is in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::{BackupOptions, ErrorKind, MemoryError, MemoryId, MemoryResult};
use sqlx::sqlite::SqliteConnection;
use tokio::task;

use crate::connections::cancel::CancelSignal;
use crate::connections::pool::MeasuredPool;
use crate::error::Failure;
use crate::open::immutable_file::ImmutableFile;
use crate::open::inspect::with_suffix;

pub(crate) const OPERATION: &str = "backup";

/// The suffixes of the files that belong to a database.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Copies the database of `source` to `target`; `database` is its file, and `immutable` where it
/// is read as one that does not change. Ends soon and
/// leaves nothing when it is cancelled.
///
/// The copy is written to a temporary file next to the target and becomes
/// visible under its name only when it is complete and on disk.
pub(crate) async fn run(
    source: Arc<MeasuredPool>,
    database: Option<PathBuf>,
    immutable: Option<Arc<ImmutableFile>>,
    target: PathBuf,
    options: BackupOptions,
    signal: CancelSignal,
) -> MemoryResult<()> {
    let mut conn = source.acquire().await.map_err(backup_error)?;
    let target = std::path::absolute(target).map_err(io_error)?;
    let check = (target.clone(), options.clone());
    let temporary = blocking(move || {
        check_target(&check.0, database.as_deref(), &check.1)?;
        TemporaryFile::create(&check.0)
    })
    .await?;
    if temporary.path.to_str().is_none() {
        return Err(refuse(format!(
            "the path {} is not valid UTF-8; choose another one",
            target.display()
        )));
    }
    copy(&mut conn, &temporary.path, signal.clone())
        .await
        .map_err(backup_error)?;
    drop(conn);
    // What was copied from a file that changed meanwhile may be parts of two states.
    immutable.map_or(Ok(()), |file| file.check(OPERATION))?;
    if signal.is_cancelled() {
        // Long rows take few instructions: the copy may have come to its end.
        let message = "the caller is gone; nothing was written";
        return Err(MemoryError::store(ErrorKind::Other, OPERATION, message));
    }
    blocking(move || temporary.publish(&target, &options)).await
}

/// Copies the database until it is cancelled.
async fn copy(conn: &mut SqliteConnection, to: &Path, signal: CancelSignal) -> sqlx::Result<()> {
    /// Instructions of SQLite's virtual machine between looks at the signal: well under
    /// a millisecond.
    const INSTRUCTIONS: i32 = 1_000;
    conn.lock_handle()
        .await?
        .set_progress_handler(INSTRUCTIONS, move || !signal.is_cancelled());
    let copied = sqlx::query("VACUUM INTO ?1")
        .bind(to.to_string_lossy())
        .execute(&mut *conn)
        .await;
    conn.lock_handle().await?.remove_progress_handler();
    copied.map(drop)
}

/// Refuses targets that would damage a database or overwrite a file unasked.
fn check_target(
    target: &Path,
    database: Option<&Path>,
    options: &BackupOptions,
) -> MemoryResult<()> {
    let shown = target.display();
    if let Some(database) = database {
        for suffix in SUFFIXES {
            if is_same_file(target, &with_suffix(database, suffix)) {
                return Err(refuse(format!(
                    "the path {shown} belongs to the database itself; choose another one"
                )));
            }
        }
    }
    let folder = target.parent().unwrap_or(target);
    if !folder.is_dir() {
        return Err(MemoryError::store(
            ErrorKind::Missing,
            OPERATION,
            format!(
                "cannot write {shown}: the folder {} does not exist; create it first",
                folder.display()
            ),
        ));
    }
    if target.is_dir() {
        return Err(refuse(format!(
            "{shown} is a folder; the path of a backup must be a file"
        )));
    }
    if !options.overwrite && fs::symlink_metadata(target).is_ok() {
        return Err(already_exists(target));
    }
    // SQLite would apply them to the backup.
    for suffix in &SUFFIXES[1..] {
        let sidecar = with_suffix(target, suffix);
        if fs::symlink_metadata(&sidecar).is_ok() {
            return Err(refuse(format!(
                "{} exists: the target is a database in use; choose another path",
                sidecar.display()
            )));
        }
    }
    Ok(())
}

/// Whether two paths name one file, also by links, or would do so if it existed.
fn is_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    resolve(one) == resolve(other)
}

/// The path without links, as far as it exists.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(resolved) = fs::canonicalize(path) {
        return resolved;
    }
    // A link to a file that does not exist yet.
    if let (Ok(to), Some(folder)) = (fs::read_link(path), path.parent()) {
        return resolve_in_folder(&folder.join(to));
    }
    resolve_in_folder(path)
}

fn resolve_in_folder(path: &Path) -> PathBuf {
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// A file that is removed unless it is published.
struct TemporaryFile {
    path: PathBuf,
}

impl TemporaryFile {
    /// Creates an empty file next to the target that only its owner may read.
    fn create(target: &Path) -> MemoryResult<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", MemoryId::new().as_uuid().simple()));
        let path = target.with_file_name(name);
        create_private(&path).map_err(io_error)?;
        Ok(Self { path })
    }

    /// Flushes the file to disk and gives it its name, in one step.
    fn publish(self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        let file = File::options().write(true).open(&self.path);
        file.and_then(|file| file.sync_all()).map_err(io_error)?;
        if options.overwrite {
            fs::rename(&self.path, target).map_err(io_error)?;
        } else {
            match fs::hard_link(&self.path, target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(already_exists(target));
                }
                // The file system has no hard links.
                Err(_) if fs::symlink_metadata(target).is_err() => {
                    fs::rename(&self.path, target).map_err(io_error)?;
                }
                Err(error) => return Err(io_error(error)),
            }
        }
        #[cfg(unix)]
        if let Some(folder) = target.parent() {
            let folder = File::open(folder).and_then(|folder| folder.sync_all());
            folder.map_err(io_error)?;
        }
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = fs::remove_file(&self.path);
    }
}

/// Creates an empty file, which must not exist, for its owner alone.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> MemoryResult<T> + Send + 'static,
) -> MemoryResult<T> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io_error(io::Error::other(error))),
    }
}

fn already_exists(target: &Path) -> MemoryError {
    refuse(format!(
        "{} exists already; choose another path, or allow overwriting",
        target.display()
    ))
}

fn refuse(message: String) -> MemoryError {
    MemoryError::store(ErrorKind::Configuration, OPERATION, message)
}

fn backup_error(error: sqlx::Error) -> MemoryError {
    Failure::from(error).into_error(OPERATION)
}

fn io_error(error: io::Error) -> MemoryError {
    backup_error(sqlx::Error::Io(error))
}
