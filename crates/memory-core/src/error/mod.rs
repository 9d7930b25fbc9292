//! What can go wrong, in one enum.

mod invalid_input;

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

use crate::id::{EntityId, MemoryId};

pub use invalid_input::InvalidInput;

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

    /// The memory stands archived under a summary. Nothing was written.
    #[error(
        "memory {id} of entity {entity} is archived under {summary}; undo that consolidation to change it"
    )]
    Archived {
        /// Whose memory it is.
        entity: EntityId,
        /// The memory that was to be changed.
        id: MemoryId,
        /// The summary that stands for it.
        summary: MemoryId,
    },

    /// The memory was changed, archived or removed since it was read. Nothing
    /// was written; reading it anew and trying again can help.
    #[error("memory {id} of entity {entity} changed since it was read")]
    Changed {
        /// Whose memory it is.
        entity: EntityId,
        /// The memory that is no longer as it was.
        id: MemoryId,
    },

    /// The entity would hold more memories than its limit allows. Nothing was
    /// written.
    #[error("entity {entity} would hold {count} memories; at most {max} are allowed")]
    LimitReached {
        /// Whose memories are counted.
        entity: EntityId,
        /// Live memories after the write.
        count: u64,
        /// Live memories allowed.
        max: u64,
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
    /// The memory stands archived under a summary.
    Archived,
    /// The memory is no longer as it was read.
    Changed,
    /// The entity holds as many memories as it may.
    LimitReached,
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
            Self::Archived { .. } => ErrorKind::Archived,
            Self::Changed { .. } => ErrorKind::Changed,
            Self::LimitReached { .. } => ErrorKind::LimitReached,
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
    pub fn with_item(mut self, index: usize) -> Self {
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
        let text = error.with_item(7).to_string();
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
