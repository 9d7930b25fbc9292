//! Translation of SQLite's result codes to [`MemoryError`].

use std::io;

use memory_core::{ErrorKind, InvalidInput, MemoryError};

use crate::open::open_problem::{
    TOO_MANY_OPEN_FILES, has_too_many_open_files, is_link_loop, is_too_many_open_files,
};

/// Why a transaction failed, before the operation is added.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error that needs no translation.
    Refused(MemoryError),
    /// SQLite or the connection pool failed.
    Driver(sqlx::Error),
    /// A row was read, and its values are invalid.
    Damaged(&'static str),
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        Self::Refused(error)
    }
}

impl From<InvalidInput> for Failure {
    fn from(problem: InvalidInput) -> Self {
        Self::Refused(problem.into())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl Failure {
    /// The error to return, with the operation that failed.
    pub(crate) fn into_error(self, operation: &'static str) -> MemoryError {
        match self {
            Self::Refused(error) => error,
            Self::Driver(error) => translate(error, operation),
            Self::Damaged(what) => MemoryError::store(ErrorKind::Corrupt, operation, what),
        }
    }

    /// The error of a failed commit: after an I/O error it is unknown whether the
    /// commit happened.
    pub(crate) fn into_commit_error(self, operation: &'static str) -> MemoryError {
        let unknown = self.primary_code() == Some(SQLITE_IOERR);
        match self.into_error(operation) {
            MemoryError::Store { source, ids, .. } if unknown => MemoryError::Store {
                kind: ErrorKind::OutcomeUnknown,
                operation,
                message: "an I/O error occurred during the commit; read the memories to see whether the write happened".to_owned(),
                ids,
                source,
            },
            error => error,
        }
    }

    /// SQLite's primary result code, for errors of SQLite.
    pub(crate) fn primary_code(&self) -> Option<i32> {
        match self {
            Self::Driver(error) => Some(extended_code(error)? & 0xff),
            _ => None,
        }
    }
}

pub(crate) const SQLITE_BUSY: i32 = 5;
pub(crate) const SQLITE_READONLY: i32 = 8;
pub(crate) const SQLITE_CANTOPEN: i32 = 14;
pub(crate) const SQLITE_NOTADB: i32 = 26;
const SQLITE_IOERR: i32 = 10;
const SQLITE_CORRUPT: i32 = 11;
/// The shared-memory file of the database cannot grow: the disk is full.
const SQLITE_IOERR_SHMSIZE: i32 = SQLITE_IOERR | (19 << 8);
/// The file system reports that a file is damaged.
const SQLITE_IOERR_CORRUPTFS: i32 = SQLITE_IOERR | (33 << 8);
/// The database file was moved or removed while it was open.
const SQLITE_READONLY_DBMOVED: i32 = SQLITE_READONLY | (4 << 8);

fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Another connection had the lock of writers for too long.
pub(crate) fn locked(operation: &'static str) -> MemoryError {
    let (kind, message) = describe_code(SQLITE_BUSY);
    MemoryError::store(kind, operation, message)
}

/// The message is fixed text by kind: SQLite's own may quote values.
fn translate(error: sqlx::Error, operation: &'static str) -> MemoryError {
    let (kind, message) = match &error {
        sqlx::Error::PoolClosed => (ErrorKind::Closed, "the store is closed"),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Unavailable,
            "no connection became free in time; retry later, or allow more readers",
        ),
        sqlx::Error::Io(error) => describe_io(error),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Corrupt, "a stored value cannot be decoded")
        }
        error => match extended_code(error) {
            Some(code) if code & 0xff == SQLITE_CANTOPEN && has_too_many_open_files() => {
                (ErrorKind::Unavailable, TOO_MANY_OPEN_FILES)
            }
            Some(code) => describe_code(code),
            None => (ErrorKind::Other, "the connection to SQLite failed"),
        },
    };
    MemoryError::store(kind, operation, message).with_source(error)
}

fn describe_code(code: i32) -> (ErrorKind, &'static str) {
    match code {
        SQLITE_IOERR_SHMSIZE => return (ErrorKind::Full, "the disk is full"),
        SQLITE_IOERR_CORRUPTFS => return (ErrorKind::Corrupt, "the database file is damaged"),
        SQLITE_READONLY_DBMOVED => {
            return (ErrorKind::Other, "the database file was moved or removed");
        }
        _ => {}
    }
    match code & 0xff {
        3 => (ErrorKind::Other, "access to the database file is denied"),
        SQLITE_BUSY | 6 => (
            ErrorKind::Unavailable,
            "the database is locked by another connection; retry later, or raise the busy timeout",
        ),
        7 => (ErrorKind::Other, "SQLite is out of memory"),
        SQLITE_READONLY => (
            ErrorKind::ReadOnly,
            "the database is read-only; check the permissions of the file and its folder",
        ),
        9 | 15 => (
            ErrorKind::Unavailable,
            "the database was too busy; retry later",
        ),
        SQLITE_IOERR => (ErrorKind::Other, "an I/O error occurred"),
        SQLITE_CORRUPT | SQLITE_NOTADB => (ErrorKind::Corrupt, "the database file is damaged"),
        13 => (
            ErrorKind::Full,
            "the database is full: the disk has no space, or the file has its maximum size",
        ),
        SQLITE_CANTOPEN => (ErrorKind::Other, "the database file cannot be opened"),
        18 => (ErrorKind::Other, "a value is larger than SQLite's limit"),
        19 => (ErrorKind::Other, "a constraint of the schema was violated"),
        _ => (ErrorKind::Other, "SQLite failed"),
    }
}

fn describe_io(error: &io::Error) -> (ErrorKind, &'static str) {
    match error.kind() {
        _ if is_too_many_open_files(error) => (ErrorKind::Unavailable, TOO_MANY_OPEN_FILES),
        _ if is_link_loop(error) => (
            ErrorKind::Configuration,
            "its symbolic links lead to each other; correct one of them",
        ),
        io::ErrorKind::InvalidFilename => (
            ErrorKind::Configuration,
            "a name in the path is longer than the file system allows, or not valid there; use \
             another",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Full, "the disk is full")
        }
        io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::ReadOnly,
            "the database is read-only; check the permissions of the file and its folder",
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::ReadOnly,
            "permission is denied; check the permissions of the file and its folder, and which \
             user runs this program",
        ),
        io::ErrorKind::NotFound => (ErrorKind::Missing, "the database file is missing"),
        _ => (ErrorKind::Other, "an I/O error occurred"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_failure_has_its_kind() {
        for (code, kind) in [
            (5, ErrorKind::Unavailable),
            (5 | (2 << 8), ErrorKind::Unavailable), // BUSY_SNAPSHOT
            (6, ErrorKind::Unavailable),
            (8, ErrorKind::ReadOnly),
            (8 | (6 << 8), ErrorKind::ReadOnly), // READONLY_DIRECTORY
            (SQLITE_READONLY_DBMOVED, ErrorKind::Other),
            (11, ErrorKind::Corrupt),
            (11 | (1 << 8), ErrorKind::Corrupt), // CORRUPT_VTAB: the lexical index
            (13, ErrorKind::Full),
            (SQLITE_IOERR_SHMSIZE, ErrorKind::Full),
            (10 | (3 << 8), ErrorKind::Other), // IOERR_WRITE
            (26, ErrorKind::Corrupt),
        ] {
            assert_eq!(describe_code(code).0, kind, "{code}");
        }
    }

    #[test]
    fn full_and_read_only_disks_have_their_kinds() {
        let describe = |kind: io::ErrorKind| describe_io(&kind.into()).0;
        assert_eq!(describe(io::ErrorKind::StorageFull), ErrorKind::Full);
        for kind in [
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::PermissionDenied,
        ] {
            assert_eq!(describe(kind), ErrorKind::ReadOnly);
        }
    }
}
