//! What the driver and the server say, as [`MemoryError`].

use std::error::Error;
use std::fmt;

use memory_core::{ErrorKind, MemoryError};
use sqlx::postgres::PgDatabaseError;

/// What the server said, reached by downcasting [`Error::source`].
///
/// It stands in for the driver's own error, whose detail may quote a row: of
/// failures that concern data, only code, table and constraint are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The SQLSTATE: five characters, the first two the class.
    pub code: String,
    /// The server's words, where its class of errors never quotes data.
    pub message: Option<String>,
    /// The table it concerns.
    pub table: Option<String>,
    /// The constraint it concerns.
    pub constraint: Option<String>,
}

impl From<&PgDatabaseError> for ServerError {
    fn from(error: &PgDatabaseError) -> Self {
        /// Connections, roles, resources, locks, states, syntax: no data.
        const SPEAKABLE: [&str; 14] = [
            "08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
        ];
        let code = error.code().to_owned();
        let class = code.get(..2).unwrap_or_default();
        let message = SPEAKABLE
            .contains(&class)
            .then(|| error.message().to_owned());
        Self {
            message,
            code,
            table: error.table().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLSTATE {}", self.code)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, " (constraint {constraint})")?;
        }
        Ok(())
    }
}

impl Error for ServerError {}

/// Why a statement, or what was made of it, failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The driver or the server.
    Sql(sqlx::Error),
    /// The server did not answer in time.
    Silent,
    /// Something of ours, told as it is.
    Memory(MemoryError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl Failure {
    /// Whether the server undid the transaction because others were in its
    /// way, so that it may go through when it is tried anew.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.code(), Some("40001" | "40P01"))
    }

    /// Whether the server said no, and so certainly undid the transaction.
    pub(crate) fn is_refusal(&self) -> bool {
        let class = self.code().and_then(|code| code.get(..2));
        class.is_some_and(|class| !matches!(class, "08" | "57" | "58" | "XX"))
    }

    /// The error for callers.
    pub(crate) fn told(self, operation: &'static str) -> MemoryError {
        match self {
            Self::Memory(error) => error,
            Self::Silent => MemoryError::store(
                ErrorKind::Unavailable,
                operation,
                "the server did not answer in time",
            ),
            Self::Sql(error) => sql(error, operation),
        }
    }

    /// The error for callers where the transaction may have been committed.
    pub(crate) fn told_of_commit(self, operation: &'static str) -> MemoryError {
        let message = "the connection broke while the write was being committed; \
                       repeating it with the same ids is safe";
        let unknown = MemoryError::store(ErrorKind::OutcomeUnknown, operation, message);
        match self {
            Self::Sql(sqlx::Error::Database(error)) => with_server(unknown, error.as_ref()),
            Self::Sql(sqlx::Error::Io(error)) => unknown.with_source(error),
            _ => unknown,
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error
                .try_downcast_ref::<PgDatabaseError>()
                .map(PgDatabaseError::code),
            _ => None,
        }
    }
}

fn sql(error: sqlx::Error, operation: &'static str) -> MemoryError {
    use sqlx::Error as Sqlx;
    let store = |kind, message: &str| MemoryError::store(kind, operation, message);
    match error {
        Sqlx::Database(error) => {
            let code = error.code().unwrap_or_default();
            let (kind, message) = meaning(&code);
            with_server(store(kind, message), error.as_ref())
        }
        Sqlx::PoolTimedOut => store(
            ErrorKind::Unavailable,
            "no connection became free in time, or the server cannot be reached",
        ),
        Sqlx::PoolClosed => closed(operation),
        Sqlx::Io(error) => {
            store(ErrorKind::Unavailable, "the connection failed").with_source(error)
        }
        Sqlx::Tls(_) => store(ErrorKind::Configuration, "TLS could not be agreed on"),
        Sqlx::Configuration(_) => {
            store(ErrorKind::Configuration, "the connection is misconfigured")
        }
        Sqlx::TypeNotFound { type_name } => store(
            ErrorKind::Missing,
            &format!("the type {type_name} is missing; the extension vector 0.7 or newer has it"),
        ),
        // The values that these may quote are left out.
        Sqlx::ColumnDecode { index, .. } => store(
            ErrorKind::Corrupt,
            &format!("the column {index} does not read"),
        ),
        Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) | Sqlx::ColumnIndexOutOfBounds { .. } => {
            store(ErrorKind::Corrupt, "a row does not read")
        }
        Sqlx::Protocol(_) => store(
            ErrorKind::Unavailable,
            "the connection broke off in the middle of an answer",
        ),
        _ => store(ErrorKind::Other, "the database driver failed"),
    }
}

/// What the store says after it was closed.
pub(crate) fn closed(operation: &'static str) -> MemoryError {
    MemoryError::store(ErrorKind::Closed, operation, "the store was closed")
}

fn with_server(error: MemoryError, source: &dyn sqlx::error::DatabaseError) -> MemoryError {
    match source.try_downcast_ref::<PgDatabaseError>() {
        Some(source) => error.with_source(ServerError::from(source)),
        None => error,
    }
}

/// What a SQLSTATE means for a caller.
fn meaning(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    match code {
        "53100" => (Kind::Full, "the server's disk is full"),
        "25006" => (Kind::ReadOnly, "the server, or this role, only reads"),
        "40001" | "40P01" => (Kind::Unavailable, "other writers were in the way too often"),
        "55P03" => (Kind::Unavailable, "a lock was held for too long"),
        "57014" => (Kind::Unavailable, "the statement took too long"),
        "42501" => (Kind::Configuration, "the role lacks a privilege"),
        "42P01" | "42703" | "42804" | "42883" | "42P10" => (
            Kind::ForeignData,
            "the tables are not those of this program",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" | "57" => (
                Kind::Unavailable,
                "the server is busy, starting or stopping",
            ),
            "28" | "3D" => (Kind::Configuration, "the server refused the connection"),
            "3F" => (
                Kind::Configuration,
                "the role's search_path names no schema that is there",
            ),
            "58" => (Kind::Unavailable, "the server's machine failed"),
            "XX" => (Kind::Corrupt, "the server found its own data damaged"),
            _ => (Kind::Other, "the server refused the statement"),
        },
    }
}
