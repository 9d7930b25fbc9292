//! The endpoints.
//!
//! | method and path under `/v1/entities/{entity}` | operation |
//! |---|---|
//! | `POST /memories` | retain one |
//! | `POST /memories/batch` | retain a batch, all or nothing |
//! | `POST /memories/get` | get memories by their ids |
//! | `GET /memories` | a page of the list |
//! | `GET`, `PATCH`, `DELETE /memories/{id}` | get, update, forget |
//! | `GET /memories/{id}/related` | links in both directions |
//! | `PUT`, `DELETE /memories/{id}/related/{to}` | relate, unrelate |
//! | `POST /memories/{id}/undo` | undo a consolidation |
//! | `POST /recall`, `/reflect`, `/count` | questions |
//! | `POST /consolidate`, `/prune`, `/reembed` | maintenance |
//! | `GET /export`, `POST /import` | JSON lines, as a stream |
//! | `GET /stats`, `/models` | counts and generation, memories with vectors of each model |
//! | `DELETE /cache`, `/memories/{id}/cache` | invalidate a cached snapshot, a cached memory |
//!
//! Outside: `GET /v1/entities`, `/v1/caches`, `POST /v1/embeddings`, `GET /health/live`, `/health/ready`, `/metrics`,
//! `/openapi.json`; the page at `/`, with its files under `/inspector/`; and the page at
//! `/docs`, which renders the document.

mod entities;
mod health;
mod links;
mod maintenance;
mod memories;
mod pages;
mod questions;
mod transfer;

use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::schema::BearerTokens;
use crate::state::ServerState;
use crate::time_limit::{TimeLimit, limit_time};

/// The OpenAPI document of the server.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "memory",
        description = "Long-term memory for AI agents and game characters",
        license(name = "MIT OR Apache-2.0")
    ),
    // Without tokens, or with one.
    security((), ("bearer" = [])),
    modifiers(&BearerTokens)
)]
struct Document;

/// All endpoints. Each has `request_timeout` to begin its answer, apart from imports.
pub(crate) fn router(request_timeout: Duration) -> Router<ServerState> {
    let limit = TimeLimit {
        limit: request_timeout,
        effect: None,
    };
    let limited = operations().layer(from_fn_with_state(limit, limit_time));
    let (router, document) = limited.merge(imports()).split_for_parts();
    router
        .merge(pages::router())
        .route(
            "/openapi.json",
            axum::routing::get(async move || Json(document.clone())),
        )
        .fallback(async || {
            let detail = "there is no such endpoint; /openapi.json lists them";
            Problem::new(
                StatusCode::NOT_FOUND,
                "no_endpoint",
                "No such endpoint",
                detail,
            )
        })
        .method_not_allowed_fallback(async || {
            let detail = "the endpoint has no such method; /openapi.json lists them";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "no_method", "No such method", detail)
        })
}

/// The OpenAPI 3.1 document, as `/openapi.json` serves it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    operations().merge(imports()).into_openapi()
}

/// Takes as long as the client sends.
fn imports() -> OpenApiRouter<ServerState> {
    OpenApiRouter::new().routes(routes!(transfer::import))
}

fn operations() -> OpenApiRouter<ServerState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(memories::retain, memories::list))
        .routes(routes!(memories::retain_batch))
        .routes(routes!(memories::get_memories))
        .routes(routes!(memories::get, memories::update, memories::forget))
        .routes(routes!(memories::invalidate_memory_cache))
        .routes(routes!(links::related))
        .routes(routes!(links::relate, links::unrelate))
        .routes(routes!(maintenance::undo))
        .routes(routes!(questions::recall))
        .routes(routes!(questions::reflect))
        .routes(routes!(questions::count))
        .routes(routes!(maintenance::consolidate))
        .routes(routes!(maintenance::prune))
        .routes(routes!(maintenance::reembed))
        .routes(routes!(transfer::export))
        .routes(routes!(entities::stats))
        .routes(routes!(entities::models))
        .routes(routes!(entities::invalidate_entity_cache))
        .routes(routes!(entities::embed))
        .routes(routes!(entities::list))
        .routes(routes!(entities::caches))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}
