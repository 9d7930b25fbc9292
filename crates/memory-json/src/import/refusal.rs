//! Memories that were not imported, and why.

use memory::{ErrorKind, MemoryError};
use serde::Serialize;

use super::location::Location;

/// A line or item that was not imported, and why. It quotes no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Where it is.
    #[serde(flatten)]
    pub location: Location,
    /// What kind of fault it is.
    pub kind: RefusalKind,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// Why a memory was not imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// It is malformed or exceeds a limit.
    InvalidInput,
    /// Its id belongs to a memory with other content.
    Conflict,
    /// Its entity has as many memories as it may have.
    LimitReached,
}

impl Refusal {
    /// A line or item that is malformed or exceeds a limit.
    #[must_use]
    pub fn malformed(location: Location, message: String) -> Self {
        Self {
            location,
            kind: RefusalKind::InvalidInput,
            message,
        }
    }

    /// A memory whose id belongs to one with other content.
    #[must_use]
    pub fn conflict(location: Location, message: String) -> Self {
        Self {
            location,
            kind: RefusalKind::Conflict,
            message,
        }
    }

    /// A memory that the memory system refused.
    #[must_use]
    pub fn from_error(location: Location, error: &MemoryError) -> Self {
        let message = match error {
            // The location says more than the index in the batch.
            MemoryError::InvalidInput { problem, .. } => problem.to_string(),
            other => other.to_string(),
        };
        let kind = match error.kind() {
            ErrorKind::Conflict => RefusalKind::Conflict,
            ErrorKind::LimitReached => RefusalKind::LimitReached,
            _ => RefusalKind::InvalidInput,
        };
        Self {
            location,
            kind,
            message,
        }
    }
}
