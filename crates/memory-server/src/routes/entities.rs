//! Entities, their counts, and the caches.

use axum::Json;
use axum::response::{IntoResponse, Response};
use memory::EntityId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Everyone, Reads};
use crate::entity_names;
use crate::problem::{Answer, Problem};
use crate::request::Query;

/// The counts of an entity; all are 0 for one that has no memories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Live memories.
    memories: u64,
    /// Archived memories.
    archived: u64,
    /// How often it was written to.
    generation: u64,
}

/// Count an entity's memories
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/stats",
    tag = "entities",
    params(("entity" = String, Path, description = "The entity's name")),
    responses((status = 200, description = "Done", body = Stats), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn stats(entity: Reads) -> Answer<Json<Stats>> {
    let stats = entity.memory.entity_stats(entity.id).await?;
    Ok(Json(Stats {
        memories: stats.memory_count,
        archived: stats.archived_count,
        generation: stats.generation.0,
    }))
}

/// A page of entities.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntitiesQuery {
    /// The most entities, 1 to 1,000.
    #[serde(default = "default_limit")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: usize,
    /// The last entity of the page before.
    after: Option<String>,
}

const fn default_limit() -> usize {
    100
}

/// Names of entities.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entities {
    /// In the order of their names.
    #[schema(value_type = Vec<String>)]
    entities: Vec<EntityId>,
    /// What to give as `after` for the next page; `null` on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<EntityId>,
}

/// List the entities that the token covers, by name
#[utoipa::path(
    get,
    path = "/v1/entities",
    operation_id = "list_entities",
    tag = "entities",
    params(EntitiesQuery),
    responses((status = 200, description = "Done", body = Entities), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    everyone: Everyone,
    Query(query): Query<EntitiesQuery>,
) -> Answer<Json<Entities>> {
    let after = query.after.map(Into::into);
    let names = entity_names::list(&everyone.memory, &everyone.prefix, after, query.limit);
    let (entities, next) = names.await?;
    Ok(Json(Entities { entities, next }))
}

/// Counters of the caches since the server started
#[utoipa::path(
    get,
    path = "/v1/caches",
    tag = "entities",
    responses((status = 200, description = "Done", body = Object), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn caches(everyone: Everyone) -> Response {
    Json(everyone.memory.cache_stats()).into_response()
}
