//! Finding out why a pool gave no connection.

use std::time::{Duration, Instant};

use memory_core::MemoryError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _, PgPool};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;

/// How long finding out why there is no connection may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects outside the pool, for all callers that the pool gave no connection: one at a
/// time, or the callers would take more connections from the server than the pool may.
#[derive(Debug, Default)]
pub(crate) struct AcquireProbe {
    /// When the last one ended, and what it found.
    last: Mutex<Option<(Instant, MemoryError)>>,
}

impl AcquireProbe {
    /// As [`explain_acquire`]. Callers that come during a probe share what it finds.
    pub(crate) async fn explain(&self, pool: &PgPool, cause: sqlx::Error) -> Failure {
        if !matches!(cause, sqlx::Error::PoolTimedOut) {
            return explain_acquire(pool, cause).await;
        }
        let timed_out = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((ended, error)) = &*last
            && *ended >= timed_out
        {
            return Failure::NoConnection(error.clone());
        }
        let error = explain_acquire(pool, cause).await.into_error("connect");
        *last = Some((Instant::now(), error.clone()));
        Failure::NoConnection(error)
    }
}

/// Why a pool gave no connection.
///
/// The pool retries a refused connection until its timeout, and then reports the
/// same as where all connections are in use. So this connects once more, without
/// the pool, and reports why that fails.
pub(crate) async fn explain_acquire(pool: &PgPool, cause: sqlx::Error) -> Failure {
    match cause {
        sqlx::Error::PoolClosed => cause.into(),
        sqlx::Error::PoolTimedOut => {
            let options = pool.connect_options();
            let server = server_name(&options);
            match timeout(PROBE_TIMEOUT, options.connect()).await {
                Ok(Ok(connection)) => {
                    // A broken one is closed by being dropped.
                    let _ = timeout(PROBE_TIMEOUT, connection.close()).await;
                    let connections = pool.options().get_max_connections();
                    Failure::PoolExhausted {
                        server,
                        connections,
                    }
                }
                Ok(Err(cause)) => Failure::Connect { server, cause },
                Err(_) => Failure::Connect {
                    server,
                    cause: sqlx::Error::PoolTimedOut,
                },
            }
        }
        cause => Failure::Connect {
            server: server_name(&pool.connect_options()),
            cause,
        },
    }
}

/// Host and port, or the path of the socket.
fn server_name(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    match options.get_socket() {
        Some(directory) => format!("{}/.s.PGSQL.{port}", directory.display()),
        None if host.starts_with('/') => format!("{host}/.s.PGSQL.{port}"),
        None if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        None => format!("{host}:{port}"),
    }
}
