//! Entity tags: which state of an entity an answer reflects, and whether a client has it.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use memory::Generation;

use crate::access::Reads;
use crate::problem::{Answer, Problem};

/// The state of an entity that an answer reflects, or a newer one.
pub(crate) struct EntityTag {
    text: String,
    is_known: bool,
}

impl EntityTag {
    /// Reads the entity's generation, before the answer is read.
    ///
    /// # Errors
    /// 412 where `If-Match` names other states.
    pub(crate) async fn read(entity: &Reads, headers: &HeaderMap) -> Answer<Self> {
        let generation = entity.memory.entity_generation(&entity.id).await?;
        let text = format(generation);
        if TagList::of(headers, &header::IF_MATCH).is_some_and(|it| !it.contains(&text)) {
            return Err(changed(text));
        }
        let known = TagList::of(headers, &header::IF_NONE_MATCH);
        let is_known = known.is_some_and(|it| it.contains(&text));
        Ok(Self { text, is_known })
    }

    /// The answer 304 if the client has this state; for what exists.
    pub(crate) fn not_modified(&self) -> Option<Response> {
        let tag = [(header::ETAG, self.text.as_str())];
        self.is_known
            .then(|| (StatusCode::NOT_MODIFIED, tag).into_response())
    }

    /// The answer with this tag.
    pub(crate) fn with(self, answer: impl IntoResponse) -> Response {
        ([(header::ETAG, self.text)], answer).into_response()
    }
}

/// The tag of a state. It is weak, as access counts change without it.
pub(crate) fn format(generation: Generation) -> String {
    format!("W/\"{}\"", generation.0)
}

/// The problem of a request that is for another state than the current one.
pub(crate) fn changed(current: String) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        "The entity changed",
        format!(
            "If-Match has the tag of another state of the entity than the current one, which is \
             {current}: it was written to since, perhaps another memory of it; read again, then \
             repeat the request with the tag of that answer"
        ),
    )
    .with_etag(current)
}

/// The entity tags in a header, in all of its lines.
#[derive(Clone)]
pub(crate) struct TagList(String);

impl TagList {
    /// Reads a header; `None` for a request without it.
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines = headers.get_all(name).iter();
        // What is not text is no tag of this server.
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("")).collect();
        (!lines.is_empty()).then(|| Self(lines.join(",")))
    }

    /// Whether it has this tag, or `*`, which stands for every state.
    ///
    /// Tags are compared weakly, also those of `If-Match`: all tags here are weak, and a
    /// proxy may have made one strong.
    pub(crate) fn contains(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        let mut listed = self.0.split(',').map(str::trim);
        listed.any(|it| it == "*" || opaque(it) == opaque(tag))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let contains = |lines: &[&'static str]| {
            let values = lines.iter().map(|line| HeaderValue::from_static(line));
            let mut headers = HeaderMap::new();
            values.for_each(|value| {
                headers.append(header::IF_NONE_MATCH, value);
            });
            let list = TagList::of(&headers, &header::IF_NONE_MATCH).unwrap();
            list.contains("W/\"7\"")
        };
        for same in ["W/\"7\"", "\"7\"", "\"6\", W/\"7\"", "W/\"7\",\"8\"", "*"] {
            assert!(contains(&[same]), "{same}");
        }
        assert!(contains(&["\"6\"", "\"7\""]));
        for other in ["", "7", "\"17\"", "W/\"70\"", "\"*\"", "w/\"7\""] {
            assert!(!contains(&[other]), "{other}");
        }
        assert!(TagList::of(&HeaderMap::new(), &header::IF_MATCH).is_none());
    }
}
