//! Refuses what web pages of other sites send.
//!
//! A page that somebody looks at can make the browser send requests to a server on the
//! same machine, also ones that change memories. A browser says that a request is from
//! another site's page: [`cross_origin`] refuses it. And a site can have its own name
//! resolve to 127.0.0.1, so that its pages count as the server's own: [`check_host`]
//! refuses such names, where no token protects the server.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ResponseForProtectionError};

use crate::problem::Problem;
use crate::server::ServerState;

/// Refuses requests of other sites' pages that could change something.
pub(crate) fn cross_origin(
    layer: CsrfLayer,
) -> CsrfLayer<impl ResponseForProtectionError<axum::body::Body> + Send + Sync + 'static> {
    layer.with_rejection_response(|_| {
        refused("the request is from a web page of another site; send it from a program")
            .into_response()
    })
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
