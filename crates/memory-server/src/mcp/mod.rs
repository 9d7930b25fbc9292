//! The Model Context Protocol (MCP): the operations as tools, entities as resources.
//!
//! | module | contents |
//! |---|---|
//! | `handler` | what the protocol asks of a server; who may call which tool |
//! | `tools` | the table of tools: names, descriptions, annotations, schemas |
//! | `arguments` | the arguments of the tools |
//! | `call` | one call: reads its arguments, performs it |
//! | `answers` | what the tools answer, within a number of characters |
//! | `refusal` | errors as texts that tell a model what to do |
//! | `resources` | entities and memories as resources |

mod answers;
mod arguments;
mod call;
mod handler;
mod refusal;
mod resources;
mod tools;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use memory::{EntityId, MemoryResult, MemorySystem};
use rmcp::model::Tool;
use rmcp::service::ServerInitializeError;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::error::ServerError;
use tools::Operation;

/// The operations as an MCP server.
///
/// A call is one operation of the memory system; the server keeps nothing between
/// calls. Calls of a client over standard input and output may do everything; over
/// HTTP, the token of the request decides.
#[derive(Clone)]
pub struct McpServer {
    memory: MemorySystem,
    /// The only entity that is served; each call names one where it is `None`.
    entity: Option<EntityId>,
    tools: Arc<[Tool]>,
}

impl McpServer {
    /// Serves one entity, or every entity, which each call then names.
    ///
    /// # Errors
    /// [`memory::MemoryError::InvalidInput`] for a name outside the limits.
    pub fn new(memory: MemorySystem, entity: Option<EntityId>) -> MemoryResult<Self> {
        if let Some(entity) = &entity {
            entity.validate()?;
        }
        Ok(Self::unchecked(memory, entity))
    }

    fn unchecked(memory: MemorySystem, entity: Option<EntityId>) -> Self {
        let describe = |operation: Operation| operation.describe(entity.is_none());
        let tools = Operation::ALL.map(describe).into();
        Self {
            memory,
            entity,
            tools,
        }
    }

    /// Speaks over standard input and output until the input ends or `shutdown`
    /// completes. Nothing else may be written to standard output.
    ///
    /// Calls in progress when `shutdown` completes are dropped; a write that has begun
    /// runs to its end. The memory system stays open.
    ///
    /// # Errors
    /// [`ServerError::Handshake`] for a client that does not begin as the protocol
    /// demands. A client that leaves is no error.
    pub async fn serve_stdio(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServerError> {
        let mut shutdown = pin!(shutdown);
        let started = tokio::select! {
            started = rmcp::serve_server(self, rmcp::transport::stdio()) => started,
            () = &mut shutdown => return Ok(()),
        };
        let running = match started {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                return Ok(());
            }
            // The error quotes the message: it is not passed on.
            Err(_) => return Err(ServerError::Handshake),
        };
        let cancellation = running.cancellation_token();
        let mut running = pin!(running.waiting());
        tokio::select! {
            _ = &mut running => {}
            () = &mut shutdown => {
                cancellation.cancel();
                // The task's end says nothing that a caller could act on.
                let _ = running.await;
            }
        }
        Ok(())
    }

    /// Answers over HTTP, each request on its own: no session, no open stream. The
    /// requests carry their [`TokenScope`](crate::TokenScope) as an extension, and
    /// their host and origin are checked.
    pub(crate) fn over_http(
        memory: MemorySystem,
        max_body_bytes: usize,
    ) -> StreamableHttpService<Self, NeverSessionManager> {
        let server = Self::unchecked(memory, None);
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(max_body_bytes)
            .disable_allowed_hosts();
        let sessions = Arc::new(NeverSessionManager::default());
        StreamableHttpService::new(move || Ok(server.clone()), sessions, config)
    }
}

impl std::fmt::Debug for McpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpServer")
            .field("serves_one_entity", &self.entity.is_some())
            .finish_non_exhaustive()
    }
}
