//! Consolidating, pruning and embedding again.

use std::num::NonZeroU32;

use axum::Json;
use axum::response::{IntoResponse, Response};
use memory::{ConsolidateRequest, ConsolidationReport, MemoryFilter, ReembedRequest};
use memory_json::{PruneAnswer, UndoAnswer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{ConditionalEntity, WritableEntity};
use crate::filters::Filter;
use crate::problem::{Answer, Problem};
use crate::request::{Body, Id};
use crate::schema::IfMatch;
use crate::time_limit::Effect;

/// What to consolidate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consolidate {
    /// Which memories may be summarized.
    #[serde(default)]
    filter: Filter,
    /// The least cosine similarity within a group, -1 to 1; 0.9 if missing.
    min_similarity: Option<f32>,
    /// Only if the entity has at least as many memories since the last time as the server's
    /// setting `consolidation_threshold`; without the other two. To be called from time to
    /// time, such as after a session.
    #[serde(default)]
    if_needed: bool,
}

/// What a consolidation did.
#[derive(Serialize)]
struct ConsolidateAnswer {
    /// Whether the entity was consolidated.
    #[serde(skip_serializing_if = "Option::is_none")]
    was_needed: Option<bool>,
    #[serde(flatten)]
    report: ConsolidationReport,
}

/// Replace each group of near-duplicates by one summary
///
/// Answers `{"summaries": [{"id", "sources"}], "skipped": [{"sources", "reason"}]}`, and with
/// `if_needed` also `was_needed`.
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/consolidate",
    tag = "maintenance",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Consolidate,
    responses((status = 200, description = "Done", body = Object), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn consolidate(
    entity: WritableEntity,
    Body(body): Body<Consolidate>,
) -> Answer<Response> {
    let filter = MemoryFilter::from(body.filter);
    if body.if_needed {
        if filter != MemoryFilter::new() || body.min_similarity.is_some() {
            return Err(Problem::invalid_input(
                "`if_needed` consolidates with the server's settings; leave out `filter` and \
                 `min_similarity`",
            ));
        }
        let memory = entity.begin(Effect::Maintenance);
        let report = memory.auto_consolidate_if_needed(&entity.id).await?;
        let answer = ConsolidateAnswer {
            was_needed: Some(report.is_some()),
            report: report.unwrap_or_default(),
        };
        return Ok(Json(answer).into_response());
    }
    let mut request = ConsolidateRequest::new();
    request.filter = filter;
    if let Some(min_similarity) = body.min_similarity {
        request.min_similarity = min_similarity;
    }
    let memory = entity.begin(Effect::Maintenance);
    let answer = ConsolidateAnswer {
        was_needed: None,
        report: memory.consolidate_with(&entity.id, request).await?,
    };
    Ok(Json(answer).into_response())
}

/// Remove a summary and restore what it replaced
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/memories/{id}/undo",
    tag = "maintenance",
    params(
        ("entity" = String, Path, description = "The entity's name"),
        ("id" = String, Path, description = "The summary's id"),
        IfMatch
    ),
    responses((status = 200, description = "Done", body = UndoAnswer), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn undo(entity: ConditionalEntity, Id(id): Id) -> Answer<Json<UndoAnswer>> {
    let owner = entity.id.clone();
    let undoing = entity.write(id, |memory| async move {
        memory.undo_consolidation(owner, id).await
    });
    let mut restored = undoing.await?;
    restored.sort_unstable();
    Ok(Json(UndoAnswer { restored }))
}

/// What to prune.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    /// The number of memories to keep at least.
    keep: u64,
}

/// Remove memories whose importance has decayed
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/prune",
    tag = "maintenance",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Prune,
    responses((status = 200, description = "Done", body = PruneAnswer), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn prune(
    entity: WritableEntity,
    Body(body): Body<Prune>,
) -> Answer<Json<PruneAnswer>> {
    let memory = entity.begin(Effect::Maintenance);
    let pruning = memory.prune_low_importance_memories(&entity.id, body.keep);
    Ok(Json(PruneAnswer {
        removed: pruning.await?,
    }))
}

/// What to embed again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reembed {
    /// Every memory, also those with vectors of the current model.
    force: bool,
    /// Keeps the vectors of other models, for processes that still use them.
    keep_others: bool,
    /// At most so many memories a second, on average, so that other work has the processor;
    /// as many as it can if missing.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_per_second: Option<NonZeroU32>,
}

/// How many memories were embedded again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reembedded {
    /// Memories read, live and archived.
    checked: u64,
    /// Memories with new vectors.
    reembedded: u64,
    /// Memories whose vectors of other models were removed.
    cleared: u64,
    /// Whether every memory has vectors of the current model.
    is_complete: bool,
}

/// Compute the vectors that memories lack
///
/// Where that takes longer than a request may, the vectors until then stay, and the same
/// request computes the rest. With `force` it begins from the start: the command
/// `memory reembed --force` has no such limit.
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/reembed",
    tag = "maintenance",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Reembed,
    responses((status = 200, description = "Done", body = Reembedded), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn reembed(
    entity: WritableEntity,
    Body(body): Body<Reembed>,
) -> Answer<Json<Reembedded>> {
    let mut request = ReembedRequest::new()
        .all(body.force)
        .keep_others(body.keep_others);
    request.max_per_second = body.max_per_second;
    let memory = entity.begin(match body.force {
        true => Effect::AllVectors,
        false => Effect::Maintenance,
    });
    let report = memory.reembed(&entity.id, request).await?;
    Ok(Json(Reembedded {
        checked: report.checked,
        reembedded: report.reembedded,
        cleared: report.cleared,
        is_complete: report.is_complete,
    }))
}
