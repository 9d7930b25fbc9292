//! The options of a server.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::certificate::TlsIdentity;
use crate::error::ServerError;
use crate::metrics::Metrics;
use crate::origin::AllowedOrigins;
#[cfg(doc)]
use crate::server::Server;
use crate::tokens::Tokens;

/// How a server serves.
#[derive(Debug)]
pub struct ServerOptions {
    pub(crate) tokens: Option<Tokens>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) rate_limit: Option<NonZeroU32>,
    pub(crate) allowed_origins: Vec<String>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsIdentity>,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_import_bytes: u64,
    pub(crate) min_import_rate: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) drain_timeout: Duration,
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

    /// The longest time that requests in progress get when the server shuts down.
    #[must_use]
    pub fn drain_timeout(mut self, duration: Duration) -> Self {
        self.drain_timeout = duration;
        self
    }

    /// Checks that a server with these options may listen on an address, as
    /// [`Server::bind`] does: before a model is loaded, say.
    ///
    /// # Errors
    /// [`ServerError::TokensRequired`] for an address off loopback without tokens;
    /// [`ServerError::Origin`] for an origin that no browser sends.
    pub fn check(&self, address: SocketAddr) -> Result<(), ServerError> {
        AllowedOrigins::new(&self.allowed_origins)?;
        match address.ip().is_loopback() || self.tokens.is_some() {
            true => Ok(()),
            false => Err(ServerError::TokensRequired(address)),
        }
    }
}
