//! The kinds of failures.

/// The kind of a failure: what a program branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input is outside the limits.
    InvalidInput,
    /// There is no such memory.
    NotFound,
    /// The id is taken by other content.
    Conflict,
    /// The memory is archived under a summary.
    Archived,
    /// The memory changed since it was read.
    Changed,
    /// The entity has as many memories as its limit allows.
    LimitReached,
    /// The backend does not offer this.
    Unsupported,
    /// Busy, locked, out of connections or timed out: nothing happened, and
    /// the same call may succeed later.
    Unavailable,
    /// The connection broke while a write was being committed: it may or may
    /// not have happened. Retrying with the same ids is safe.
    OutcomeUnknown,
    /// No space left on the disk. Nothing was written.
    Full,
    /// The store is read-only.
    ReadOnly,
    /// The file or database belongs to another program. It was not changed.
    ForeignData,
    /// The schema is newer than this program knows. It was not changed.
    NewerSchema,
    /// What was read back is damaged.
    Corrupt,
    /// A required part (a runtime library, a model) is missing.
    Missing,
    /// The backend was closed.
    Closed,
    /// The configuration cannot work.
    Configuration,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether a write that failed with this kind is guaranteed to have changed nothing. `false`
    /// means unknown: the write may have been applied.
    #[must_use]
    pub const fn is_without_effect(self) -> bool {
        match self {
            Self::InvalidInput
            | Self::NotFound
            | Self::Conflict
            | Self::Archived
            | Self::Changed
            | Self::LimitReached
            | Self::Unsupported
            | Self::Unavailable
            | Self::Full
            | Self::ReadOnly
            | Self::ForeignData
            | Self::NewerSchema
            | Self::Closed => true,
            Self::OutcomeUnknown
            | Self::Corrupt
            | Self::Missing
            | Self::Configuration
            | Self::Other => false,
        }
    }

    /// The name for machines, in snake case: in metrics and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Archived => "archived",
            Self::Changed => "changed",
            Self::LimitReached => "limit_reached",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::ForeignData => "foreign_data",
            Self::NewerSchema => "newer_schema",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Closed => "closed",
            Self::Configuration => "configuration",
            Self::Other => "other",
        }
    }
}
