//! Whether the server runs, whether it can answer, and its metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::ProcessAccess;
use crate::problem::{Answer, Problem};
use crate::state::ServerState;

/// Whether the process answers
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 204, description = "Done")))]
pub(super) async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether store and model work
///
/// The store is asked each time. The model's last real call stands for 30 seconds if it
/// succeeded, for 5 seconds if it failed. A problem has the kind of the error; its text is in
/// the server's log.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn ready(State(server): State<ServerState>) -> Answer<StatusCode> {
    server.readiness.check(server.memory).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The media type of Prometheus text.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as Prometheus text, with a token for all entities
///
/// They contain no content and no name of an entity, but numbers of the whole process. 404
/// where the server records none.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "Done", body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn metrics(
    _: ProcessAccess,
    State(server): State<ServerState>,
) -> Answer<Response> {
    let metrics = server.metrics.ok_or_else(|| {
        let detail = "the server records no metrics; memory serve does";
        Problem::new(StatusCode::NOT_FOUND, "no_metrics", "No metrics", detail)
    })?;
    let content_type = [(header::CONTENT_TYPE, PROMETHEUS_TEXT)];
    Ok((content_type, metrics.render()).into_response())
}
