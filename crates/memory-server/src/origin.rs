//! Refuses what web pages of other sites send.
//!
//! A page that somebody looks at can make the browser send requests to a server on the
//! same machine, also ones that change memories. A browser says that a request is from
//! another site's page: [`AllowedOrigins`] refuses it. And a site can have its own name
//! resolve to 127.0.0.1, so that its pages count as the server's own: [`check_host`]
//! refuses such names, where no token protects the server.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::ServerError;
use crate::problem::Problem;
use crate::state::ServerState;

/// What pages of other sites may do: nothing, apart from those of allowed origins.
pub(crate) struct AllowedOrigins {
    /// Refuses requests that could change something.
    pub(crate) csrf: CsrfLayer<fn(ProtectionError) -> Response>,
    /// Lets browsers send requests of allowed pages, and lets those read the answers;
    /// `None` where there are none.
    pub(crate) cors: Option<CorsLayer>,
}

impl AllowedOrigins {
    /// Allows these origins.
    ///
    /// # Errors
    /// [`ServerError::Origin`] for one that no browser sends.
    pub(crate) fn new(origins: &[String]) -> Result<Self, ServerError> {
        let mut csrf = CsrfLayer::new();
        let mut values = Vec::new();
        for origin in origins {
            let invalid = || ServerError::Origin(origin.clone());
            csrf = csrf.add_trusted_origin(origin).map_err(|_| invalid())?;
            values.push(HeaderValue::from_str(origin).map_err(|_| invalid())?);
        }
        let cors = (!values.is_empty()).then(|| {
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(values))
                .allow_methods(METHODS)
                .allow_headers(REQUEST_HEADERS)
                .expose_headers([header::ETAG, header::RETRY_AFTER, header::WWW_AUTHENTICATE])
                .max_age(PREFLIGHT_AGE)
        });
        let csrf = csrf.with_rejection_response(refuse_page as fn(ProtectionError) -> Response);
        Ok(Self { csrf, cors })
    }
}

fn refuse_page(_: ProtectionError) -> Response {
    refused(
        "the request is from a web page of another site; send it from a program, or start the \
         server with that site among the allowed origins",
    )
    .into_response()
}

/// The methods of the endpoints.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The headers that the endpoints read.
const REQUEST_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    // MCP requires the last two from the version 2026-07-28 of the protocol on.
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
];

/// How long a browser remembers what is allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Where a request goes, while its own URI has another path.
#[derive(Clone)]
struct HiddenUri(Uri);

/// Hides the path from the layer that checks origins, which logs it at the level TRACE: a
/// path has the name of an entity.
pub(crate) async fn hide_path(mut request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    if let Ok(hidden) = Uri::from_parts(parts) {
        *request.uri_mut() = hidden;
        request.extensions_mut().insert(HiddenUri(uri));
    }
    next.run(request).await
}

/// Undoes [`hide_path`].
pub(crate) async fn restore_path(mut request: Request, next: Next) -> Response {
    if let Some(HiddenUri(uri)) = request.extensions_mut().remove() {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// Without tokens, answers only requests to a name of loopback.
pub(crate) async fn check_host(
    State(server): State<ServerState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let host = text(request.headers(), header::HOST).or_else(|| {
        let authority = request.uri().authority();
        authority.map(Authority::as_str)
    });
    if server.tokens.is_none() && host.is_some_and(|host| !is_loopback(host)) {
        return Err(refused(
            "without tokens the server answers to localhost, 127.0.0.1 and [::1] only; use one of \
             these names in the URL, or start the server with tokens",
        ));
    }
    Ok(next.run(request).await)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    // A name that is not text is none of loopback.
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

/// Whether a host, with or without a port, is a name of loopback.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn refused(detail: &'static str) -> Problem {
    let title = "Not allowed from this site";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", title, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_loopback_are_known_with_and_without_port() {
        for host in [
            "localhost",
            "LocalHost:7070",
            "127.0.0.1",
            "127.0.0.2:1",
            "[::1]:7070",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "127.0.0.1.example.org",
            "10.0.0.1:7070",
            "a b",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
