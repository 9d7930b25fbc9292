//! Links between memories.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use memory::MemoryId;
use memory_json::{RelatedAnswer, count_omitted_links};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::{ConditionalEntity, ReadableEntity};
use crate::etag::EntityTag;
use crate::problem::{Answer, Problem};
use crate::request::{Body, Id};
use crate::schema::{IfMatch, IfNoneMatch};

/// List the links of a memory, in both directions
///
/// At most 1,000 links of other memories to it, of live ones, the newest first; `omitted` counts
/// the others.
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/memories/{id}/related",
    tag = "links",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory's id"),
        IfNoneMatch
    ),
    responses((status = 200, description = "Done", body = RelatedAnswer<'static>), (status = 304, description = "Unchanged since the given entity tag"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn related(
    entity: ReadableEntity,
    headers: HeaderMap,
    Id(id): Id,
) -> Answer<Response> {
    let tag = EntityTag::read(&entity, &headers).await?;
    let related = entity.memory.related(&entity.id, id).await?;
    let omitted = count_omitted_links(&entity.memory, &entity.id, id, &related).await?;
    if let Some(not_modified) = tag.not_modified()? {
        return Ok(not_modified);
    }
    Ok(tag.with(Json(RelatedAnswer::new(&related, omitted))))
}

/// A relation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relation {
    /// Such as "caused by"; at most 128 characters.
    relation: String,
}

#[derive(Deserialize)]
pub(crate) struct LinkPath {
    to: String,
}

fn target(path: &LinkPath) -> Answer<MemoryId> {
    let id = path.to.parse();
    id.map_err(|_| Problem::invalid_input("the second id in the path is not a UUID"))
}

/// Link a memory to another
#[utoipa::path(
    put,
    path = "/v1/entities/{entity}/memories/{id}/related/{to}",
    tag = "links",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory that links"),
        ("to" = String, Path, description = "The memory that it links to"),
        IfMatch
    ),
    request_body = Relation,
    responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn relate(
    entity: ConditionalEntity,
    Id(from): Id,
    Path(path): Path<LinkPath>,
    Body(link): Body<Relation>,
) -> Answer<StatusCode> {
    let to = target(&path)?;
    let owner = entity.id.clone();
    let linking = entity.write(from, |memory| async move {
        memory.relate(owner, from, to, link.relation).await
    });
    linking.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the link from a memory to another
#[utoipa::path(
    delete,
    path = "/v1/entities/{entity}/memories/{id}/related/{to}",
    tag = "links",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory that links"),
        ("to" = String, Path, description = "The memory that it links to"),
        IfMatch
    ),
    responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn unrelate(
    entity: ConditionalEntity,
    Id(from): Id,
    Path(path): Path<LinkPath>,
) -> Answer<StatusCode> {
    let to = target(&path)?;
    let owner = entity.id.clone();
    let unlinking = entity.write(from, |memory| async move {
        memory.unrelate(owner, from, to).await
    });
    unlinking.await?;
    Ok(StatusCode::NO_CONTENT)
}
