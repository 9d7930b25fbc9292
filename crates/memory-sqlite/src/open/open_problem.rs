//! Why SQLite cannot open a file: it says only that it cannot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use memory_core::{ErrorKind, MemoryError, MemoryResult};

use crate::open::connection::OPERATION;

/// Bytes of the longest path that SQLite opens on Unix, where links lead: it has room for
/// 512, of which it keeps 8 to name the other files of a database.
const MAX_PATH_BYTES: usize = 504;

/// Files that a connection opens, and one more: database, log and shared memory.
const FILES_OF_A_CONNECTION: usize = 4;

/// Links that are followed one after the other, as Linux does.
const MAX_LINKS: usize = 40;

pub(crate) const TOO_MANY_OPEN_FILES: &str = "too many open files; close some, or raise the limit of the process (ulimit -n, or \
     LimitNOFILE= of its systemd unit)";

/// Refuses a path that SQLite cannot open, whatever is there.
pub(crate) fn check_path(path: &Path) -> MemoryResult<()> {
    check_text(path)?;
    check_length(path)
}

/// Refuses a path that the driver cannot hand to SQLite, before a file is created there.
fn check_text(path: &Path) -> MemoryResult<()> {
    let problem = match path.to_str() {
        None => "is not valid UTF-8",
        Some(text) if text.contains('\0') => "contains a NUL character",
        Some(_) => return Ok(()),
    };
    let message = format!("the path {path:?} {problem}; choose another one");
    Err(MemoryError::store(
        ErrorKind::Configuration,
        OPERATION,
        message,
    ))
}

fn check_length(path: &Path) -> MemoryResult<()> {
    // The file may be missing yet.
    let in_folder = || {
        let folder = fs::canonicalize(path.parent()?).ok()?;
        Some(folder.join(path.file_name()?))
    };
    let resolved = fs::canonicalize(path).ok().or_else(in_folder);
    let bytes = resolved.as_deref().unwrap_or(path).as_os_str().len();
    if cfg!(unix) && bytes > MAX_PATH_BYTES {
        let message = format!(
            "the path has {bytes} bytes, where links lead; SQLite opens at most \
             {MAX_PATH_BYTES}: use a shorter one"
        );
        return Err(MemoryError::store(
            ErrorKind::Configuration,
            OPERATION,
            message,
        ));
    }
    Ok(())
}

/// Where the symbolic link at `path` leads, if it is one, whether or not there is
/// something.
pub(crate) fn link_target(path: &Path) -> Option<PathBuf> {
    let mut target: Option<PathBuf> = None;
    for _ in 0..MAX_LINKS {
        let current = target.as_deref().unwrap_or(path);
        let Ok(next) = fs::read_link(current) else {
            break;
        };
        // A relative one is relative to the folder of the link.
        target = Some(current.parent().unwrap_or(current).join(next));
    }
    target
}

/// Whether this process, or the system, has so many open files that a connection cannot
/// open its own.
pub(crate) fn has_too_many_open_files() -> bool {
    // A file of a database is never opened for this: closing it would release locks.
    let folders = (0..FILES_OF_A_CONNECTION).map(|_| fs::File::open("/"));
    let opened: io::Result<Vec<_>> = folders.collect();
    opened.is_err_and(|error| is_too_many_open_files(&error))
}

/// Whether an error says that the process or the system has too many open files.
pub(crate) fn is_too_many_open_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Whether an error says that symbolic links lead to each other.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    const ELOOP: i32 = if cfg!(any(target_os = "linux", target_os = "android")) {
        40
    } else {
        62
    };
    cfg!(unix) && error.raw_os_error() == Some(ELOOP)
}

/// SQLite cannot open the file because too many are open.
pub(crate) fn too_many_open_files() -> MemoryError {
    MemoryError::store(ErrorKind::Unavailable, OPERATION, TOO_MANY_OPEN_FILES)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_their_end() {
        let folder = std::env::temp_dir().join(format!("memory-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        symlink("second", path("first")).unwrap();
        symlink(path("missing"), path("second")).unwrap();
        symlink("loop", path("loop")).unwrap();
        assert_eq!(link_target(&path("first")), Some(path("missing")));
        assert_eq!(link_target(&path("missing")), None);
        assert_eq!(link_target(&path("loop")), Some(path("loop")), "it ends");
        let error = fs::metadata(path("loop")).unwrap_err();
        assert!(is_link_loop(&error), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn long_paths_are_refused() {
        let long = |bytes: usize| PathBuf::from(format!("/{}", "x".repeat(bytes - 1)));
        assert!(check_length(&long(MAX_PATH_BYTES)).is_ok());
        let error = check_length(&long(MAX_PATH_BYTES + 1)).unwrap_err();
        assert!(error.to_string().contains("505 bytes"), "{error}");
    }
}
