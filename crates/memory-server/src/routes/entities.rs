//! Entities, their counts, and the caches.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use memory::EntityId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{ProcessAccess, ReadableEntities, ReadableEntity, WritableEntity};
use crate::conditional_write::refuse_preconditions;
use crate::entity_names;
use crate::etag::EntityTag;
use crate::problem::{Answer, Problem};
use crate::request::{Body, Query, check_batch};
use crate::schema::IfNoneMatch;
use crate::time_limit::Effect;

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
    params(("entity" = String, Path, description = "The entity's name"), IfNoneMatch),
    responses((status = 200, description = "Done", body = Stats), (status = 304, description = "Unchanged since the given entity tag"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn stats(entity: ReadableEntity, headers: HeaderMap) -> Answer<Response> {
    let tag = EntityTag::read(&entity, &headers).await?;
    if let Some(not_modified) = tag.not_modified()? {
        return Ok(not_modified);
    }
    let stats = entity.memory.entity_stats(entity.id).await?;
    Ok(tag.with(Json(Stats {
        memories: stats.memory_count,
        archived: stats.archived_count,
        generation: stats.generation.0,
    })))
}

/// The models whose vectors an entity has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Models {
    /// In the order of their fingerprints.
    models: Vec<ModelCount>,
}

/// How many memories have vectors of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelCount {
    /// The fingerprint of the model.
    model: String,
    /// Live and archived memories with a vector of it.
    memories: u64,
}

/// Count the memories that have vectors of each model
///
/// While an entity is embedded again, a memory may count under two models.
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/models",
    tag = "entities",
    params(("entity" = String, Path, description = "The entity's name")),
    responses((status = 200, description = "Done", body = Models), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn models(entity: ReadableEntity) -> Answer<Json<Models>> {
    let counts = entity.memory.count_by_model(entity.id).await?;
    let models = counts.into_iter().map(|(model, memories)| ModelCount {
        model: model.as_str().to_owned(),
        memories,
    });
    let models = models.collect();
    Ok(Json(Models { models }))
}

/// Remove an entity's snapshot from the cache
///
/// Only needed after changes of the database by hand. Memories that were read by their ids
/// stay cached; each has an endpoint of its own.
#[utoipa::path(
    delete,
    path = "/v1/entities/{entity}/cache",
    tag = "entities",
    params(("entity" = String, Path, description = "The entity's name")),
    responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn invalidate_entity_cache(entity: WritableEntity) -> Answer<StatusCode> {
    entity.id.validate()?;
    entity
        .begin(Effect::Write)
        .invalidate_entity_cache(&entity.id);
    Ok(StatusCode::NO_CONTENT)
}

/// A page of entities.
#[derive(Debug, Deserialize, IntoParams)]
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
    everyone: ReadableEntities,
    Query(query): Query<EntitiesQuery>,
) -> Answer<Json<Entities>> {
    let after = query.after.map(Into::into);
    let names = entity_names::list(&everyone.memory, &everyone.prefix, after, query.limit);
    let (entities, next) = names.await?;
    Ok(Json(Entities { entities, next }))
}

/// Counters of the caches since the server started, with a token for all entities
#[utoipa::path(
    get,
    path = "/v1/caches",
    tag = "entities",
    responses((status = 200, description = "Done", body = Object), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn caches(process: ProcessAccess) -> Response {
    Json(process.memory.cache_stats()).into_response()
}

/// Texts to embed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// At most 1,000, each 1 to 10,000 characters.
    #[schema(max_items = 1000)]
    texts: Vec<String>,
}

/// Vectors of texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Vectors {
    /// One of the length 1 for each text, in their order.
    #[schema(value_type = Vec<Vec<f32>>)]
    vectors: Vec<Arc<[f32]>>,
}

/// Embed texts as the contents of memories are, with a token for all entities
///
/// Nothing is retained, but the vectors are cached, as those of memories are: a text that is
/// cached costs nothing, each other one a call of the model.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "entities",
    request_body = Texts,
    responses((status = 200, description = "Done", body = Vectors), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn embed(
    process: ProcessAccess,
    headers: HeaderMap,
    Body(request): Body<Texts>,
) -> Answer<Json<Vectors>> {
    refuse_preconditions(&headers)?;
    check_batch("texts", request.texts.len())?;
    let vectors = process.memory.generate_embeddings_batch(request.texts);
    let vectors = vectors.await?;
    Ok(Json(Vectors { vectors }))
}
