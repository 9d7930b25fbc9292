//! A database that is read as an immutable file, and whether it still is one.
//!
//! SQLite reads such a file without locks, and remembers what it read: if another program writes
//! to the file, answers are of its old state, or of parts of both. A database is opened so where
//! the folder admits no file next to it, which says nothing about other users or machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memory_core::{ErrorKind, MemoryError, MemoryResult};

use crate::open::inspect::sidecar_exists;

/// A file as it was when it was opened.
#[derive(Debug)]
pub(crate) struct ImmutableFile {
    path: PathBuf,
    opened: FileVersion,
}

#[derive(Debug, PartialEq, Eq)]
struct FileVersion {
    bytes: u64,
    modified: Option<SystemTime>,
    has_log: bool,
}

impl ImmutableFile {
    /// To be called before the file is opened.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: FileVersion::of(path),
        }
    }

    /// Refuses to read, or what was read, where the file was written to.
    pub(crate) fn check(&self, operation: &'static str) -> MemoryResult<()> {
        if FileVersion::of(&self.path) == self.opened {
            return Ok(());
        }
        let message = "another program has written to the database, which was opened as a file \
                       that does not change, because its folder does not allow this program to \
                       create files; open it again, or allow that";
        Err(MemoryError::store(ErrorKind::Other, operation, message))
    }
}

impl FileVersion {
    fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self {
            bytes: found.as_ref().map_or(0, fs::Metadata::len),
            modified: found.and_then(|found| found.modified().ok()),
            has_log: sidecar_exists(path, "-wal"),
        }
    }
}
