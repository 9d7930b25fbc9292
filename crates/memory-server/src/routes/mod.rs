//! The endpoints.
//!
//! | method and path under `/v1/entities/{entity}` | operation |
//! |---|---|
//! | `POST /memories` | retain one |
//! | `POST /memories/batch` | retain a batch, all or nothing |
//! | `GET /memories` | a page of the list |
//! | `GET`, `PATCH`, `DELETE /memories/{id}` | get, update, forget |
//! | `GET /memories/{id}/related` | links in both directions |
//! | `PUT`, `DELETE /memories/{id}/related/{to}` | relate, unrelate |
//! | `POST /memories/{id}/undo` | undo a consolidation |
//! | `POST /recall`, `/reflect`, `/count` | questions |
//! | `POST /consolidate`, `/prune`, `/reembed` | maintenance |
//! | `GET /stats` | counts and generation |
//!
//! Outside: `GET /v1/entities`, `/v1/caches`, `/health/live`, `/health/ready`, `/metrics`,
//! `/openapi.json`; and the page at `/`, with its files under `/inspector/`.

mod entities;
mod health;
mod inspector;
mod links;
mod maintenance;
mod memories;
mod questions;

use axum::http::StatusCode;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::server::ServerState;

/// The OpenAPI document of the server.
#[derive(OpenApi)]
#[openapi(info(
    title = "memory",
    description = "Long-term memory for AI agents and game characters",
    license(name = "MIT OR Apache-2.0")
))]
struct Document;

pub(crate) fn router() -> Router<ServerState> {
    let (router, document) = routes().split_for_parts();
    router
        .merge(inspector::router())
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
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<ServerState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(memories::retain, memories::list))
        .routes(routes!(memories::retain_batch))
        .routes(routes!(memories::get, memories::update, memories::forget))
        .routes(routes!(links::related))
        .routes(routes!(links::relate, links::unrelate))
        .routes(routes!(maintenance::undo))
        .routes(routes!(questions::recall))
        .routes(routes!(questions::reflect))
        .routes(routes!(questions::count))
        .routes(routes!(maintenance::consolidate))
        .routes(routes!(maintenance::prune))
        .routes(routes!(maintenance::reembed))
        .routes(routes!(entities::stats))
        .routes(routes!(entities::list))
        .routes(routes!(entities::caches))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}
