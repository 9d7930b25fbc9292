//! Retaining, reading, updating and forgetting memories.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use memory::{ListRequest, MemoryBatchItem, MemoryId, MemoryKind, MemoryPatch};
use memory_json::{ForgetAnswer, Line, ListAnswer, Metadata, Roles, parse_cursor, time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::access::{ConditionalEntity, ReadableEntity, WritableEntity};
use crate::etag::EntityTag;
use crate::filters::{PageQuery, parse_time};
use crate::idempotency::KeyedIds;
use crate::problem::{Answer, Problem};
use crate::request::{Body, Id, Query, Text, check_batch, check_object, parse, present};
use crate::schema::{IdempotencyKey, IfMatch, IfNoneMatch, MemoryInput};
use crate::time_limit::{Effect, Repeat};

/// The id of a retained memory.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retained {
    #[schema(value_type = String, format = Uuid)]
    id: MemoryId,
}

/// The ids of retained memories, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetainedBatch {
    #[schema(value_type = Vec<String>)]
    ids: Vec<MemoryId>,
}

/// Retain one memory
///
/// With the header `Idempotency-Key`, the same request again retains nothing again.
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/memories",
    tag = "memories",
    params(("entity" = String, Path, description = "The entity's name"), IdempotencyKey),
    request_body = MemoryInput,
    responses((status = 201, description = "Stored", body = Retained), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn retain(
    entity: WritableEntity,
    headers: HeaderMap,
    body: Text,
) -> Answer<(StatusCode, Json<Retained>)> {
    let keyed = KeyedIds::new(&headers, &entity.id)?;
    let item = item(&entity, &body.0, keyed.id(0))?;
    let repeat = Repeat::of([&item.id]);
    let memory = entity.begin(Effect::NewMemory(repeat));
    let ids = memory.retain_batch([item]).await;
    let ids = ids.map_err(|error| keyed.explain(error.without_item(), repeat))?;
    let id = ids.into_iter().next();
    let id = id.ok_or_else(|| Problem::invalid_input("no memory was given"))?;
    Ok((StatusCode::CREATED, Json(Retained { id })))
}

/// A batch of memories.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch<'a> {
    /// The memories, of the entity in the path, at most 1,000.
    #[serde(borrow)]
    #[schema(value_type = Vec<MemoryInput>, max_items = 1000)]
    memories: Vec<&'a RawValue>,
}

/// Retain a batch, all or nothing
///
/// With the header `Idempotency-Key`, the same request again retains nothing again.
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/memories/batch",
    tag = "memories",
    params(("entity" = String, Path, description = "The entity's name"), IdempotencyKey),
    request_body = Batch<'static>,
    responses((status = 201, description = "Stored", body = RetainedBatch), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn retain_batch(
    entity: WritableEntity,
    headers: HeaderMap,
    body: Text,
) -> Answer<(StatusCode, Json<RetainedBatch>)> {
    let keyed = KeyedIds::new(&headers, &entity.id)?;
    check_object(&body.0)?;
    let batch: Batch<'_> = parse(&body.0)?;
    check_batch("memories", batch.memories.len()).map_err(|problem| {
        problem.with_advice("send several batches, or use /import, which has no such limit")
    })?;
    let items = batch.memories.iter().enumerate().map(|(index, text)| {
        let item = item(&entity, text.get(), keyed.id(index));
        item.map_err(|problem| problem.in_batch(index))
    });
    let items: Vec<MemoryBatchItem> = items.collect::<Result<_, _>>()?;
    let repeat = Repeat::of(items.iter().map(|item| &item.id));
    let memory = entity.begin(Effect::Batch(repeat));
    let ids = memory.retain_batch(items).await;
    let ids = ids.map_err(|error| keyed.explain(error, repeat))?;
    Ok((StatusCode::CREATED, Json(RetainedBatch { ids })))
}

/// Parses a memory of the entity in the path.
fn item(entity: &WritableEntity, text: &str, id: Option<MemoryId>) -> Answer<MemoryBatchItem> {
    if !text.trim_start().starts_with('{') {
        return Err(Problem::invalid_input("a memory must be one JSON object"));
    }
    let parsed = memory_json::parse(text, Some(&entity.id)).map_err(Problem::invalid_input)?;
    if let Some(key) = parsed.import_only_key() {
        return Err(Problem::invalid_input(format!(
            "`{key}` is restored by an import alone, as a new memory has none; leave it out, or \
             use /import"
        )));
    }
    let mut item = parsed.item;
    if item.entity_id != entity.id {
        return Err(Problem::invalid_input(
            "`entity` is not the entity in the path; leave it out, or use the other path",
        ));
    }
    item.id = item.id.or(id);
    Ok(item)
}

/// List memories, newest first
///
/// The answer has an `ETag`, which changes when the entity is written to: with
/// `If-None-Match`, an unchanged page is answered with 304.
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/memories",
    operation_id = "list_memories",
    tag = "memories",
    params(("entity" = String, Path, description = "The entity's name"), PageQuery, IfNoneMatch),
    responses((status = 200, description = "Done", body = ListAnswer<'static>), (status = 304, description = "Unchanged since the given entity tag"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    entity: ReadableEntity,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Answer<Response> {
    let mut request = ListRequest::new(query.limit)
        .filter(query.filter()?)
        .scope(query.scope()?);
    let after = query.after.as_deref().map(parse_cursor).transpose();
    request.after = after.map_err(|why| Problem::invalid_input(format!("`after`: {why}")))?;
    request.validate()?;
    let as_of = parse_time("as_of", query.as_of.as_deref())?;
    let tag = EntityTag::read(&entity, &headers).await?;
    if let Some(not_modified) = tag.not_modified()? {
        return Ok(not_modified);
    }
    let page = match as_of {
        Some(as_of) => {
            entity
                .memory
                .list_memories_as_of(entity.id, as_of, &request)
                .await?
        }
        None => entity.memory.list_memories(entity.id, &request).await?,
    };
    Ok(tag.with(Json(ListAnswer::from(&*page))))
}

/// Read one memory
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/memories/{id}",
    tag = "memories",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory's id"),
        IfNoneMatch
    ),
    responses((status = 200, description = "Done", body = Line<'static>), (status = 304, description = "Unchanged since the given entity tag"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn get(
    entity: ReadableEntity,
    headers: HeaderMap,
    Id(id): Id,
) -> Answer<Response> {
    let tag = EntityTag::read(&entity, &headers).await?;
    // First whether it exists: the tag is that of the entity.
    let memory = entity.memory.get_memory(entity.id, id).await?;
    if let Some(not_modified) = tag.not_modified()? {
        return Ok(not_modified);
    }
    Ok(tag.with(Json(Line::from(&*memory))))
}

/// Memories to read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetMemories {
    /// The ids, at most 1,000.
    #[schema(value_type = Vec<String>, max_items = 1000)]
    ids: Vec<MemoryId>,
}

/// The memories of a request by ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Memories<'a> {
    /// One for each id, in their order; `null` where the entity has no such memory.
    memories: Vec<Option<Line<'a>>>,
}

/// Read memories by their ids
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/memories/get",
    tag = "memories",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = GetMemories,
    responses((status = 200, description = "Done", body = Memories<'static>), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn get_memories(
    entity: ReadableEntity,
    Body(request): Body<GetMemories>,
) -> Answer<Response> {
    check_batch("ids", request.ids.len())?;
    let found = entity.memory.get_memories(entity.id, request.ids).await?;
    let found = found.iter().map(|it| it.as_deref().map(Line::from));
    let memories = found.collect();
    Ok(Json(Memories { memories }).into_response())
}

/// Remove a memory from the cache
///
/// Only needed after changes of the database by hand.
#[utoipa::path(
    delete,
    path = "/v1/entities/{entity}/memories/{id}/cache",
    tag = "memories",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory's id")
    ),
    responses((status = 204, description = "Done"), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn invalidate_memory_cache(
    entity: WritableEntity,
    Id(id): Id,
) -> Answer<StatusCode> {
    let memory = entity.begin(Effect::Write);
    // The cache is asked for an id alone, whosever memory it is.
    memory.get_memory(&entity.id, id).await?;
    memory.invalidate_memory_cache(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Parts of a memory to change. What is missing or `null` stays, but `context: null` removes
/// the context.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Update {
    /// New text, embedded again.
    content: Option<String>,
    /// New kind.
    #[schema(value_type = Option<String>)]
    kind: Option<MemoryKind>,
    /// New time, RFC 3339.
    #[serde(deserialize_with = "time::deserialize")]
    timestamp: Option<chrono::DateTime<chrono::Utc>>,
    /// New importance, 0 to 1.
    importance: Option<f32>,
    /// New episode.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    context: Option<Option<String>>,
    /// New tags, in place of all old ones.
    tags: Option<BTreeSet<String>>,
    /// New metadata, in place of all old. A number or a boolean becomes its text.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// New participants, in place of all old ones.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    entities: Option<Roles>,
}

impl From<Update> for MemoryPatch {
    fn from(update: Update) -> Self {
        let mut patch = Self::new();
        patch.content = update.content;
        patch.kind = update.kind;
        patch.timestamp = update.timestamp;
        patch.importance = update.importance;
        patch.context = update.context;
        patch.tags = update.tags;
        patch.metadata = update.metadata.map(|metadata| metadata.0);
        patch.entities = update.entities.map(|entities| {
            let entities = entities.0.into_iter();
            entities.map(|(name, role)| (name.into(), role)).collect()
        });
        patch
    }
}

/// Change parts of a memory
#[utoipa::path(
    patch,
    path = "/v1/entities/{entity}/memories/{id}",
    tag = "memories",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory's id"),
        IfMatch
    ),
    request_body = Update,
    responses((status = 200, description = "Done", body = Line<'static>), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn update(
    entity: ConditionalEntity,
    Id(id): Id,
    Body(update): Body<Update>,
) -> Answer<Response> {
    let patch = MemoryPatch::from(update);
    let owner = entity.id.clone();
    let altering = entity.write(id, |memory| async move {
        memory.alter_memory(owner, id, patch).await
    });
    Ok(Json(Line::from(&*altering.await?)).into_response())
}

/// How to forget.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForgetQuery {
    /// Keeps what a summary replaced: it is live again.
    #[serde(default)]
    #[param(default = false)]
    keep_sources: bool,
}

/// Forget a memory permanently
///
/// Removes the memory, what it replaced, and every summary made from it. With
/// `keep_sources`, what it replaced is live again.
#[utoipa::path(
    delete,
    path = "/v1/entities/{entity}/memories/{id}",
    tag = "memories",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The memory's id"),
        ForgetQuery,
        IfMatch
    ),
    responses((status = 200, description = "Done", body = ForgetAnswer), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn forget(
    entity: ConditionalEntity,
    Id(id): Id,
    Query(query): Query<ForgetQuery>,
) -> Answer<Json<ForgetAnswer>> {
    let owner = entity.id.clone();
    let forgetting = entity.write(id, |memory| async move {
        match query.keep_sources {
            true => memory.delete_memory(owner, id).await,
            false => memory.forget(owner, id).await,
        }
    });
    let mut gone = forgetting.await?;
    gone.sort_unstable();
    Ok(Json(ForgetAnswer {
        forgotten: id,
        gone,
    }))
}
