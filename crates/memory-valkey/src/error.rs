//! Errors of the client as errors of the contract.

use std::sync::atomic::{AtomicBool, Ordering};

use memory_core::{ErrorKind, MemoryError};
use redis::{RedisError, ServerErrorKind};

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The cache was closed before the call was done.
    Closed,
    /// What the client or the server said.
    Client(RedisError),
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        Self::Client(error)
    }
}

/// The error of calls after a close.
pub(crate) fn closed(operation: &'static str) -> MemoryError {
    let message = "the shared cache is closed";
    MemoryError::shared_cache(ErrorKind::Closed, operation, message)
}

/// Makes errors of the client errors of the contract.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    /// Whether a refusal was logged.
    is_refusal_logged: AtomicBool,
}

impl Errors {
    /// The error for what the client or the server said. Neither names keys or values.
    ///
    /// Calls that fail are computed without the cache. What only the operator can correct
    /// would never be noticed so, and is logged once.
    pub(crate) fn shared_cache(&self, operation: &'static str, error: CallError) -> MemoryError {
        let error = match error {
            CallError::Closed => return closed(operation),
            CallError::Client(error) => error,
        };
        let (kind, message) = describe(&error);
        if kind == ErrorKind::Configuration && !self.is_refusal_logged.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                ?kind,
                operation,
                reason = message,
                "the shared cache is not used"
            );
        }
        MemoryError::shared_cache(kind, operation, message).with_source(error)
    }
}

fn describe(error: &RedisError) -> (ErrorKind, String) {
    use redis::ErrorKind as Client;
    use redis::ServerErrorKind as Server;
    let code = error.code().unwrap_or_default();
    match error.kind() {
        _ if code == "OOM" => (
            ErrorKind::Full,
            "the server is out of memory; raise maxmemory, or set maxmemory-policy to \
             allkeys-lru"
                .to_owned(),
        ),
        Client::AuthenticationFailed => (
            ErrorKind::Configuration,
            "the server refused user or password; correct them in the URL".to_owned(),
        ),
        Client::Server(Server::NoPerm) => (
            ErrorKind::Configuration,
            "the server's user may not do this; allow it the commands and keys that \
             docs/shared-cache.md lists"
                .to_owned(),
        ),
        // The client says so of any error.
        _ if error.to_string().contains("refused to switch database") => (
            ErrorKind::Configuration,
            "the server's user may not use the database of the URL; allow it the command that \
             docs/shared-cache.md lists, or correct the number"
                .to_owned(),
        ),
        Client::InvalidClientConfig => (
            ErrorKind::Configuration,
            "the client cannot be configured so; correct the URL".to_owned(),
        ),
        Client::Server(Server::ReadOnly) => (
            ErrorKind::ReadOnly,
            "the server is a replica; name the primary".to_owned(),
        ),
        Client::Io
        | Client::ClusterConnectionNotFound
        | Client::Server(
            Server::BusyLoading | Server::TryAgain | Server::ClusterDown | Server::MasterDown,
        ) => (
            ErrorKind::Unavailable,
            format!("the server cannot be reached now ({})", error.category()),
        ),
        _ => (
            ErrorKind::Other,
            format!("the server refused the command ({})", error.category()),
        ),
    }
}

/// Whether the server does not know a script (yet, or after a restart).
pub(crate) fn is_unknown_script(error: &CallError) -> bool {
    let unknown = redis::ErrorKind::Server(ServerErrorKind::NoScript);
    matches!(error, CallError::Client(error) if error.kind() == unknown)
}

/// Whether a value was refused as there is no space for it.
pub(crate) fn is_out_of_memory(error: &CallError) -> bool {
    matches!(error, CallError::Client(error) if error.code() == Some("OOM"))
}
