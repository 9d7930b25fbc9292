//! What can go wrong, in one enum.

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

use crate::bounds;
use crate::id::{EntityId, MemoryId};

/// What every fallible call of the memory system returns.
pub type MemoryResult<T> = Result<T, MemoryError>;

/// A lower error, kept for [`Error::source`] and downcasting; shared, so that
/// all who waited for one load can hold it.
#[derive(Debug, Clone)]
pub struct SharedSource(Arc<dyn Error + Send + Sync + 'static>);

// It stands for the error it holds and is none itself: so `source()` gives the
// held error, which downcasts to its own type, and not the shell around it.
impl Deref for SharedSource {
    type Target = dyn Error + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// Everything that a call can fail with.
///
/// [`kind`](Self::kind) says what sort of failure it is,
/// [`is_retryable`](Self::is_retryable) whether the same call may succeed
/// later. The text never holds content: ids, counts and bounds only.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The input breaks a bound. Nothing was written.
    #[error("invalid input{}: {problem}", item.map(|n| format!(" (item {n})")).unwrap_or_default())]
    InvalidInput {
        /// What is wrong, and the bound.
        #[source]
        problem: InvalidInput,
        /// Which item of a batch, counted from 0.
        item: Option<usize>,
    },

    /// This entity has no such memory. (Another entity's is not found either.)
    #[error("entity {entity} has no memory {id}")]
    NotFound {
        /// Whose memory was asked for.
        entity: EntityId,
        /// Which memory was asked for.
        id: MemoryId,
    },

    /// The id exists already with other content. Nothing was written.
    #[error("entity {entity} already has a memory {id} with other content")]
    Conflict {
        /// Whose memory it is.
        entity: EntityId,
        /// The id that is taken.
        id: MemoryId,
    },

    /// The backend does not offer this.
    #[error("{backend} does not support {operation}")]
    Unsupported {
        /// What was asked for.
        operation: &'static str,
        /// Who was asked.
        backend: &'static str,
    },

    /// The store failed.
    #[error("{operation}: {message}")]
    Store {
        /// What sort of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where there is one, what mends it.
        message: String,
        /// The driver's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The embedder failed.
    #[error("{operation}: {message}")]
    Embedder {
        /// What sort of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where there is one, what mends it.
        message: String,
        /// The runtime's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The language model failed.
    #[error("{operation}: {message}")]
    LanguageModel {
        /// What sort of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened.
        message: String,
        /// The client's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The system was put together or configured in a way that cannot work.
    #[error("configuration: {message}")]
    Configuration {
        /// What does not fit, and what would.
        message: String,
    },
}

/// The sort of a failure: what a program would branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input breaks a bound.
    InvalidInput,
    /// There is no such memory.
    NotFound,
    /// The id is taken by other content.
    Conflict,
    /// The backend does not offer this.
    Unsupported,
    /// Busy, locked, out of connections or timed out: nothing happened, and
    /// the same call may succeed later.
    Unavailable,
    /// The connection broke while a write was being committed: it may or may
    /// not have happened. Retrying with the same ids is safe.
    OutcomeUnknown,
    /// No room left on the disk. Nothing was written.
    Full,
    /// The store can be read and not written.
    ReadOnly,
    /// The file or database belongs to something else. It was not touched.
    ForeignData,
    /// The schema is newer than this program knows. It was not touched.
    NewerSchema,
    /// What was read back is damaged.
    Corrupt,
    /// A part that is needed (a runtime library, a model) is missing.
    Missing,
    /// The backend was closed.
    Closed,
    /// The parts do not fit together.
    Configuration,
    /// Anything else.
    Other,
}

impl MemoryError {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidInput { .. } => ErrorKind::InvalidInput,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Configuration { .. } => ErrorKind::Configuration,
            Self::Store { kind, .. }
            | Self::Embedder { kind, .. }
            | Self::LanguageModel { kind, .. } => *kind,
        }
    }

    /// Whether the very same call may succeed later.
    ///
    /// True as well for [`ErrorKind::OutcomeUnknown`], because writes carry
    /// their ids: repeating one that did happen is a no-op.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unavailable | ErrorKind::OutcomeUnknown
        )
    }

    /// What was being done, where the error knows it.
    #[must_use]
    pub const fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Store { operation, .. }
            | Self::Embedder { operation, .. }
            | Self::LanguageModel { operation, .. }
            | Self::Unsupported { operation, .. } => Some(operation),
            _ => None,
        }
    }

    /// Names the item of a batch that an [`Self::InvalidInput`] is about.
    #[must_use]
    pub fn at_item(mut self, index: usize) -> Self {
        if let Self::InvalidInput { item, .. } = &mut self {
            *item = Some(index);
        }
        self
    }

    /// A store's failure without a lower error.
    pub fn store(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Store {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// An embedder's failure without a lower error.
    pub fn embedder(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Embedder {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// A language model's failure without a lower error.
    pub fn language_model(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::LanguageModel {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// Parts that do not fit together.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration {
            message: message.into(),
        }
    }

    /// Attaches the lower error, for [`Error::source`] and downcasting.
    #[must_use]
    pub fn with_source(mut self, lower: impl Error + Send + Sync + 'static) -> Self {
        if let Self::Store { source, .. }
        | Self::Embedder { source, .. }
        | Self::LanguageModel { source, .. } = &mut self
        {
            *source = Some(SharedSource(Arc::new(lower)));
        }
        self
    }
}

impl From<InvalidInput> for MemoryError {
    fn from(problem: InvalidInput) -> Self {
        Self::InvalidInput {
            problem,
            item: None,
        }
    }
}

/// What is wrong with an input, and the bound it breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// Content of nothing but white space.
    #[error(
        "content is empty or blank; it must hold 1 to {} characters",
        bounds::MAX_CONTENT_CHARS
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
        bounds::MAX_QUERY_CHARS
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
        bounds::MAX_TAG_CHARS
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
    /// Neighbours that reach too far.
    #[error("neighbours reach {found} steps; at most {max} are allowed")]
    NeighbourReach {
        /// Steps found.
        found: usize,
        /// Steps allowed.
        max: usize,
    },
    /// A half-life that is not a positive number.
    #[error("a half-life is {days} days; it must be a positive number")]
    HalfLife {
        /// The value found.
        days: f32,
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
    /// A line of a JSONL file that does not read.
    #[error("line {line}: {reason}")]
    MalformedLine {
        /// Which line, counted from 1.
        line: usize,
        /// Why, without the line's content.
        reason: String,
    },
    /// A change that changes nothing.
    #[error("the patch changes nothing; at least 1 field must be set")]
    EmptyPatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_reached_by_downcast() {
        let lower = std::io::Error::other("disk on fire");
        let error = MemoryError::store(ErrorKind::Other, "open", "failed").with_source(lower);
        let source = error
            .source()
            .unwrap()
            .downcast_ref::<std::io::Error>()
            .unwrap();
        assert_eq!(source.to_string(), "disk on fire");
        assert_eq!(error.operation(), Some("open"));
        assert!(!error.clone().is_retryable());
    }

    #[test]
    fn a_batch_error_names_its_item_and_its_bound() {
        let error = MemoryError::from(InvalidInput::ContentTooLong {
            chars: 10_001,
            max: 10_000,
        });
        let text = error.at_item(7).to_string();
        assert!(
            text.contains("item 7") && text.contains("10001") && text.contains("10000"),
            "{text}"
        );
    }

    #[test]
    fn what_may_have_happened_may_be_retried() {
        for (kind, retry) in [
            (ErrorKind::Unavailable, true),
            (ErrorKind::OutcomeUnknown, true),
            (ErrorKind::Full, false),
            (ErrorKind::Corrupt, false),
        ] {
            assert_eq!(MemoryError::store(kind, "insert", "").is_retryable(), retry);
        }
    }
}
