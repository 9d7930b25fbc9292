//! What the OpenAPI document says of a memory that is sent, of a refused line, of headers and
//! of tokens.

use std::collections::BTreeMap;

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, ToSchema};

/// A new memory as a client sends it. docs/jsonl.md has all keys, their limits and their
/// defaults; a line of an import may also have `decay_rate`, `access_count`, `last_accessed`
/// and `archived_by`.
#[derive(Debug, ToSchema)]
pub struct MemoryInput {
    /// The text, 1 to 10,000 characters, not blank.
    #[schema(min_length = 1, max_length = 10_000)]
    pub content: String,
    /// `world`, `experience`, `opinion` or `observation`.
    #[schema(default = "experience")]
    pub kind: Option<String>,
    /// A UUID; a new one if missing. The same id with the same content changes nothing, with
    /// other content it is a conflict.
    #[schema(format = Uuid)]
    pub id: Option<String>,
    /// When it happened, RFC 3339; now if missing.
    #[schema(format = DateTime)]
    pub timestamp: Option<String>,
    /// The episode: a session, a place, a quest; at most 1,024 characters.
    pub context: Option<String>,
    /// 0 to 1.
    #[schema(default = 0.5, minimum = 0, maximum = 1)]
    pub importance: Option<f32>,
    /// At most 64, each 1 to 128 characters.
    pub tags: Option<Vec<String>>,
    /// At most 65,536 bytes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Participants and their roles.
    pub entities: Option<BTreeMap<String, String>>,
    /// Links: ids of memories, and relations.
    pub related: Option<BTreeMap<String, String>>,
    /// The text's vector, where the server's model computed it elsewhere: as many finite
    /// numbers as the model has dimensions, not all 0, of any length. It is the memory's
    /// only vector. Computed by the server if missing.
    pub embedding: Option<Vec<f32>>,
}

/// The header by which a client repeats a write safely.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what `KeyedIds` reads")]
pub(crate) struct IdempotencyKey {
    /// A name for this request, 1 to 256 visible ASCII characters: the same request again,
    /// with the same key, stores nothing again, unless a memory of it was changed (409) or
    /// forgotten (it is stored again) since. At most once in a request.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 256)]
    key: Option<String>,
}

/// The header by which a client writes only to the state that it has seen.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what `Precondition` reads")]
pub(crate) struct IfMatch {
    /// The `ETag` of an answer: 412 if the entity was written to since, also where another
    /// memory was. 400 where answers have none, as the server's `consistency` is not
    /// checked.
    #[param(rename = "If-Match")]
    tag: Option<String>,
}

/// The header by which a client reads only what changed.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what `EntityTag` reads")]
pub(crate) struct IfNoneMatch {
    /// The `ETag` of an answer: 304 if the entity was not written to since.
    #[param(rename = "If-None-Match")]
    tag: Option<String>,
}

/// Adds to the OpenAPI document how a token is sent.
pub(crate) struct BearerTokens;

impl Modify for BearerTokens {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of the server; none where it was started without",
            ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    }
}

/// The name of the scheme in the document.
const BEARER: &str = "bearer";

/// A line that was not imported.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes `memory_json::Refusal`")]
pub(crate) struct RefusedLine {
    /// Its number, from 1, blank lines included.
    line: usize,
    /// `invalid_input`, `conflict` for an id that belongs to other content, or
    /// `limit_reached` where the entity has as many memories as it may have.
    kind: String,
    /// What is wrong, and what is allowed.
    message: String,
}
