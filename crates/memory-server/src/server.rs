//! Binding, serving and draining.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use memory::MemorySystem;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

#[cfg(feature = "tls")]
use crate::certificate::TlsIdentity;
use crate::connections::{Timeouts, serve};
use crate::error::{ListenError, ServerError};
use crate::import::ImportLimits;
use crate::mcp::McpServer;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::problem::Problem;
use crate::query_parameters::QueryParameters;
use crate::rate_limit::RateLimit;
use crate::readiness::Readiness;
use crate::state::ServerState;
use crate::time_limit::{Effect, TimeLimit, limit_time};
#[cfg(feature = "tls")]
use crate::tls::TlsListener;
use crate::{access, origin, routes, write_timeout};

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
