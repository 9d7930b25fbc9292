//! Errors of the driver and the server as [`MemoryError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use memory_core::{ErrorKind, MemoryError};
use sqlx::postgres::PgDatabaseError;

/// The code of a statement that was canceled, also by its timeout.
const CANCELED: &str = "57014";

/// An error that the server reported, obtained by downcasting [`Error::source`].
///
/// It replaces the driver's own error, whose detail may quote a row: of errors
/// about data, only code, table and constraint are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The SQLSTATE: five characters, the first two the class.
    pub code: String,
    /// The server's message, if this class of errors never quotes data.
    pub message: Option<String>,
    /// The table that it is about.
    pub table: Option<String>,
    /// The constraint that it is about.
    pub constraint: Option<String>,
}

impl From<&PgDatabaseError> for ServerError {
    fn from(error: &PgDatabaseError) -> Self {
        /// Connections, roles, resources, locks, states, syntax: no data.
        const SAFE_CLASSES: [&str; 14] = [
            "08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
        ];
        let code = error.code().to_owned();
        let class = code.get(..2).unwrap_or_default();
        let message = SAFE_CLASSES
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

/// Why a statement or the decoding of its result failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the driver or the server.
    Sql(sqlx::Error),
    /// The server did not answer in time.
    Timeout,
    /// The server canceled a statement.
    Canceled {
        error: sqlx::Error,
        elapsed: Duration,
        /// The limit for a statement, if it is known.
        limit: Option<Duration>,
    },
    /// A load reached this limit.
    LoadTimeout(Duration),
    /// The pool gave no connection, for the reason that a probe found.
    NoConnection(MemoryError),
    /// No connection to the server could be made.
    Connect {
        /// Host and port, or the path of the socket.
        server: String,
        cause: sqlx::Error,
    },
    /// The server accepts connections, but those of the pool were all in use.
    PoolExhausted {
        /// Host and port, or the path of the socket.
        server: String,
        /// The maximum of the pool.
        connections: u32,
    },
    /// An error for the caller as it is.
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
    /// The failure of a statement that took so long.
    pub(crate) fn of_statement(
        error: sqlx::Error,
        elapsed: Duration,
        limit: Option<Duration>,
    ) -> Self {
        let failure = Self::Sql(error);
        match (failure.code() == Some(CANCELED), failure) {
            (true, Self::Sql(error)) => Self::Canceled {
                error,
                elapsed,
                limit,
            },
            (_, failure) => failure,
        }
    }

    /// Whether a limit was reached, or an operator canceled the statement.
    pub(crate) fn is_canceled(&self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::Canceled { .. } | Self::LoadTimeout(_)
        )
    }

    /// Whether the server undid the transaction because of concurrent
    /// transactions, so that a retry may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.code(), Some("40001" | "40P01"))
    }

    /// Whether the server gave up waiting for a lock.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.code() == Some("55P03")
    }

    /// Whether the server reported an error, and so certainly undid the
    /// transaction.
    pub(crate) fn is_refusal(&self) -> bool {
        let class = self.code().and_then(|code| code.get(..2));
        class.is_some_and(|class| !matches!(class, "08" | "57" | "58" | "XX"))
    }

    /// The error for callers.
    pub(crate) fn into_error(self, operation: &'static str) -> MemoryError {
        match self {
            Self::Memory(error) => error,
            Self::Timeout => MemoryError::store(
                ErrorKind::Unavailable,
                operation,
                "the server did not answer in time",
            ),
            Self::Canceled {
                error,
                elapsed,
                limit,
            } => canceled(error, elapsed, limit, operation),
            Self::LoadTimeout(limit) => MemoryError::store(
                ErrorKind::Unavailable,
                operation,
                format!(
                    "loading the entity was ended, since it took longer than load_timeout \
                     ({limit:?}); raise it with PgOptions::load_timeout or, in seconds, with \
                     load_timeout in the database URL"
                ),
            ),
            Self::Connect { server, cause } => connect(&server, cause, operation),
            Self::NoConnection(mut error) => {
                if let MemoryError::Store { operation: of, .. } = &mut error {
                    *of = operation;
                }
                error
            }
            Self::PoolExhausted {
                server,
                connections,
            } => MemoryError::store(
                ErrorKind::Unavailable,
                operation,
                format!(
                    "timed out waiting for a connection to {server}: all of the pool's \
                     connections (at most {connections}) are in use; raise max_connections, or \
                     make fewer calls at once"
                ),
            ),
            Self::Sql(error) => sql(error, operation),
        }
    }

    /// The error for callers where the transaction may have been committed.
    pub(crate) fn into_commit_error(self, operation: &'static str) -> MemoryError {
        let message = "the connection was lost during the commit, so it is unknown whether \
                       the write happened; retrying with the same ids is safe";
        let unknown = MemoryError::store(ErrorKind::OutcomeUnknown, operation, message);
        match self {
            Self::Sql(sqlx::Error::Database(error))
            | Self::Canceled {
                error: sqlx::Error::Database(error),
                ..
            } => with_server(unknown, error.as_ref()),
            Self::Sql(sqlx::Error::Io(error)) => unknown.with_source(error),
            _ => unknown,
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Sql(sqlx::Error::Database(error))
            | Self::Canceled {
                error: sqlx::Error::Database(error),
                ..
            } => error
                .try_downcast_ref::<PgDatabaseError>()
                .map(PgDatabaseError::code),
            _ => None,
        }
    }
}

/// The error for a statement that the server canceled. Its message does not say why in a
/// way that can be relied on, as it may be in any language; the time does.
fn canceled(
    error: sqlx::Error,
    elapsed: Duration,
    limit: Option<Duration>,
    operation: &'static str,
) -> MemoryError {
    let message = match limit {
        Some(limit) if elapsed >= limit => format!(
            "the server canceled a statement, since it took longer than statement_timeout \
             ({limit:?}); raise it with PgOptions::statement_timeout or, in seconds, with \
             statement_timeout in the database URL"
        ),
        Some(limit) => format!(
            "the server canceled a statement after {elapsed:.1?}, before statement_timeout \
             ({limit:?}): an operator canceled it, or it reached a limit of the role or of the \
             application's pool"
        ),
        None => format!(
            "the server canceled a statement after {elapsed:.1?}: it reached the \
             statement_timeout of its connection, or an operator canceled it"
        ),
    };
    let canceled = MemoryError::store(ErrorKind::Unavailable, operation, message);
    match error {
        sqlx::Error::Database(error) => with_server(canceled, error.as_ref()),
        _ => canceled,
    }
}

/// The error for a connection that could not be made.
fn connect(server: &str, cause: sqlx::Error, operation: &'static str) -> MemoryError {
    use sqlx::Error as Sqlx;
    let cannot = |kind, cause: &dyn fmt::Display| {
        let message = format!("cannot connect to {server}: {cause}");
        MemoryError::store(kind, operation, message)
    };
    match cause {
        Sqlx::Database(error) => {
            let code = error.code().unwrap_or_default();
            let (kind, message) = classify(&code);
            let message = match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => ServerError::from(error).message,
                None => None,
            }
            .unwrap_or_else(|| message.to_owned());
            with_server(cannot(kind, &message), error.as_ref())
        }
        // The driver reports a refused certificate as invalid data.
        Sqlx::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            cannot(ErrorKind::Configuration, &error).with_source(error)
        }
        Sqlx::Io(error) => cannot(ErrorKind::Unavailable, &error).with_source(error),
        Sqlx::Tls(error) => cannot(ErrorKind::Configuration, &error),
        Sqlx::PoolTimedOut => cannot(ErrorKind::Unavailable, &"no answer in time"),
        other => sql(other, operation),
    }
}

fn sql(error: sqlx::Error, operation: &'static str) -> MemoryError {
    use sqlx::Error as Sqlx;
    let store = |kind, message: &str| MemoryError::store(kind, operation, message);
    match error {
        Sqlx::Database(error) => {
            let code = error.code().unwrap_or_default();
            let (kind, message) = classify(&code);
            with_server(store(kind, message), error.as_ref())
        }
        Sqlx::PoolTimedOut => store(
            ErrorKind::Unavailable,
            "timed out waiting for a connection: all connections of the pool are in use",
        ),
        Sqlx::PoolClosed => closed(operation),
        Sqlx::Io(error) => store(
            ErrorKind::Unavailable,
            &format!("the connection failed: {error}"),
        )
        .with_source(error),
        Sqlx::Tls(_) => store(ErrorKind::Configuration, "the TLS handshake failed"),
        Sqlx::Configuration(_) => store(ErrorKind::Configuration, "invalid connection settings"),
        Sqlx::TypeNotFound { type_name } => store(
            ErrorKind::Missing,
            &format!(
                "the type {type_name} does not exist; install the extension vector 0.7 or newer"
            ),
        ),
        // Their sources may quote values and are left out.
        Sqlx::ColumnDecode { index, .. } => store(
            ErrorKind::Corrupt,
            &format!("cannot decode the column {index}"),
        ),
        Sqlx::Decode(_) | Sqlx::ColumnNotFound(_) | Sqlx::ColumnIndexOutOfBounds { .. } => {
            store(ErrorKind::Corrupt, "cannot decode a row")
        }
        Sqlx::Protocol(_) => store(
            ErrorKind::Unavailable,
            "the connection was closed in the middle of a response",
        ),
        _ => store(ErrorKind::Other, "the database driver failed"),
    }
}

/// The error of every call after the store was closed.
pub(crate) fn closed(operation: &'static str) -> MemoryError {
    MemoryError::store(ErrorKind::Closed, operation, "the store was closed")
}

fn with_server(error: MemoryError, source: &dyn sqlx::error::DatabaseError) -> MemoryError {
    match source.try_downcast_ref::<PgDatabaseError>() {
        Some(source) => error.with_source(ServerError::from(source)),
        None => error,
    }
}

/// The kind and message for a SQLSTATE.
fn classify(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    match code {
        "XX001" | "XX002" => (Kind::Corrupt, "the server reported corrupt data"),
        "53100" => (Kind::Full, "the server's disk is full"),
        "25006" => (Kind::ReadOnly, "the server or the transaction is read-only"),
        "40001" | "40P01" => (
            Kind::Unavailable,
            "gave up after repeated conflicts with other writers",
        ),
        "55P03" => (Kind::Unavailable, "timed out waiting for a lock"),
        CANCELED => (Kind::Unavailable, "the server canceled the statement"),
        "42501" => (Kind::Configuration, "the role lacks a privilege"),
        "42P01" | "42703" | "42804" | "42883" | "42P10" => (
            Kind::ForeignData,
            "the tables are not those that this program creates",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" | "57" => (
                Kind::Unavailable,
                "the server is overloaded, starting or shutting down",
            ),
            "28" | "3D" => (Kind::Configuration, "the server refused the connection"),
            "3F" => (
                Kind::Configuration,
                "no schema in the role's search_path exists",
            ),
            "58" => (Kind::Unavailable, "the server reported a system error"),
            // Where a node of a distributed server is lost, this is what the others report.
            "XX" => (Kind::Unavailable, "the server reported an internal error"),
            _ => (Kind::Other, "the server rejected the statement"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canceled_statements_name_the_limit_that_they_reached() {
        let second = Duration::from_secs(1);
        let message = |elapsed, limit| {
            let error = canceled(sqlx::Error::PoolClosed, elapsed, limit, "search");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            error.to_string()
        };
        let reached = message(second, Some(second));
        assert!(
            reached.contains("longer than statement_timeout (1s)"),
            "{reached}"
        );
        assert!(
            reached.contains("PgOptions::statement_timeout"),
            "{reached}"
        );
        let others = message(second / 2, Some(second));
        assert!(others.contains("after 500.0ms, before"), "{others}");
        assert!(!message(second, None).contains("PgOptions"));
    }

    /// An internal error is also what is left of a distributed server when it lost a
    /// node: the write may be repeated.
    #[test]
    fn internal_errors_are_not_corrupt_data() {
        assert_eq!(classify("XX000").0, ErrorKind::Unavailable);
        assert_eq!(classify("XX001").0, ErrorKind::Corrupt);
        assert_eq!(classify("XX002").0, ErrorKind::Corrupt);
    }
}
