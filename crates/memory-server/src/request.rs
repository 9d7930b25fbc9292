//! Reading JSON bodies, query strings and idempotency keys.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use chrono::{DateTime, Utc};
use memory::{
    EntityId, ErrorKind, Excerpt, ListScope, MemoryError, MemoryFilter, MemoryId, MemoryKind,
    MemoryTagMode,
};
use memory_json::time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::Problem;
use crate::server::ServerState;
use crate::time_limit::Repeat;

/// The header by which a client repeats a write safely.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// The namespace of ids that are derived from idempotency keys (UUID version 5). It
/// must never change, because a repeated request would then be another one.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6d6f_7279_5f73_6572_7665_725f_6b65);

/// A JSON body. An empty body reads as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<ServerState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &ServerState) -> Result<Self, Problem> {
        let text = Text::from_request(request, server).await?.0;
        let text = if text.trim().is_empty() { "{}" } else { &text };
        check_object(text)?;
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| malformed(&error))
    }
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
                StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(server.max_body_bytes),
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

/// Says what is wrong with JSON, without quoting its values.
pub(crate) fn malformed(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let names_a_key = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| text.starts_with(start));
    let detail = match names_a_key || !error.is_data() {
        true => format!(
            "the body is not what is expected: {}",
            shorten_unknown_key(&text)
        ),
        false => format!(
            "a value of the body is of the wrong type or out of range, at line {} column {}; \
             /openapi.json has the types",
            error.line(),
            error.column()
        ),
    };
    Problem::invalid_input(detail)
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

/// The ids that a request's idempotency key gives to memories without an id: the same
/// request again writes nothing again.
pub(crate) struct KeyedIds {
    entity: EntityId,
    key: Option<String>,
}

impl KeyedIds {
    /// Reads the key of a request for `entity`.
    pub(crate) fn new(headers: &HeaderMap, entity: &EntityId) -> Result<Self, Problem> {
        let key = match headers.get(IDEMPOTENCY_KEY).map(|value| value.to_str()) {
            None => None,
            Some(Ok(key)) if (1..=MAX_KEY_BYTES).contains(&key.len()) => Some(key.to_owned()),
            Some(_) => {
                return Err(Problem::invalid_input(format!(
                    "Idempotency-Key must be 1 to {MAX_KEY_BYTES} visible ASCII characters"
                )));
            }
        };
        let entity = entity.clone();
        Ok(Self { entity, key })
    }

    /// The problem of new memories; where an id of the key belongs to another memory, it says
    /// so, and where sending the same request again would store memories twice.
    pub(crate) fn explain(&self, error: MemoryError, repeat: Repeat) -> Problem {
        let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
        let is_of_key = match &error {
            MemoryError::Conflict { id, .. } => id.as_uuid().get_version_num() == 5,
            _ => false,
        };
        let problem = Problem::from(error);
        if is_unknown && repeat == Repeat::StoresAgain {
            return problem.retryable(false).with_advice(
                "`ids` has those of this request, one for each memory, in their order: send each \
                 memory again with its `id`, which is stored once; without it, it may be stored \
                 twice",
            );
        }
        match is_of_key && self.key.is_some() {
            true => problem.with_advice(
                "where the id is that of an Idempotency-Key, the key was used for another memory: \
                 send another one",
            ),
            false => problem,
        }
    }

    /// The id of the memory at this index, or on this line, of the request; `None`
    /// without a key.
    pub(crate) fn id(&self, index: usize) -> Option<MemoryId> {
        let name = format!("{}\0{}\0{index}", self.entity, self.key.as_ref()?);
        Some(Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes()).into())
    }
}

/// Conditions that a memory must meet, all of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    /// One of these kinds: `world`, `experience`, `opinion`, `observation`.
    #[schema(value_type = Vec<String>)]
    kinds: BTreeSet<MemoryKind>,
    /// Tags.
    tags: BTreeSet<String>,
    /// How tags match: `any` or `all` of them, or `any-strict` and `all-strict`, which
    /// exclude untagged memories.
    #[schema(value_type = Option<String>)]
    tag_mode: MemoryTagMode,
    /// Happened at this RFC 3339 time or later.
    since: Option<DateTime<Utc>>,
    /// Happened before this RFC 3339 time.
    until: Option<DateTime<Utc>>,
    /// Every one of these keys has exactly this value.
    metadata: BTreeMap<String, String>,
    /// This entity is a participant.
    involves: Option<String>,
    /// It links to this memory.
    #[schema(value_type = Option<String>)]
    relates_to: Option<MemoryId>,
}

impl From<Filter> for MemoryFilter {
    fn from(filter: Filter) -> Self {
        Self {
            kinds: filter.kinds,
            tags: filter.tags,
            tag_mode: filter.tag_mode,
            since: filter.since,
            until: filter.until,
            metadata: filter.metadata,
            involves: filter.involves.map(Into::into),
            relates_to: filter.relates_to,
        }
    }
}

/// A page of a list, in a query string.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The most memories of a page, 1 to 1,000.
    #[serde(default = "default_page")]
    #[param(default = 20, minimum = 1, maximum = 1000)]
    pub(crate) limit: usize,
    /// The cursor that the page before named as `next`.
    pub(crate) after: Option<String>,
    /// Only this kind; may be repeated.
    #[serde(default)]
    pub(crate) kind: Vec<String>,
    /// Only memories with this tag, or without tags; may be repeated.
    #[serde(default)]
    pub(crate) tag: Vec<String>,
    /// How tags match: `any` (the default) or `all` of them, or `any-strict` and
    /// `all-strict`, which exclude untagged memories.
    pub(crate) tag_mode: Option<String>,
    /// Happened at this RFC 3339 time or later.
    pub(crate) since: Option<String>,
    /// Happened before this RFC 3339 time.
    pub(crate) until: Option<String>,
    /// This entity is a participant.
    pub(crate) involves: Option<String>,
    /// A key and the value that it has, as `KEY=VALUE`, where the value may have further
    /// equals signs; may be repeated.
    #[serde(default)]
    pub(crate) metadata: Vec<String>,
    /// It links to the memory with this id.
    pub(crate) relates_to: Option<String>,
    /// What was live at this RFC 3339 time, whatever was consolidated since.
    pub(crate) as_of: Option<String>,
    /// Memories that a consolidation archived, in place of live ones.
    #[serde(default)]
    #[param(default = false)]
    pub(crate) archived: bool,
    /// Memories that the summary with this id replaced, in place of live ones.
    pub(crate) sources_of: Option<String>,
}

const fn default_page() -> usize {
    20
}

impl PageQuery {
    pub(crate) fn filter(&self) -> Result<MemoryFilter, Problem> {
        let kinds = self.kind.iter().map(|kind| kind.parse());
        let kinds: Result<_, _> = kinds.collect();
        Ok(MemoryFilter {
            kinds: kinds.map_err(|_| {
                Problem::invalid_input("`kind` must be world, experience, opinion or observation")
            })?,
            tags: self.tag.iter().cloned().collect(),
            tag_mode: match &self.tag_mode {
                Some(mode) => mode.parse()?,
                None => MemoryTagMode::default(),
            },
            since: parse_time("since", self.since.as_deref())?,
            until: parse_time("until", self.until.as_deref())?,
            metadata: self.metadata()?,
            involves: self.involves.clone().map(Into::into),
            relates_to: parse_id("relates_to", self.relates_to.as_deref())?,
        })
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Problem> {
        let mut metadata = BTreeMap::new();
        for pair in &self.metadata {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Problem::invalid_input(
                    "`metadata` must be KEY=VALUE; in a URL, %3D is an equals sign within it",
                )
            })?;
            if metadata.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Problem::invalid_input(
                    "`metadata` has the same key twice; a key has one value",
                ));
            }
        }
        Ok(metadata)
    }

    /// Live memories, or archived ones.
    pub(crate) fn scope(&self) -> Result<ListScope, Problem> {
        if self.as_of.is_some() && (self.archived || self.sources_of.is_some()) {
            return Err(Problem::invalid_input(
                "`as_of` lists what was live then; leave out `archived` and `sources_of`",
            ));
        }
        match parse_id("sources_of", self.sources_of.as_deref())? {
            Some(id) => Ok(ListScope::SourcesOf(id)),
            None if self.archived => Ok(ListScope::Archived),
            None => Ok(ListScope::Live),
        }
    }
}

/// Tells a `null` from a missing key.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Parses a time of the query string.
pub(crate) fn parse_time(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    text.map(|text| {
        time::parse(text).map_err(|why| {
            // A plus sign of a query string is a space.
            let hint = match time::parse(&text.replace(' ', "+")) {
                Ok(_) => "; write the plus sign of an offset as %2B in a URL",
                Err(_) => "",
            };
            Problem::invalid_input(format!("`{name}`: {why}{hint}"))
        })
    })
    .transpose()
}

/// Parses an id of the query string.
fn parse_id(name: &str, text: Option<&str>) -> Result<Option<MemoryId>, Problem> {
    let parsed = text.map(|text| {
        text.parse()
            .map_err(|_| Problem::invalid_input(format!("`{name}` is not a UUID")))
    });
    parsed.transpose()
}
