//! The connection to a server or a cluster: opened by the first call, replaced after
//! it broke.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memory_core::MemoryResult;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult};
use tokio::sync::Mutex;

use crate::error::{self, CallError};
use crate::scripts::LuaScript;

/// How long opening a connection and any single command may take. The engine gives
/// up on a call much earlier; a connection that stays silent for this long is
/// replaced.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Where connections lead to.
pub(crate) enum Target {
    Server(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// An open connection; clones share it.
#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Opens and keeps the connection that all calls share.
pub(crate) struct Connector {
    target: Target,
    /// The open one, and how many were opened before it. Callers wait for each other
    /// while it is opened.
    open: Mutex<(u64, Option<Connection>)>,
    closed: AtomicBool,
}

impl Connector {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            open: Mutex::new((0, None)),
            closed: AtomicBool::new(false),
        }
    }

    /// Runs a script on keys of one group.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, CallError> {
        match self.send("EVALSHA", &script.hash, keys, arguments).await {
            // The server keeps it from now on.
            Err(error) if error::is_unknown_script(&error) => {
                self.send("EVAL", script.code, keys, arguments).await
            }
            outcome => outcome,
        }
    }

    async fn send<T: FromRedisValue>(
        &self,
        command: &str,
        script: &str,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, CallError> {
        let mut command = redis::cmd(command);
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        let (number, mut connection) = self.connection().await?;
        let outcome = connection.query(&command).await;
        if let Err(error) = &outcome
            && (error.is_unrecoverable_error() || error.is_timeout())
        {
            self.discard(number).await;
        }
        Ok(outcome?)
    }

    async fn connection(&self) -> Result<(u64, Connection), CallError> {
        let mut open = self.open.lock().await;
        // A call of two commands may come here after a close, which has this lock as well:
        // a connection that it opened would stay.
        if self.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        if let (number, Some(connection)) = &*open {
            return Ok((*number, connection.clone()));
        }
        let connection = self.target.connect().await?;
        open.0 += 1;
        open.1 = Some(connection.clone());
        Ok((open.0, connection))
    }

    /// Drops a connection, unless another call has replaced it.
    async fn discard(&self, number: u64) {
        let mut open = self.open.lock().await;
        if open.0 == number {
            open.1 = None;
        }
    }

    /// Refuses calls after [`close`](Self::close).
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(error::closed(operation)),
            false => Ok(()),
        }
    }

    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.open.lock().await.1 = None;
    }
}

impl Target {
    async fn connect(&self) -> RedisResult<Connection> {
        match self {
            Self::Server(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(TIMEOUT))
                    .set_response_timeout(Some(TIMEOUT));
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                connection.await.map(Connection::Server)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }

    /// The client of a cluster, with the time limits of this module.
    pub(crate) fn cluster(node: redis::ConnectionInfo) -> redis::cluster::ClusterClientBuilder {
        ClusterClient::builder([node])
            .connection_timeout(TIMEOUT)
            .response_timeout(TIMEOUT)
            // More tries take longer than any caller waits.
            .retries(1)
    }
}

impl Connection {
    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The target has the password.
        let target = match self.target {
            Target::Server(_) => "server",
            Target::Cluster(_) => "cluster",
        };
        f.debug_tuple("Connector").field(&target).finish()
    }
}
