//! What the OpenAPI document says of a memory that is sent, and of a refused line.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A memory as a client sends it. `memory_json::parse` reads it: docs/jsonl.md has all
/// keys, their limits and their defaults.
#[derive(Debug, ToSchema)]
pub struct MemoryInput {
    /// The text, 1 to 10,000 characters, not blank.
    #[schema(min_length = 1, max_length = 10_000)]
    pub content: String,
    /// `world`, `experience`, `opinion` or `observation`.
    #[schema(default = "experience")]
    pub kind: Option<String>,
    /// A UUID; a new one if missing. The same id with the same content changes nothing.
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

/// A line that was not imported.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes `memory_json::Refusal`")]
pub(crate) struct RefusedLine {
    /// Its number, from 1, blank lines included.
    line: usize,
    /// `invalid_input`, or `conflict` for an id that belongs to other content.
    kind: String,
    /// What is wrong, and what is allowed.
    message: String,
}
