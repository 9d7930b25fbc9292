//! Whether the server runs, and whether it can answer.

use axum::extract::State;
use axum::http::StatusCode;

use crate::problem::{Answer, Problem};
use crate::server::ServerState;

/// Whether the process answers
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 204)))]
pub(super) async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether store and model work
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn ready(State(server): State<ServerState>) -> Answer<StatusCode> {
    server.memory.list_entities(None, 1).await?;
    server.memory.generate_embeddings_batch(["ready"]).await?;
    Ok(StatusCode::NO_CONTENT)
}
