//! Entities, their counts, and the caches.

use axum::Json;
use axum::response::{IntoResponse, Response};
use memory::EntityId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Everyone, Reads};
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
    responses((status = 200, body = Stats), (status = "default", body = Problem))
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
    tag = "entities",
    params(EntitiesQuery),
    responses((status = 200, body = Entities), (status = "default", body = Problem))
)]
pub(super) async fn list(
    everyone: Everyone,
    Query(query): Query<EntitiesQuery>,
) -> Answer<Json<Entities>> {
    let prefix = everyone.prefix.as_str();
    let mut after: Option<EntityId> = query.after.map(Into::into);
    let mut found: Vec<EntityId> = Vec::new();
    let mut is_last = false;
    // Names are in order, so those with the prefix follow each other. Without an index
    // by prefix, the pages before them are read and left out.
    while found.len() < query.limit && !is_last {
        let page = everyone
            .memory
            .list_entities(after.as_ref(), query.limit)
            .await?;
        is_last = page.len() < query.limit
            || page
                .last()
                .is_some_and(|last| last.as_str() > prefix && !last.as_str().starts_with(prefix));
        after = page.last().cloned();
        found.extend(
            page.into_iter()
                .filter(|name| name.as_str().starts_with(prefix)),
        );
    }
    is_last &= found.len() <= query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| !is_last).cloned();
    Ok(Json(Entities {
        entities: found,
        next,
    }))
}

/// Counters of the caches since the server started
#[utoipa::path(
    get,
    path = "/v1/caches",
    tag = "entities",
    responses((status = 200, body = Object), (status = "default", body = Problem))
)]
pub(super) async fn caches(everyone: Everyone) -> Response {
    Json(everyone.memory.cache_stats()).into_response()
}
