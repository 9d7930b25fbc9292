//! What is wrong with an input.

use crate::id::MemoryId;
use crate::limits;

/// What is wrong with an input, and the bound it breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// Content of nothing but white space.
    #[error(
        "content is empty or blank; it must hold 1 to {} characters",
        limits::MAX_CONTENT_CHARS
    )]
    EmptyContent,
    /// Content over the bound.
    #[error("content has {chars} characters; at most {max} are allowed")]
    ContentTooLong {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A query of nothing but white space.
    #[error(
        "the query is empty or blank; it must hold 1 to {} characters",
        limits::MAX_QUERY_CHARS
    )]
    EmptyQuery,
    /// Some other text over its bound.
    #[error("{field} has {chars} characters; at most {max} are allowed")]
    TextTooLong {
        /// Which field.
        field: &'static str,
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A NUL character, which databases cannot hold.
    #[error("{field} holds a NUL character; none is allowed")]
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
    /// A tag of nothing but white space.
    #[error(
        "a tag is empty or blank; it must hold 1 to {} characters",
        limits::MAX_TAG_CHARS
    )]
    EmptyTag,
    /// A tag over the bound.
    #[error("a tag has {chars} characters; at most {max} are allowed")]
    TagTooLong {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// Metadata over the bound.
    #[error("metadata takes {bytes} bytes; at most {max} are allowed")]
    MetadataTooLarge {
        /// Bytes of keys and values.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A metadata key without a name.
    #[error("a metadata key is empty; it must hold at least 1 character")]
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
    /// A vector with NaN or infinity.
    #[error("a vector's component {index} is not a finite number; all must be")]
    VectorNotFinite {
        /// The first such component.
        index: usize,
    },
    /// A vector without a direction.
    #[error("a vector is all zeros; at least one component must differ from 0")]
    VectorZero,
    /// An embedding without any vector.
    #[error("an embedding holds no vector; at least 1 is needed")]
    NoVector,
    /// An embedding that comes without new content.
    #[error("an embedding was given with a patch that leaves the content as it is")]
    UnexpectedEmbedding,
    /// A similarity outside −1..1, or not a number.
    #[error("minimum similarity is {value}; it must be a number from -1 to 1")]
    Similarity {
        /// The value found.
        value: f32,
    },
    /// A limit of 0 or over the maximum.
    #[error("limit is {value}; it must be from 1 to {max}")]
    Limit {
        /// The limit found.
        value: usize,
        /// The largest allowed.
        max: usize,
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
    #[error("unknown kind; it must be world, experience, opinion or observation")]
    UnknownKind,
    /// A tag mode that is none of the four.
    #[error("unknown tag mode; it must be any, all, any-strict or all-strict")]
    UnknownTagMode,
    /// A memory id that is no UUID.
    #[error("a memory id is not a UUID")]
    MemoryId,
    /// An entity name that is blank, too long or holds control characters.
    #[error(
        "an entity id has {chars} characters; it must hold 1 to {max}, not blank, no control characters"
    )]
    EntityId {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// The same id twice in one batch.
    #[error("memory id {id} stands twice in the batch; each may stand once per entity")]
    DuplicateId {
        /// The repeated id.
        id: MemoryId,
    },
    /// A timestamp that a store cannot hold.
    #[error("a timestamp lies outside 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z")]
    Timestamp,
    /// A time range that ends before it begins.
    #[error("the time range ends at or before its start")]
    TimeRange,
    /// A change that changes nothing.
    #[error("the patch changes nothing; at least 1 field must be set")]
    EmptyPatch,
    /// A consolidation without sources.
    #[error("a consolidation has no sources; it must have at least 1")]
    NoSources,
    /// A memory of another entity than the call is about.
    #[error("a memory names another entity than the call is about")]
    EntityMismatch,
    /// A link of a memory to itself.
    #[error("a memory cannot relate to itself")]
    SelfRelation,
}
