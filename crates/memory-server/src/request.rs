//! Reading JSON bodies, query strings and ids of the path.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use memory::{Excerpt, MemoryId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::problem::Problem;
use crate::state::ServerState;

/// A JSON body. An empty body reads as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<ServerState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &ServerState) -> Result<Self, Problem> {
        let text = Text::from_request(request, server).await?.0;
        let text = if text.trim().is_empty() { "{}" } else { &text };
        check_object(text)?;
        parse(text).map(Self)
    }
}

/// Parses the text of a body, or says what is wrong with it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        malformed(&path, error.inner())
    })?;
    let end = deserializer.end();
    end.map_err(|error| malformed(".", &error))?;
    Ok(parsed)
}

/// Refuses an array in place of an object: its values would be taken in the order of the
/// keys.
pub(crate) fn check_object(text: &str) -> Result<(), Problem> {
    match text.trim_start().starts_with('[') {
        true => Err(Problem::invalid_input(
            "the body is a JSON array; it must be one JSON object",
        )),
        false => Ok(()),
    }
}

/// The most items of one request: more would take longer than a request may, of which
/// nothing remains.
pub(crate) const MAX_BATCH: usize = 1_000;

/// Refuses a request with more than [`MAX_BATCH`] items in `key`.
pub(crate) fn check_batch(key: &str, count: usize) -> Result<(), Problem> {
    match count > MAX_BATCH {
        true => Err(Problem::invalid_input(format!(
            "`{key}` has {count} items; at most {MAX_BATCH} are allowed in one request"
        ))),
        false => Ok(()),
    }
}

/// Refuses a body whose sender says that it is compressed.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = encodings.map(|value| value.to_str().unwrap_or(""));
    match encodings.all(|it| it.trim().is_empty() || it.trim().eq_ignore_ascii_case("identity")) {
        true => Ok(()),
        false => Err(Problem::unsupported_media_type(
            "the body is compressed, which is not read here; send it without Content-Encoding",
        )),
    }
}

/// Refuses a body whose sender calls it something other than one of `allowed`. A sender
/// may also leave that open.
pub(crate) fn check_media_type(
    headers: &HeaderMap,
    allowed: &[&'static str],
) -> Result<(), Problem> {
    check_encoding(headers)?;
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    // What is not ASCII is none of them.
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("");
    let is_allowed = |allowed: &&str| allowed.eq_ignore_ascii_case(essence.trim());
    match allowed.iter().any(is_allowed) {
        true => Ok(()),
        false => Err(Problem::unsupported_media_type(format!(
            "the header Content-Type is not one that is read here; send {}",
            allowed.join(" or ")
        ))),
    }
}

/// A body of UTF-8 text that is JSON.
pub(crate) struct Text(pub(crate) String);

impl FromRequest<ServerState> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &ServerState) -> Result<Self, Problem> {
        check_media_type(request.headers(), &["application/json"])?;
        let bytes = Bytes::from_request(request, server)
            .await
            .map_err(|error| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(
                    server.max_body_bytes,
                    "send it in parts, each with an Idempotency-Key of its own, if any",
                ),
                status => {
                    Problem::invalid_body(status, "the body broke off; send the request again")
                }
            })?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|error| {
            let at = error.utf8_error().valid_up_to() + 1;
            Problem::invalid_input(format!("the body is not valid UTF-8 at byte {at}"))
        })
    }
}

/// Says what is wrong with JSON, without quoting its values. `path` names the value, as far
/// as it is known.
fn malformed(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if let Some(why) = text_map_problem(&text) {
        return Problem::invalid_input(format!("{}: {why}", quote_path(path)));
    }
    let names_a_key = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| text.starts_with(start));
    let detail = match names_a_key || !error.is_data() {
        true => format!(
            "the body is not what is expected: {}",
            shorten_unknown_key(&text)
        ),
        false => format!(
            "{} is of the wrong type or out of range, at line {} column {}; /openapi.json has \
             the types",
            quote_path(path),
            error.line(),
            error.column()
        ),
    };
    Problem::invalid_input(detail)
}

/// The reason of an error of [`Metadata`](memory_json::Metadata) or
/// [`Roles`](memory_json::Roles), which quote a key and no value.
pub(crate) fn text_map_problem(text: &str) -> Option<&str> {
    let is_one = ["the value of \"", "the key \""]
        .iter()
        .any(|start| text.starts_with(start));
    // Keys are escaped, so this is not within one.
    is_one.then(|| text.rsplit_once(" at line ").map_or(text, |(why, _)| why))
}

/// Names the value at a path within the body, such as `filter.kinds[0]`.
fn quote_path(path: &str) -> String {
    /// Longer than any known path; unknown keys are refused before their values are read.
    const MAX_PATH_CHARS: usize = 80;
    let is_known = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
    match path.len() <= MAX_PATH_CHARS && path != "." && path.chars().all(is_known) {
        true => format!("`{path}`"),
        false => "a value of the body".to_owned(),
    }
}

/// Shortens a long key that an error of serde names: it can be as long as the body.
fn shorten_unknown_key(text: &str) -> Cow<'_, str> {
    const START: &str = "unknown field ";
    /// As long as an [`Excerpt`].
    const MAX_KEY_CHARS: usize = 40;
    let shortened = text.strip_prefix(START).and_then(|rest| {
        let key = rest.strip_prefix('`')?;
        // What follows has the names of known keys alone.
        let end = ["`, expected ", "`, there are no fields"];
        let end = end.iter().filter_map(|end| key.rfind(end)).max()?;
        let (key, rest) = key.split_at(end);
        if key.len() <= MAX_KEY_CHARS {
            return None;
        }
        Some(format!("{START}{}{}", Excerpt::from(key), &rest[1..]))
    });
    shortened.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The query string, whose parameters are all known: see `query_parameters`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<ServerState> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ServerState) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        parse_query(query).map(Self).ok_or_else(|| {
            let which = match malformed_parameter::<T>(query) {
                Some(name) => format!("the query parameter `{name}`"),
                None => "a query parameter".to_owned(),
            };
            Problem::invalid_input(format!(
                "{which} is repeated or has a malformed value; /openapi.json has the types"
            ))
        })
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Option<T> {
    let uri = Uri::builder().path_and_query(format!("/?{query}")).build();
    let parsed = axum_extra::extract::Query::try_from_uri(&uri.ok()?);
    parsed.ok().map(|axum_extra::extract::Query(query)| query)
}

/// The parameter without which a query string can be parsed.
fn malformed_parameter<T: DeserializeOwned>(query: &str) -> Option<&str> {
    /// More than an endpoint has; a name can be escaped in many ways.
    const MAX_NAMES: usize = 20;
    let name_of = |pair: &'_ str| pair.find('=').unwrap_or(pair.len());
    let pairs = || query.split('&').map(|pair| pair.split_at(name_of(pair)));
    let names: BTreeSet<&str> = pairs().map(|(name, _)| name).collect();
    let mut names = names.into_iter().take(MAX_NAMES);
    names.find(|name| {
        let others = pairs().filter(|(other, _)| other != name);
        let others: Vec<String> = others.map(|(name, rest)| format!("{name}{rest}")).collect();
        parse_query::<T>(&others.join("&")).is_some()
    })
}

/// The id of a memory in the path, after the entity.
pub(crate) struct Id(pub(crate) MemoryId);

impl FromRequestParts<ServerState> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct IdPath {
            id: String,
        }
        let path = Path::<IdPath>::from_request_parts(parts, server).await;
        let id = path.ok().and_then(|Path(path)| path.id.parse().ok());
        id.map(Self)
            .ok_or_else(|| Problem::invalid_input("the id in the path is not a UUID"))
    }
}

/// Tells a `null` from a missing key.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}
