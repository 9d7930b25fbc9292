//! Recall, reflect and count.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use memory::{RecallRequest, ReflectRequest};
use memory_json::{RankingName, RecallAnswer, ReflectAnswer, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::ReadableEntity;
use crate::filters::Filter;
use crate::problem::{Answer, Problem};
use crate::request::Body;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recall {
    /// The question, 1 to 10,000 characters.
    text: String,
    /// Which memories may answer.
    #[serde(default)]
    filter: Filter,
    /// The most memories, 1 to 1,000.
    #[serde(default = "default_limit")]
    #[schema(default = 10, minimum = 1, maximum = 1000)]
    limit: usize,
    /// The least cosine similarity, -1 to 1.
    min_similarity: Option<f32>,
    /// The least relevance, 0 to 1.
    min_relevance: Option<f32>,
    /// How the results are ordered: `default` by meaning, words and neighbors, where
    /// importance and recency settle ties; `weighted_sum` by 60 % similarity, 30 %
    /// importance and 10 % recency.
    #[serde(default)]
    ranking: RankingName,
    /// What was known at this RFC 3339 time.
    #[serde(default, deserialize_with = "time::deserialize")]
    as_of: Option<DateTime<Utc>>,
    /// Whether each score is explained.
    #[serde(default)]
    explain: bool,
    /// The text's vector, where the server's model computed it elsewhere: as many finite
    /// numbers as the model has dimensions, not all 0, of any length. The model is not
    /// called then; the text is still needed for its words.
    vector: Option<Vec<f32>>,
}

const fn default_limit() -> usize {
    RecallRequest::DEFAULT_LIMIT
}

impl From<Recall> for RecallRequest {
    fn from(recall: Recall) -> Self {
        let mut request = Self::new(recall.text)
            .filter(recall.filter.into())
            .limit(recall.limit)
            .ranking(recall.ranking.into());
        request.min_similarity = recall.min_similarity;
        request.min_relevance = recall.min_relevance;
        request.as_of = recall.as_of;
        request.vector = recall.vector;
        request
    }
}

/// Recall what matters to a text, best first
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/recall",
    tag = "questions",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Recall,
    responses((status = 200, description = "Done", body = RecallAnswer<'static>), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn recall(entity: ReadableEntity, Body(recall): Body<Recall>) -> Answer<Response> {
    let explain = recall.explain;
    let request = RecallRequest::from(recall);
    let report = entity.memory.recall_report(entity.id, &request).await?;
    let answer = RecallAnswer::new(&report, explain).with_parts(&request.ranking);
    Ok(Json(answer).into_response())
}

/// A question whose answer is put into a prompt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reflect {
    /// The question.
    recall: Recall,
    /// The most characters of memories, 1 to 1,000,000.
    #[serde(default = "default_chars")]
    #[schema(default = 12_000, minimum = 1, maximum = 1_000_000)]
    max_chars: usize,
}

const fn default_chars() -> usize {
    ReflectRequest::DEFAULT_CONTEXT_CHARS
}

/// Recall, and quote the memories as data for a prompt
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/reflect",
    tag = "questions",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Reflect,
    responses((status = 200, description = "Done", body = ReflectAnswer<'static>), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn reflect(
    entity: ReadableEntity,
    Body(reflect): Body<Reflect>,
) -> Answer<Response> {
    let request = ReflectRequest::new(RecallRequest::from(reflect.recall))
        .max_context_chars(reflect.max_chars);
    let reflection = entity.memory.reflect(entity.id, request).await?;
    Ok(Json(ReflectAnswer::from(&reflection)).into_response())
}

/// A number of memories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    count: u64,
}

/// Count the memories that a filter matches
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/count",
    tag = "questions",
    params(("entity" = String, Path, description = "The entity's name")),
    request_body = Filter,
    responses((status = 200, description = "Done", body = Count), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn count(
    entity: ReadableEntity,
    Body(filter): Body<Filter>,
) -> Answer<Json<Count>> {
    let count = entity
        .memory
        .count_memories(entity.id, memory::MemoryFilter::from(filter))
        .await?;
    Ok(Json(Count { count }))
}
