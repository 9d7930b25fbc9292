//! Reasons why an input is refused.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::id::MemoryId;
use crate::limits;

/// The beginning of a parameter that cannot be parsed, for error messages:
/// displayed in quotation marks, with everything that is not printable escaped.
/// Never made of a memory's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    start: String,
    is_truncated: bool,
}

impl Excerpt {
    /// More characters are not quoted; a UUID has 36.
    const MAX_CHARS: usize = 40;
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        let end = text.char_indices().nth(Self::MAX_CHARS).map(|(at, _)| at);
        Self {
            start: text[..end.unwrap_or(text.len())].to_owned(),
            is_truncated: end.is_some(),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.start)?;
        f.write_str(if self.is_truncated { "…" } else { "" })
    }
}

/// Why an input is refused: the value found and the limit it exceeds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// Content that is only white space.
    #[error(
        "content is empty or blank; it must have 1 to {} characters",
        limits::MAX_CONTENT_CHARS
    )]
    EmptyContent,
    /// Content over the limit.
    #[error("content has {chars} characters; at most {max} are allowed")]
    ContentTooLong {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A query that is only white space.
    #[error(
        "the query is empty or blank; it must have 1 to {} characters",
        limits::MAX_QUERY_CHARS
    )]
    EmptyQuery,
    /// Another text over its limit.
    #[error("{field} has {chars} characters; at most {max} are allowed")]
    TextTooLong {
        /// Which field.
        field: &'static str,
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A NUL character, which databases cannot store.
    #[error("{field} contains a NUL character; remove it")]
    NulCharacter {
        /// Which field.
        field: &'static str,
    },
    /// Importance outside 0..1, or not a number.
    #[error("importance is {value}; it must be a number from 0 to 1")]
    Importance {
        /// The value found.
        value: f32,
    },
    /// A decay rate below 0, or not a finite number.
    #[error("decay rate is {value} per day; it must be a finite number from 0 on")]
    DecayRate {
        /// The value found.
        value: f32,
    },
    /// Too many tags.
    #[error("{count} tags; at most {max} are allowed")]
    TooManyTags {
        /// Tags found, duplicates merged.
        count: usize,
        /// Tags allowed.
        max: usize,
    },
    /// A tag that is only white space.
    #[error(
        "a tag is empty or blank; it must have 1 to {} characters",
        limits::MAX_TAG_CHARS
    )]
    EmptyTag,
    /// A tag over the limit.
    #[error("a tag has {chars} characters; at most {max} are allowed")]
    TagTooLong {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// Metadata over the limit.
    #[error("metadata takes {bytes} bytes; at most {max} are allowed")]
    MetadataTooLarge {
        /// Bytes of keys and values.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A metadata key without a name.
    #[error("a metadata key is empty; it must have at least 1 character")]
    EmptyMetadataKey,
    /// Too many related memories or involved entities.
    #[error("{count} {field}; at most {max} are allowed")]
    TooManyLinks {
        /// Which links.
        field: &'static str,
        /// Links found.
        count: usize,
        /// Links allowed.
        max: usize,
    },
    /// A vector of the wrong length.
    #[error("a vector has {found} dimensions; {expected} are needed")]
    VectorDimensions {
        /// Dimensions needed.
        expected: usize,
        /// Dimensions found.
        found: usize,
    },
    /// A vector without numbers, checked where the dimensions needed are not known.
    #[error("a vector has 0 dimensions; it must have those of the embedder's vectors")]
    VectorEmpty,
    /// A vector with NaN or infinity.
    #[error("component {index} of a vector is not a finite number; all must be finite")]
    VectorNotFinite {
        /// The first such component.
        index: usize,
    },
    /// A vector without a direction.
    #[error("a vector is all zeros; at least one component must differ from 0")]
    VectorZero,
    /// An embedding without any vector.
    #[error("an embedding has no vector; it must have at least 1")]
    NoVector,
    /// An embedding that comes without new content.
    #[error(
        "an embedding was given with a patch that does not set the content; set both or neither"
    )]
    UnexpectedEmbedding,
    /// A similarity outside −1..1, or not a number.
    #[error("minimum similarity is {value}; it must be a number from -1 to 1")]
    Similarity {
        /// The value found.
        value: f32,
    },
    /// A relevance outside 0..1, or not a number.
    #[error("minimum relevance is {value}; it must be a number from 0 to 1")]
    Relevance {
        /// The value found.
        value: f32,
    },
    /// A target recall outside 0..1, or not a number.
    #[error(
        "the target recall is {value}; it must be a number above 0 and at most 1, such as 0.95"
    )]
    TargetRecall {
        /// The value found.
        value: f64,
    },
    /// A list as of a moment of other than live memories.
    #[error(
        "a list as of a moment has the memories that were live then; its scope must be that of \
         live memories"
    )]
    ScopeAsOf,
    /// A limit of 0 or over the maximum.
    #[error("limit is {value}; it must be from 1 to {max}")]
    Limit {
        /// The limit found.
        value: usize,
        /// The largest allowed.
        max: usize,
    },
    /// A context too short for any of the memories that a reflection found.
    #[error(
        "none of the {found} memories found fits in a context of {max_chars} characters; at least {required} are needed"
    )]
    ContextTooShort {
        /// Memories found.
        found: usize,
        /// Characters that the context may have.
        max_chars: usize,
        /// Characters with which one of them fits.
        required: usize,
    },
    /// A ranking's weight outside its range, or not a number.
    #[error("the weight of {weight} is {value}; it must be a number from 0 to {max}")]
    Weight {
        /// Which weight.
        weight: &'static str,
        /// The value found.
        value: f32,
        /// The largest allowed.
        max: f32,
    },
    /// Neighbors that reach too far.
    #[error("neighbors reach {found} steps; at most {max} are allowed")]
    NeighborReach {
        /// Steps found.
        found: usize,
        /// Steps allowed.
        max: usize,
    },
    /// A span of time in a ranking that is not a positive number.
    #[error("{span} is {value}; it must be a positive number")]
    Span {
        /// Which span.
        span: &'static str,
        /// The value found.
        value: f32,
    },
    /// A kind that is none of the four.
    #[error("unknown kind {found}; it must be world, experience, opinion or observation")]
    UnknownKind {
        /// The word found.
        found: Excerpt,
    },
    /// A tag mode that is none of the four.
    #[error("unknown tag mode {found}; it must be any, all, any-strict or all-strict")]
    UnknownTagMode {
        /// The word found.
        found: Excerpt,
    },
    /// A memory id that is no UUID.
    #[error(
        "the memory id {found} is not a UUID; it must look like 0190a5c3-7f2e-7c41-9d6b-3f5e8a2b1c04"
    )]
    MemoryId {
        /// The text found.
        found: Excerpt,
    },
    /// An entity name that is blank, too long or holds control characters.
    #[error(
        "invalid entity id of {chars} characters; it must have 1 to {max}, not only white space, and no control characters"
    )]
    EntityId {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// The same id twice in one batch.
    #[error("memory id {id} occurs twice in the batch; it may occur once per entity")]
    DuplicateId {
        /// The repeated id.
        id: MemoryId,
    },
    /// A timestamp that a store cannot keep.
    #[error(
        "the timestamp {} is out of range; it must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z",
        found.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    )]
    Timestamp {
        /// The time found.
        found: DateTime<Utc>,
    },
    /// A time range that ends before it begins.
    #[error("the time range is empty; its end must be after its start")]
    TimeRange,
    /// A patch that sets nothing.
    #[error("the patch changes nothing; at least 1 field must be set")]
    EmptyPatch,
    /// A consolidation without sources.
    #[error("a consolidation has no sources; it must have at least 1")]
    NoSources,
    /// A memory that no consolidation made, where a summary is meant.
    #[error(
        "memory {id} is not a summary, so nothing was consolidated into it; give the id of a summary"
    )]
    NotASummary {
        /// The memory's id.
        id: MemoryId,
    },
    /// A memory of another entity than the call is about.
    #[error(
        "a memory belongs to another entity than the call is about; pass memories of one entity"
    )]
    EntityMismatch,
    /// A link of a memory to itself.
    #[error("a memory cannot be related to itself; give the id of another memory")]
    SelfRelation,
}
