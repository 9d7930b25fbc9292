//! Entity tags: which state of an entity an answer reflects, and whether a client has it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use memory::{Consistency, Generation, MemorySystem};

use crate::access::ReadableEntity;
use crate::problem::{Answer, Problem};

/// The state of an entity that an answer reflects, or an older one.
///
/// Answers have a tag only where every read sees all that was committed before it began. With
/// another consistency the tiers may answer with something older than the tag, by which a
/// client would keep an old answer, or overwrite what it has not seen.
pub(crate) struct EntityTag {
    text: Option<String>,
    outcome: Outcome,
}

/// What the preconditions of a request that reads demand.
enum Outcome {
    Read,
    NotModified,
    Changed,
}

impl EntityTag {
    /// Reads the entity's generation, before the answer is read.
    ///
    /// # Errors
    /// Headers that are not lists of tags; `If-Match` where answers have no tags.
    pub(crate) async fn read(entity: &ReadableEntity, headers: &HeaderMap) -> Answer<Self> {
        let expected = TagList::of(headers, &header::IF_MATCH)?;
        let known = TagList::of(headers, &header::IF_NONE_MATCH)?;
        if !are_tags_exact(&entity.memory) {
            return match expected {
                Some(_) => Err(no_tags()),
                None => Ok(Self {
                    text: None,
                    outcome: Outcome::Read,
                }),
            };
        }
        let text = format(entity.memory.entity_generation(&entity.id).await?);
        let outcome = if expected.is_some_and(|it| !it.contains(&text)) {
            Outcome::Changed
        } else if known.is_some_and(|it| it.contains(&text)) {
            Outcome::NotModified
        } else {
            Outcome::Read
        };
        let text = Some(text);
        Ok(Self { text, outcome })
    }

    /// The answer 304 if the client has this state. To be called when it is known that what
    /// was asked for exists: what does not is 404, whatever the preconditions say.
    ///
    /// # Errors
    /// 412 where `If-Match` names other states.
    pub(crate) fn not_modified(&self) -> Answer<Option<Response>> {
        let tag = self.text.clone().unwrap_or_default();
        match self.outcome {
            Outcome::Read => Ok(None),
            Outcome::NotModified => {
                let tag = [(header::ETAG, tag)];
                Ok(Some((StatusCode::NOT_MODIFIED, tag).into_response()))
            }
            Outcome::Changed => Err(changed(tag)),
        }
    }

    /// The answer with this tag.
    pub(crate) fn with(self, answer: impl IntoResponse) -> Response {
        match self.text {
            Some(text) => ([(header::ETAG, text)], answer).into_response(),
            None => answer.into_response(),
        }
    }
}

/// Whether a read sees everything that was committed before it began, so that an answer that
/// is read after a generation is that state or a newer one.
pub(crate) fn are_tags_exact(memory: &MemorySystem) -> bool {
    memory.consistency() == Consistency::Checked
}

/// The problem of a request with `If-Match` where answers have no tags.
pub(crate) fn no_tags() -> Problem {
    Problem::invalid_input(
        "answers of this server have no ETag, as its setting `consistency` allows reads that are \
         older than the store; leave out If-Match, or set `consistency` to checked",
    )
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
pub(crate) enum TagList {
    /// `*`, which stands for every state.
    Any,
    /// The quoted parts of the tags.
    Tags(Vec<Vec<u8>>),
}

impl TagList {
    /// Reads a header; `None` for a request without it.
    ///
    /// # Errors
    /// What is neither `*` nor a list of tags (RFC 9110, 8.8.3).
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Answer<Option<Self>> {
        let lines = headers.get_all(name).iter();
        let lines: Vec<_> = lines.map(HeaderValue::as_bytes).collect();
        if lines.is_empty() {
            return Ok(None);
        }
        match Self::parse(&lines.join(&b',')) {
            Some(list) => Ok(Some(list)),
            None => Err(Problem::invalid_input(format!(
                "{name} is not a list of entity tags; it must be the ETag of an answer as it is, \
                 with its quotes, such as W/\"7\", or several of them with commas between, or * \
                 alone"
            ))),
        }
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let mut rest = value.trim_ascii();
        if rest == b"*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        while !rest.is_empty() {
            // Empty elements are allowed in lists (RFC 9110, 5.6.1).
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
                continue;
            }
            let quoted = rest
                .strip_prefix(b"W/")
                .unwrap_or(rest)
                .strip_prefix(b"\"")?;
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            let (tag, after) = quoted.split_at(end);
            if tag.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f)) {
                return None;
            }
            tags.push(tag.to_owned());
            rest = after.strip_prefix(b"\"")?.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return None;
            }
        }
        Some(Self::Tags(tags))
    }

    /// Whether it has this tag.
    ///
    /// Tags are compared weakly, also those of `If-Match`: all tags here are weak, and a
    /// proxy may have made one strong.
    pub(crate) fn contains(&self, tag: &str) -> bool {
        let opaque = tag.trim_start_matches("W/").trim_matches('"');
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|it| it == opaque.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&'static str]) -> Answer<Option<TagList>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(line));
        }
        TagList::of(&headers, &header::IF_NONE_MATCH)
    }

    fn contains(lines: &[&'static str]) -> bool {
        let list = list(lines).expect("tags").expect("a header");
        list.contains("W/\"7\"")
    }

    #[test]
    fn tags_are_compared_weakly() {
        for same in [
            "W/\"7\"",
            "\"7\"",
            "\"6\", W/\"7\"",
            "W/\"7\",\"8\"",
            "\"a,b\" , ,\"7\",",
            "*",
            " * ",
        ] {
            assert!(contains(&[same]), "{same}");
        }
        assert!(contains(&["\"6\"", "\"7\""]));
        for other in [
            "", "\"17\"", "W/\"70\"", "\"*\"", "\"\"", "\"6,7\"", "\"6,W/\"",
        ] {
            assert!(!contains(&[other]), "{other}");
        }
        let missing = list(&[]).expect("no header");
        assert!(missing.is_none());
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for malformed in [
            "7",
            "w/\"7\"",
            "W/7",
            "W/ \"7\"",
            "\"7",
            "7\"",
            "\"7\" \"8\"",
            "\"7\"8",
            "\"7 8\"",
            "\"0\", *",
            "*, \"7\"",
            "**",
            "\"7\"; q=1",
        ] {
            let refused = list(&[malformed]).err();
            assert!(refused.is_some(), "{malformed}");
        }
        assert!(list(&["*", "*"]).is_err());
        assert!(
            list(&["\"6", "7\""]).is_ok(),
            "the comma of two lines is in the tag"
        );
    }
}
