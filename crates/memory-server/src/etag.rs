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
        let tag = Self(value);
        Ok(match is_known(&text, headers) {
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

/// Whether a client has the answer with this tag, by the weak comparison of RFC 9110: a
/// proxy may have made the tag a strong one.
fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|it| it.split(','));
    known.any(|it| opaque(it) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let is_known = |known: &'static str| {
            let value = HeaderValue::from_static(known);
            is_known(
                "W/\"7\"",
                &HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]),
            )
        };
        for same in ["W/\"7\"", "\"7\"", "\"6\", W/\"7\"", "W/\"7\",\"8\""] {
            assert!(is_known(same), "{same}");
        }
        for other in ["", "7", "\"17\"", "W/\"70\"", "*", "w/\"7\""] {
            assert!(!is_known(other), "{other}");
        }
    }
}
