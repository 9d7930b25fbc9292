//! Binding, serving and draining.

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use memory::MemorySystem;
use thiserror::Error;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

#[cfg(feature = "tls")]
use crate::certificate::TlsIdentity;
use crate::conditional_write::ConditionalWrites;
use crate::connections::{Timeouts, serve};
use crate::import::ImportLimits;
use crate::import_slots::ImportSlots;
use crate::mcp::McpServer;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::query_parameters::QueryParameters;
use crate::rate_limit::RateLimit;
use crate::readiness::Readiness;
use crate::time_limit::{Effect, TimeLimit, limit_time};
#[cfg(feature = "tls")]
use crate::tls::TlsListener;
use crate::tokens::Tokens;
use crate::{access, origin, routes, write_timeout};

/// How a server serves.
#[derive(Debug)]
pub struct ServerOptions {
    tokens: Option<Tokens>,
    metrics: Option<Metrics>,
    rate_limit: Option<NonZeroU32>,
    allowed_origins: Vec<String>,
    #[cfg(feature = "tls")]
    tls: Option<TlsIdentity>,
    max_body_bytes: usize,
    max_import_bytes: u64,
    min_import_rate: u32,
    request_timeout: Duration,
    drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerOptions {
    /// No tokens, no metrics, no rate limit, no allowed origins, no TLS, bodies of at most
    /// 8 MiB, imports of at most 1 GiB at 4 KiB per second or more, 30 seconds for a request,
    /// 10 seconds to drain.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tokens: None,
            metrics: None,
            rate_limit: None,
            allowed_origins: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            max_body_bytes: 8 << 20,
            max_import_bytes: 1 << 30,
            min_import_rate: 4 << 10,
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

    /// How many requests per second are answered for each token, in bursts of as many;
    /// further ones are refused with 429. Without tokens it is one limit for all
    /// requests. What needs no token is not limited.
    #[must_use]
    pub fn rate_limit(mut self, per_second: NonZeroU32) -> Self {
        self.rate_limit = Some(per_second);
        self
    }

    /// Web pages of these origins, such as `https://app.example`, may use the server from
    /// a browser; pages of no other site may.
    #[must_use]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Serves HTTPS with this certificate.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, identity: TlsIdentity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// The most bytes of a body; a longer one is refused with 413.
    #[must_use]
    pub fn max_body_bytes(mut self, max: usize) -> Self {
        self.max_body_bytes = max;
        self
    }

    /// The most bytes of an import, which is not held in memory; a longer one is refused
    /// with 413, after what came before was stored.
    #[must_use]
    pub fn max_import_bytes(mut self, max: u64) -> Self {
        self.max_import_bytes = max;
        self
    }

    /// The least bytes per second of an import, on average and beyond the first
    /// [`request_timeout`](Self::request_timeout); a slower one is ended with 408, as few may
    /// be in progress at once. Only the time counts in which the server waits for the client,
    /// not that in which it stores. 0 allows any rate.
    #[must_use]
    pub fn min_import_rate(mut self, bytes_per_second: u32) -> Self {
        self.min_import_rate = bytes_per_second;
        self
    }

    /// The longest time for a request; then it is answered with 503. A write that has
    /// reached the store runs to its end all the same. An import takes as long as its lines
    /// arrive: this is the longest time without a byte of it, which is answered with 408. A
    /// connection is closed on which no request, or only the beginning of its headers,
    /// arrives for this time, or whose client takes nothing of an answer for this time.
    #[must_use]
    pub fn request_timeout(mut self, duration: Duration) -> Self {
        self.request_timeout = duration;
        self
    }

    /// Checks that a server with these options may listen on an address, as
    /// [`Server::bind`] does: before a model is loaded, say.
    ///
    /// # Errors
    /// [`ServerError::TokensRequired`] for an address off loopback without tokens;
    /// [`ServerError::Origin`] for an origin that no browser sends.
    pub fn check(&self, address: SocketAddr) -> Result<(), ServerError> {
        origin::AllowedOrigins::new(&self.allowed_origins)?;
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
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is reachable from other machines, and there are no tokens.
    #[error(
        "{0} can be reached from other machines, so the server needs tokens; create some, or bind \
         to 127.0.0.1"
    )]
    TokensRequired(SocketAddr),
    /// An allowed origin is not the origin of a web page.
    #[error(
        "{0:?} is not the origin of a web page; it must be a scheme and a host, and a port unless \
         it is the default one, such as https://app.example"
    )]
    Origin(String),
    /// The server cannot listen on the address.
    #[error(transparent)]
    Io(ListenError),
    /// An MCP client on standard input did not begin as the protocol demands.
    #[error(
        "the MCP client did not begin with a valid initialize request; docs/mcp.md says how agents \
         are configured"
    )]
    Handshake,
}

/// Why a server cannot listen on its address.
#[derive(Debug)]
#[non_exhaustive]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system reported.
    pub error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "the server cannot listen on {address}: {error}")?;
        f.write_str(match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program listens there: end it, or choose another port, where 0 takes a \
                 free one"
            }
            io::ErrorKind::AddrNotAvailable => {
                "; choose an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
            }
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        })
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text has that of the error.
        self.error.source()
    }
}

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) memory: MemorySystem,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) rate_limit: Option<Arc<RateLimit>>,
    pub(crate) query_parameters: Arc<QueryParameters>,
    pub(crate) conditional_writes: Arc<ConditionalWrites>,
    pub(crate) max_body_bytes: usize,
    pub(crate) import_limits: ImportLimits,
    pub(crate) imports: Arc<ImportSlots>,
}

/// A server that is bound to an address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    metrics: Option<Metrics>,
    #[cfg(feature = "tls")]
    tls: Option<TlsIdentity>,
    timeouts: Timeouts,
}

impl Server {
    /// Binds to an address, such as `127.0.0.1:7070`; port 0 takes a free one.
    ///
    /// # Errors
    /// As [`ServerOptions::check`]; [`ServerError::Io`] for an address that cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        memory: MemorySystem,
        options: ServerOptions,
    ) -> Result<Self, ServerError> {
        options.check(address)?;
        let cannot_listen = |error| ServerError::Io(ListenError { address, error });
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        write_timeout::wake_early(&listener).map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let metrics = options.metrics.clone();
        let timeouts = Timeouts {
            headers: options.request_timeout,
            write: options.request_timeout,
            drain: options.drain_timeout,
        };
        #[cfg(feature = "tls")]
        let tls = options.tls.clone();
        let router = router(memory, options)?;
        Ok(Self {
            listener,
            address,
            router,
            metrics,
            #[cfg(feature = "tls")]
            tls,
            timeouts,
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
    /// None today; more may be reported later.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let metrics = self.metrics;
        let upkeep = async move {
            match &metrics {
                Some(metrics) => metrics.run_upkeep().await,
                None => pending().await,
            }
        };
        let serving = async {
            #[cfg(feature = "tls")]
            if let Some(identity) = self.tls {
                let listener = TlsListener::new(self.listener, identity.clone());
                return tokio::select! {
                    () = serve(listener, self.router, self.timeouts, shutdown) => {}
                    never = identity.watch() => match never {},
                };
            }
            serve(self.listener, self.router, self.timeouts, shutdown).await;
        };
        tokio::select! {
            () = serving => Ok(()),
            never = upkeep => match never {},
        }
    }
}

fn router(memory: MemorySystem, options: ServerOptions) -> Result<Router, ServerError> {
    let origins = origin::AllowedOrigins::new(&options.allowed_origins)?;
    let state = ServerState {
        memory,
        tokens: options.tokens.map(Arc::new),
        metrics: options.metrics,
        readiness: Arc::new(Readiness::new()),
        rate_limit: options
            .rate_limit
            .map(|limit| Arc::new(RateLimit::new(limit))),
        query_parameters: Arc::new(QueryParameters::of(&routes::openapi())),
        conditional_writes: Arc::default(),
        max_body_bytes: options.max_body_bytes,
        import_limits: ImportLimits {
            max_bytes: options.max_import_bytes,
            idle_timeout: options.request_timeout,
            min_rate: options.min_import_rate,
        },
        imports: Arc::default(),
    };
    let mcp = McpServer::over_http(state.memory.clone(), options.max_body_bytes);
    let limit_of_calls = TimeLimit {
        limit: options.request_timeout,
        effect: Some(Effect::Call),
    };
    let mcp = Router::new()
        .route_service("/mcp", mcp)
        .layer(from_fn_with_state(state.clone(), access::attach_scope))
        .layer(from_fn_with_state(limit_of_calls, limit_time));
    let router = routes::router(options.request_timeout)
        .with_state(state.clone())
        .merge(mcp)
        .layer(from_fn_with_state(state, origin::check_host))
        .layer(from_fn(origin::restore_path))
        .layer(origins.csrf)
        .layer(from_fn(origin::hide_path));
    let router = match origins.cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let router = router
        .layer(DefaultBodyLimit::max(options.max_body_bytes))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(|_| {
            Problem::internal().into_response()
        }));
    Ok(router)
}
