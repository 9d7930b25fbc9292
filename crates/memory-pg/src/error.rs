//! Errors of the driver and the server as [`MemoryError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use memory_core::{ErrorKind, MemoryError};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::sqlstate::{CANCELED, classify};

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
    /// The server undid it each time that it was tried, because of concurrent
    /// transactions.
    Conflicts { error: sqlx::Error, attempts: u32 },
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

    /// The same, of what was tried so often.
    pub(crate) fn after_attempts(self, attempts: u32) -> Self {
        match self {
            Self::Sql(error) if attempts > 1 => Self::Conflicts { error, attempts },
            failure => failure,
        }
    }

    /// Whether the connection may be used again: the server has answered the statement and
    /// goes on with the session, or nothing was asked.
    pub(crate) fn leaves_connection_usable(&self) -> bool {
        use sqlx::Error as Sqlx;
        match self {
            Self::Sql(error) | Self::Canceled { error, .. } | Self::Conflicts { error, .. } => {
                match error {
                    Sqlx::Database(error) => error
                        .try_downcast_ref::<PgDatabaseError>()
                        .is_some_and(|it| {
                            !matches!(it.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                        }),
                    Sqlx::Encode(_)
                    | Sqlx::RowNotFound
                    | Sqlx::ColumnDecode { .. }
                    | Sqlx::ColumnNotFound(_)
                    | Sqlx::ColumnIndexOutOfBounds { .. } => true,
                    _ => false,
                }
            }
            Self::Memory(_) => true,
            Self::Timeout
            | Self::LoadTimeout(_)
            | Self::NoConnection(_)
            | Self::Connect { .. }
            | Self::PoolExhausted { .. } => false,
        }
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
            Self::Conflicts { error, attempts } => conflicts(error, attempts, operation),
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
    pub(crate) fn into_commit_error(
        self,
        operation: &'static str,
        is_repeatable: bool,
    ) -> MemoryError {
        let cause = "the connection was lost during the commit";
        let unknown = outcome_unknown(cause, operation, is_repeatable);
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
            }
            | Self::Conflicts {
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

/// The error for what the server undid each time.
fn conflicts(error: sqlx::Error, attempts: u32, operation: &'static str) -> MemoryError {
    let message = format!(
        "gave up after {attempts} attempts, each of which the server undid because of a conflict \
         with other transactions"
    );
    let conflicts = MemoryError::store(ErrorKind::Unavailable, operation, message);
    match error {
        sqlx::Error::Database(error) => with_server(conflicts, error.as_ref()),
        _ => conflicts,
    }
}

/// The error where a write may have happened. `is_repeatable`: whether a write that is
/// repeated changes nothing more.
pub(crate) fn outcome_unknown(
    cause: &str,
    operation: &'static str,
    is_repeatable: bool,
) -> MemoryError {
    let repeated = match is_repeatable {
        true => "retrying with the same ids is safe",
        false => "a retry counts a second time what was written",
    };
    let message = format!("{cause}, so it is unknown whether the write happened; {repeated}");
    MemoryError::store(ErrorKind::OutcomeUnknown, operation, message)
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
                "the type {type_name} does not exist for the role; install the extension vector \
                 0.7 or newer in a schema of its search_path"
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

    #[test]
    fn attempts_are_named_where_there_were_several() {
        let message = |attempts| {
            let failure = Failure::from(sqlx::Error::PoolClosed).after_attempts(attempts);
            failure.into_error("search").to_string()
        };
        assert!(!message(1).contains("attempts"));
        assert!(message(6).contains("after 6 attempts"), "{}", message(6));
    }
}
