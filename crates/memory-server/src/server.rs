//! Binding, serving and draining.

use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use memory::MemorySystem;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;

use crate::mcp::McpServer;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::tokens::Tokens;
use crate::{access, origin, routes};

/// How a server serves.
#[derive(Debug)]
pub struct ServerOptions {
    tokens: Option<Tokens>,
    metrics: Option<Metrics>,
    max_body_bytes: usize,
    request_timeout: Duration,
    drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerOptions {
    /// No tokens, no metrics, bodies of at most 8 MiB, 30 seconds for a request, 10 seconds to
    /// drain.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tokens: None,
            metrics: None,
            max_body_bytes: 8 << 20,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }

    /// Answers only requests with one of these tokens.
    #[must_use]
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Answers these metrics at `/metrics`.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The most bytes of a body; a longer one is refused with 413.
    #[must_use]
    pub fn max_body_bytes(mut self, max: usize) -> Self {
        self.max_body_bytes = max;
        self
    }

    /// The longest time for a request; then it is answered with 503. A write that has
    /// begun runs to its end all the same.
    #[must_use]
    pub fn request_timeout(mut self, duration: Duration) -> Self {
        self.request_timeout = duration;
        self
    }

    /// Checks that a server with these options may listen on an address, as
    /// [`Server::bind`] does: before a model is loaded, say.
    ///
    /// # Errors
    /// [`ServerError::TokensRequired`] for an address off loopback without tokens.
    pub fn check(&self, address: SocketAddr) -> Result<(), ServerError> {
        match address.ip().is_loopback() || self.tokens.is_some() {
            true => Ok(()),
            false => Err(ServerError::TokensRequired(address)),
        }
    }

    /// The longest time that requests in progress get when the server shuts down.
    #[must_use]
    pub fn drain_timeout(mut self, duration: Duration) -> Self {
        self.drain_timeout = duration;
        self
    }
}

/// Why a server does not start or ends.
#[derive(Debug)]
pub enum ServerError {
    /// The address is reachable from other machines, and there are no tokens.
    TokensRequired(SocketAddr),
    /// The address cannot be bound, or accepting failed.
    Io(io::Error),
    /// An MCP client on standard input did not begin as the protocol demands.
    Handshake,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokensRequired(address) => write!(
                f,
                "{address} can be reached from other machines, so the server needs tokens; create \
                 some, or bind to 127.0.0.1"
            ),
            Self::Io(error) => write!(f, "the server cannot listen: {error}"),
            Self::Handshake => f.write_str(
                "the MCP client did not begin with a valid initialize request; docs/mcp.md says \
                 how agents are configured",
            ),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::TokensRequired(_) | Self::Handshake => None,
        }
    }
}

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) memory: MemorySystem,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) max_body_bytes: usize,
}

/// A server that is bound to an address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    metrics: Option<Metrics>,
    drain_timeout: Duration,
}

impl Server {
    /// Binds to an address, such as `127.0.0.1:7070`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServerError::TokensRequired`] for an address off loopback without tokens;
    /// [`ServerError::Io`] for an address that cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        memory: MemorySystem,
        options: ServerOptions,
    ) -> Result<Self, ServerError> {
        options.check(address)?;
        let listener = TcpListener::bind(address).await.map_err(ServerError::Io)?;
        let address = listener.local_addr().map_err(ServerError::Io)?;
        let (metrics, drain_timeout) = (options.metrics.clone(), options.drain_timeout);
        let router = router(memory, options);
        Ok(Self {
            listener,
            address,
            router,
            metrics,
            drain_timeout,
        })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes, then answers the requests in progress, for
    /// at most the time to drain. The memory system stays open.
    ///
    /// # Errors
    /// [`ServerError::Io`] if accepting failed.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let (stopping, stopped) = oneshot::channel();
        let serving = axum::serve(self.listener, self.router).with_graceful_shutdown(async {
            shutdown.await;
            // The receiver is there as long as the server runs.
            let _ = stopping.send(());
        });
        let mut serving = std::pin::pin!(serving.into_future());
        let metrics = self.metrics;
        let upkeep = async {
            match &metrics {
                Some(metrics) => metrics.run_upkeep().await,
                None => pending().await,
            }
        };
        tokio::select! {
            outcome = &mut serving => return outcome.map_err(ServerError::Io),
            _ = stopped => {}
            never = upkeep => match never {},
        }
        match timeout(self.drain_timeout, serving).await {
            Ok(outcome) => outcome.map_err(ServerError::Io),
            Err(_) => {
                tracing::warn!("requests were still in progress when the server ended");
                Ok(())
            }
        }
    }
}

fn router(memory: MemorySystem, options: ServerOptions) -> Router {
    let state = ServerState {
        memory,
        tokens: options.tokens.map(Arc::new),
        metrics: options.metrics,
        max_body_bytes: options.max_body_bytes,
    };
    let mcp = McpServer::over_http(state.memory.clone(), options.max_body_bytes);
    let mcp = Router::new()
        .route_service("/mcp", mcp)
        .layer(from_fn_with_state(state.clone(), access::attach_scope));
    routes::router()
        .with_state(state.clone())
        .merge(mcp)
        .layer(from_fn_with_state(state, origin::check_host))
        .layer(origin::cross_origin(CsrfLayer::new()))
        .layer(DefaultBodyLimit::max(options.max_body_bytes))
        .layer(from_fn_with_state(options.request_timeout, limit_time))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(|_| {
            let (kind, title) = ("other", "The operation failed");
            let detail = "the server failed; its log has more";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, kind, title, detail).into_response()
        }))
}

/// Answers with a problem when a request takes longer than `limit`. Its handler is
/// dropped; a write that has begun runs to its end.
async fn limit_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    timeout(limit, next.run(request)).await.map_err(|_| {
        let seconds = limit.as_secs_f32();
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "The request took too long",
            format!(
                "the request took longer than {seconds} s; a write that has begun runs to its end: \
                 repeat it with the same ids or Idempotency-Key"
            ),
        )
        .retryable()
    })
}
