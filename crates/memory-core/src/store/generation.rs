//! Versions: the [`Generation`] of an entity and the [`ChangeMarker`] of a store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How often an entity was written to: 0 before the first write, then one more
/// with each write that changed something.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first write.
    pub const ZERO: Self = Self(0);

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A version of everything that a store holds, for comparison only.
///
/// See [`Store::change_marker`](super::Store::change_marker).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeMarker([u64; 6]);

impl ChangeMarker {
    /// A marker of 48 bytes, in whatever form the store has them.
    #[must_use]
    pub const fn new(version: [u64; 6]) -> Self {
        Self(version)
    }
}
