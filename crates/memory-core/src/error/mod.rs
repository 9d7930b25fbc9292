//! The error type of every operation, with kinds to branch on.

mod invalid_input;
mod kind;
mod setting;

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

use crate::id::{EntityId, MemoryId};

pub use invalid_input::{Excerpt, InvalidInput};
pub use kind::ErrorKind;
pub use setting::{InvalidSetting, SettingOrigin, SettingProblem};

/// What every fallible call of the memory system returns.
pub type MemoryResult<T> = Result<T, MemoryError>;

/// A lower-level error, kept for [`Error::source`] and downcasting; shared, so
/// that all callers that waited for one load receive it.
#[derive(Debug, Clone)]
pub struct SharedSource(Arc<dyn Error + Send + Sync + 'static>);

// It is not an error itself: `source()` gives the inner error, which downcasts
// to its own type, and not this wrapper.
impl Deref for SharedSource {
    type Target = dyn Error + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// Why an operation failed.
///
/// [`kind`](Self::kind) is what a program branches on,
/// [`is_retryable`](Self::is_retryable) whether the same call may succeed
/// later, [`operation`](Self::operation) what was being done, and
/// [`source`](Error::source) the lower-level error. The text contains ids,
/// counts and limits, never the content of a memory.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The input is outside the limits. Nothing was written.
    #[error("invalid input{}: {problem}", in_batch(*item))]
    InvalidInput {
        /// What is wrong, and what is allowed.
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
    #[error(
        "entity {entity} already has a memory {id} with other content; use a new id, or alter that memory"
    )]
    Conflict {
        /// Whose memory it is.
        entity: EntityId,
        /// The id that is taken.
        id: MemoryId,
    },

    /// The memory is archived under a summary. Nothing was written.
    #[error(
        "memory {id} of entity {entity} is archived under summary {summary}; undo that consolidation to change it"
    )]
    Archived {
        /// Whose memory it is.
        entity: EntityId,
        /// The memory that was to be changed.
        id: MemoryId,
        /// The summary that represents it.
        summary: MemoryId,
    },

    /// The memory was changed, archived or removed since it was read. Nothing
    /// was written; read it again and retry.
    #[error("memory {id} of entity {entity} changed since it was read; read it again and retry")]
    Changed {
        /// Whose memory it is.
        entity: EntityId,
        /// The memory that is no longer as it was.
        id: MemoryId,
    },

    /// The entity would hold more memories than its limit allows. Nothing was
    /// written.
    #[error(
        "entity {entity} would have {count} memories; at most {max} are allowed: forget or consolidate some, or raise the limit"
    )]
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
        /// Which backend.
        backend: &'static str,
    },

    /// The store failed.
    #[error("{operation}: {message}")]
    Store {
        /// The kind of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where known, what to do.
        message: String,
        /// After [`ErrorKind::OutcomeUnknown`] of a retain, the ids of its
        /// memories, in order; see [`MemoryError::ids`].
        ids: Vec<MemoryId>,
        /// The driver's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The embedder failed.
    #[error("{operation}: {message}")]
    Embedder {
        /// The kind of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where known, what to do.
        message: String,
        /// The runtime's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The language model failed.
    #[error("{operation}: {message}")]
    LanguageModel {
        /// The kind of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened.
        message: String,
        /// The client's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The reranker failed.
    #[error("{operation}: {message}")]
    Reranker {
        /// The kind of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where known, what to do.
        message: String,
        /// The runtime's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The shared cache failed. The engine never returns it: it works without
    /// that cache.
    #[error("{operation}: {message}")]
    SharedCache {
        /// The kind of failure.
        kind: ErrorKind,
        /// What was being done.
        operation: &'static str,
        /// What happened and, where known, what to do.
        message: String,
        /// The client's own error.
        #[source]
        source: Option<SharedSource>,
    },

    /// The system is configured in a way that cannot work.
    #[error("configuration: {message}")]
    Configuration {
        /// What is wrong, and what is allowed.
        message: String,
    },

    /// A setting of [`MemoryConfig`](crate::MemoryConfig), a settings file or an
    /// environment variable is refused.
    #[error("configuration: {problem}")]
    InvalidSetting {
        /// Which setting, where it was made, and what is allowed.
        #[source]
        problem: Box<InvalidSetting>,
    },
}

impl MemoryError {
    /// The kind of this failure.
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
            Self::Configuration { .. } | Self::InvalidSetting { .. } => ErrorKind::Configuration,
            Self::Store { kind, .. }
            | Self::Embedder { kind, .. }
            | Self::LanguageModel { kind, .. }
            | Self::Reranker { kind, .. }
            | Self::SharedCache { kind, .. } => *kind,
        }
    }

    /// Whether the same call may succeed later.
    ///
    /// After [`ErrorKind::OutcomeUnknown`] the write may have happened: repeat
    /// it with the ids of [`ids`](Self::ids), which is a no-op if it did. The
    /// same items without ids would be retained twice.
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
            | Self::Reranker { operation, .. }
            | Self::SharedCache { operation, .. }
            | Self::Unsupported { operation, .. } => Some(operation),
            _ => None,
        }
    }

    /// After [`ErrorKind::OutcomeUnknown`] of a retain, the ids to repeat it
    /// with, one per item, in order; otherwise empty.
    #[must_use]
    pub fn ids(&self) -> &[MemoryId] {
        match self {
            Self::Store { ids, .. } => ids,
            _ => &[],
        }
    }

    /// Adds the ids to repeat a write of unknown outcome with.
    #[must_use]
    pub fn with_ids(mut self, retained: impl IntoIterator<Item = MemoryId>) -> Self {
        if let Self::Store { ids, .. } = &mut self {
            *ids = retained.into_iter().collect();
        }
        self
    }

    /// Names the item of a batch that an [`Self::InvalidInput`] is about.
    #[must_use]
    pub fn with_item(mut self, index: usize) -> Self {
        if let Self::InvalidInput { item, .. } = &mut self {
            *item = Some(index);
        }
        self
    }

    /// Names no item: of a batch with one item, whose caller gave no batch.
    #[must_use]
    pub fn without_item(mut self) -> Self {
        if let Self::InvalidInput { item, .. } = &mut self {
            *item = None;
        }
        self
    }

    /// A failure of a store, without a source.
    pub fn store(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Store {
            kind,
            operation,
            message: message.into(),
            ids: Vec::new(),
            source: None,
        }
    }

    /// A failure of an embedder, without a source.
    pub fn embedder(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Embedder {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// A failure of a language model, without a source.
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

    /// A failure of a reranker, without a source.
    pub fn reranker(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Reranker {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// A failure of a shared cache, without a source.
    pub fn shared_cache(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::SharedCache {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// A configuration that cannot work.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration {
            message: message.into(),
        }
    }

    /// Attaches the lower-level error, for [`Error::source`] and downcasting.
    #[must_use]
    pub fn with_source(mut self, lower: impl Error + Send + Sync + 'static) -> Self {
        if let Self::Store { source, .. }
        | Self::Embedder { source, .. }
        | Self::LanguageModel { source, .. }
        | Self::Reranker { source, .. }
        | Self::SharedCache { source, .. } = &mut self
        {
            *source = Some(SharedSource(Arc::new(lower)));
        }
        self
    }
}

/// Which item of a batch is meant, in the words that every interface uses.
fn in_batch(item: Option<usize>) -> String {
    item.map(|index| format!(" in item {index} of the batch, counted from 0"))
        .unwrap_or_default()
}

impl From<InvalidInput> for MemoryError {
    fn from(problem: InvalidInput) -> Self {
        Self::InvalidInput {
            problem,
            item: None,
        }
    }
}

impl From<InvalidSetting> for MemoryError {
    fn from(problem: InvalidSetting) -> Self {
        Self::InvalidSetting {
            problem: Box::new(problem),
        }
    }
}

#[cfg(test)]
mod tests;
