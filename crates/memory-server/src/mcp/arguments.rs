//! The arguments of the tools. The comments of the fields are what a model reads.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory::{
    ConsolidateRequest, EntityId, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemoryTagMode,
    RecallRequest, ReflectRequest,
};
use memory_json::time;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::filters::default_page;
use crate::request::present;

/// The fewest characters of an answer that a caller may ask for.
pub(super) const MIN_CHARS: usize = 500;

const fn default_max_chars() -> usize {
    ReflectRequest::DEFAULT_CONTEXT_CHARS
}

const fn default_recall_limit() -> usize {
    RecallRequest::DEFAULT_LIMIT
}

/// Reads a count. A number without a fraction is an integer in JSON Schema, however it is
/// written: some clients write `5.0`.
fn whole_number<'de, D: Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Whole(usize),
        Float(f64),
    }
    /// Further ones are beyond every limit, and beyond what a float has exactly.
    const MAX: f64 = 4_294_967_295.0;
    match Number::deserialize(value)? {
        Number::Whole(count) => Ok(count),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it has no fraction and is within the limits"
        )]
        Number::Float(count) if count.fract() == 0.0 && (0.0..=MAX).contains(&count) => {
            Ok(count as usize)
        }
        Number::Float(_) => Err(D::Error::custom("not a whole number")),
    }
}

// No comments on the variants: they would make the schema more than a list of words.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Kind {
    World,
    Experience,
    Opinion,
    Observation,
}

impl From<Kind> for MemoryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::World => Self::World,
            Kind::Experience => Self::Experience,
            Kind::Opinion => Self::Opinion,
            Kind::Observation => Self::Observation,
        }
    }
}

/// How tags are compared.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum TagMode {
    #[default]
    AnyStrict,
    AllStrict,
    Any,
    All,
}

impl From<TagMode> for MemoryTagMode {
    fn from(mode: TagMode) -> Self {
        match mode {
            TagMode::AnyStrict => Self::AnyStrict,
            TagMode::AllStrict => Self::AllStrict,
            TagMode::Any => Self::Any,
            TagMode::All => Self::All,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "content": "Ada switched from coffee to tea in March 2026, because coffee kept her awake.",
    "kind": "world",
    "context": "planning call",
    "tags": ["preferences"],
    "entities": {"Ada": "colleague"}
}]))]
pub(super) struct Retain {
    /// One fact, event or opinion in plain words that can be understood without the
    /// conversation: name people, places and dates. 1 to 10,000 characters.
    #[schemars(length(min = 1, max = 10_000))]
    pub(super) content: String,
    /// `experience`: it happened (the default). `world`: a fact. `opinion`: a judgment.
    /// `observation`: something seen or noted.
    pub(super) kind: Option<Kind>,
    /// When it happened, RFC 3339, such as 2026-03-01T09:30:00Z. Now if left out.
    #[serde(default, deserialize_with = "time::deserialize")]
    pub(super) timestamp: Option<DateTime<Utc>>,
    /// How much it matters, 0 to 1; 0.5 if left out. Unimportant memories fade first.
    #[schemars(range(min = 0, max = 1))]
    pub(super) importance: Option<f32>,
    /// The episode it belongs to: a session, a project, a place.
    pub(super) context: Option<String>,
    /// Words to filter by later, at most 64.
    #[serde(default)]
    pub(super) tags: BTreeSet<String>,
    /// Further values, as text.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// Who took part: names, each with a role.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) entities: BTreeMap<EntityId, String>,
    /// Links to other memories: their ids, each with a relation such as "caused by".
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) related: BTreeMap<MemoryId, String>,
    /// An id of your own, a UUID: the same call again then changes nothing. A new one
    /// if left out.
    #[schemars(with = "Option<String>", extend("format" = "uuid"))]
    pub(super) id: Option<MemoryId>,
}

/// Which memories may answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Filter {
    /// Only these kinds; every kind if empty.
    #[serde(default)]
    kinds: Vec<Kind>,
    /// Only memories that have one of these tags; every memory if empty.
    #[serde(default)]
    tags: BTreeSet<String>,
    /// How `tags` are compared. `any-strict`: the memory has one of them (the default).
    /// `all-strict`: it has all of them. `any`, `all`: the same, or it has no tag at all.
    tag_mode: Option<TagMode>,
    /// Only what happened at this RFC 3339 time or later.
    #[serde(default, deserialize_with = "time::deserialize")]
    since: Option<DateTime<Utc>>,
    /// Only what happened before this RFC 3339 time.
    #[serde(default, deserialize_with = "time::deserialize")]
    until: Option<DateTime<Utc>>,
    /// Only memories in which this person or thing took part (see `entities` of retain).
    involves: Option<String>,
    /// Only memories whose metadata has all of these values.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Only memories that link to the one with this id.
    #[schemars(with = "Option<String>", extend("format" = "uuid"))]
    relates_to: Option<MemoryId>,
}

impl From<Filter> for MemoryFilter {
    fn from(filter: Filter) -> Self {
        let mut all = Self::new();
        all.kinds = filter.kinds.into_iter().map(Into::into).collect();
        all.tags = filter.tags;
        all.tag_mode = filter.tag_mode.unwrap_or_default().into();
        all.since = filter.since;
        all.until = filter.until;
        all.involves = filter.involves.map(Into::into);
        all.metadata = filter.metadata;
        all.relates_to = filter.relates_to;
        all
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [
    {"text": "What does Ada drink?"},
    {"text": "What was decided about the launch?", "since": "2026-03-01T00:00:00Z", "limit": 5}
]))]
pub(super) struct Recall {
    /// The question, or what is being talked about, in plain words.
    #[schemars(length(min = 1, max = 10_000))]
    pub(super) text: String,
    #[serde(flatten)]
    pub(super) filter: Filter,
    /// The most memories to return, 1 to 1,000.
    #[serde(default = "default_recall_limit", deserialize_with = "whole_number")]
    #[schemars(range(min = 1, max = 1_000))]
    pub(super) limit: usize,
    /// Leaves out memories whose `relevance`, the estimated probability of answering, is
    /// below this, 0 to 1. Right answers can have less than 0.1: leave it out at first.
    #[schemars(range(min = 0, max = 1))]
    pub(super) min_relevance: Option<f32>,
    /// Answers with what was known at this RFC 3339 time.
    #[serde(default, deserialize_with = "time::deserialize")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// The most characters of the answer, 500 to 1,000,000.
    #[serde(default = "default_max_chars", deserialize_with = "whole_number")]
    #[schemars(range(min = 500, max = 1_000_000))]
    pub(super) max_chars: usize,
}

impl Recall {
    pub(super) fn into_request(self) -> RecallRequest {
        let mut request = RecallRequest::new(self.text)
            .filter(self.filter.into())
            .limit(self.limit);
        request.min_relevance = self.min_relevance;
        request.as_of = self.as_of;
        request
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{"id": "0192d3a0-0000-7000-8000-000000000001"}]))]
pub(super) struct Get {
    /// The id of the memory, as recall and list return it.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub(super) id: MemoryId,
    /// The most characters of the answer, 500 to 1,000,000.
    #[serde(default = "default_max_chars", deserialize_with = "whole_number")]
    #[schemars(range(min = 500, max = 1_000_000))]
    pub(super) max_chars: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [
    {"limit": 10},
    {"tags": ["preferences", "drinks"], "tag_mode": "all-strict"}
]))]
pub(super) struct List {
    #[serde(flatten)]
    pub(super) filter: Filter,
    /// The most memories of a page, 1 to 1,000.
    #[serde(default = "default_page", deserialize_with = "whole_number")]
    #[schemars(range(min = 1, max = 1_000))]
    pub(super) limit: usize,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// The most characters of the answer, 500 to 1,000,000.
    #[serde(default = "default_max_chars", deserialize_with = "whole_number")]
    #[schemars(range(min = 500, max = 1_000_000))]
    pub(super) max_chars: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [
    {
        "id": "0192d3a0-0000-7000-8000-000000000001",
        "content": "Ada drinks coffee again since May 2026."
    },
    {"id": "0192d3a0-0000-7000-8000-000000000001", "tags": ["preferences", "drinks"]}
]))]
pub(super) struct Update {
    /// The id of the memory.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub(super) id: MemoryId,
    /// New text, in place of the old.
    #[schemars(length(min = 1, max = 10_000))]
    content: Option<String>,
    /// New kind.
    kind: Option<Kind>,
    /// New time, RFC 3339.
    #[serde(default, deserialize_with = "time::deserialize")]
    timestamp: Option<DateTime<Utc>>,
    /// New importance, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    importance: Option<f32>,
    /// New episode; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    context: Option<Option<String>>,
    /// New tags, in place of all old ones.
    tags: Option<BTreeSet<String>>,
    /// New values, in place of all old ones.
    metadata: Option<BTreeMap<String, String>>,
    /// New participants with their roles, in place of all old ones.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    entities: Option<BTreeMap<EntityId, String>>,
}

impl From<Update> for MemoryPatch {
    fn from(update: Update) -> Self {
        let mut patch = Self::new();
        patch.content = update.content;
        patch.kind = update.kind.map(Into::into);
        patch.timestamp = update.timestamp;
        patch.importance = update.importance;
        patch.context = update.context;
        patch.tags = update.tags;
        patch.metadata = update.metadata;
        patch.entities = update.entities;
        patch
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{"id": "0192d3a0-0000-7000-8000-000000000001"}]))]
pub(super) struct Forget {
    /// The id of the memory.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub(super) id: MemoryId,
    /// The most characters of the answer, 500 to 1,000,000.
    #[serde(default = "default_max_chars", deserialize_with = "whole_number")]
    #[schemars(range(min = 500, max = 1_000_000))]
    pub(super) max_chars: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "from": "0192d3a0-0000-7000-8000-000000000001",
    "to": "0192d3a0-0000-7000-8000-000000000002",
    "relation": "caused by"
}]))]
pub(super) struct Relate {
    /// The id of the memory that links.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub(super) from: MemoryId,
    /// The id of the memory that it links to.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub(super) to: MemoryId,
    /// How they relate, such as "caused by" or "contradicts"; at most 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub(super) relation: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{}, {"tags": ["preferences"], "min_similarity": 0.95}]))]
pub(super) struct Consolidate {
    /// Which memories may be summarized.
    #[serde(flatten)]
    filter: Filter,
    /// How similar memories of a group are at least, as a cosine from -1 to 1; 0.9 if
    /// left out.
    #[schemars(range(min = -1, max = 1))]
    min_similarity: Option<f32>,
    /// The most characters of the answer, 500 to 1,000,000.
    #[serde(default = "default_max_chars", deserialize_with = "whole_number")]
    #[schemars(range(min = 500, max = 1_000_000))]
    pub(super) max_chars: usize,
}

impl From<Consolidate> for ConsolidateRequest {
    fn from(consolidate: Consolidate) -> Self {
        let mut request = Self::new().filter(consolidate.filter.into());
        if let Some(min_similarity) = consolidate.min_similarity {
            request.min_similarity = min_similarity;
        }
        request
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("examples" = [{}]))]
pub(super) struct Stats {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn counts_are_numbers_without_a_fraction() {
        let limit = |limit: Value| {
            let list: Result<List, _> = serde_json::from_value(json!({"limit": limit}));
            list.ok().map(|list| list.limit)
        };
        for (value, expected) in [
            (json!(5), Some(5)),
            (json!(5.0), Some(5)),
            (json!(1e3), Some(1_000)),
            (json!(0.0), Some(0)),
            (json!(5.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!(1e300), None),
            (json!("5"), None),
            (json!(null), None),
        ] {
            assert_eq!(limit(value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn filters_have_what_the_facade_has() {
        let id = "0192d3a0-0000-7000-8000-000000000001";
        let given = json!({
            "kinds": ["world"], "tags": ["a", "b"], "tag_mode": "all-strict",
            "metadata": {"place": "mill"}, "relates_to": id, "involves": "Tam",
        });
        let list: List = serde_json::from_value(given).unwrap();
        let filter = MemoryFilter::from(list.filter);
        assert_eq!(filter.tag_mode, MemoryTagMode::AllStrict);
        assert_eq!(filter.metadata["place"], "mill");
        assert_eq!(filter.relates_to, id.parse().ok());
        let list: List = serde_json::from_value(json!({"tags": ["a"]})).unwrap();
        let filter = MemoryFilter::from(list.filter);
        assert_eq!(filter.tag_mode, MemoryTagMode::AnyStrict);
        for mode in MemoryTagMode::ALL {
            let given: TagMode = serde_json::from_value(json!(mode.as_str())).unwrap();
            assert_eq!(MemoryTagMode::from(given), mode);
        }
    }
}
