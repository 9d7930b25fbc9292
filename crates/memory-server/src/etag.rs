//! Entity tags: whether an answer is still what the client has.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::Reads;
use crate::problem::{Answer, Problem};

/// The state of an entity that an answer reflects, or a newer one.
pub(crate) struct EntityTag(HeaderValue);

impl EntityTag {
    /// Reads the entity's generation, before the answer is read. Returns the answer
    /// 304 if the client has that generation.
    pub(crate) async fn of(entity: &Reads, headers: &HeaderMap) -> Answer<Result<Self, Response>> {
        let generation = entity.memory.entity_generation(&entity.id).await?;
        // Weak: access counts change without it.
        let text = format!("W/\"{}\"", generation.0);
        let value = HeaderValue::try_from(&text).map_err(|_| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "other",
                "No ETag",
                "no ETag",
            )
        })?;
        let known = headers.get_all(header::IF_NONE_MATCH).iter();
        let mut known = known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|it| it.split(','));
        let tag = Self(value);
        Ok(match known.any(|it| it.trim() == text) {
            true => Err(tag.with(StatusCode::NOT_MODIFIED)),
            false => Ok(tag),
        })
    }

    /// The answer with this tag.
    pub(crate) fn with(self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        response.headers_mut().insert(header::ETAG, self.0);
        response
    }
}
