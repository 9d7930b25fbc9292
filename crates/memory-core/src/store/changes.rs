//! Generations, change markers and change streams.

use std::fmt;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::id::EntityId;

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

/// A version of all data of a store, for comparison only.
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

/// An event of a [`ChangeStream`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreEvent {
    /// A process, perhaps this one, wrote to the entity.
    Changed {
        /// Which entity.
        entity: EntityId,
        /// The entity's generation after it.
        generation: Generation,
    },
    /// The connection was lost: from here on, events may be missed.
    Disconnected,
    /// The connection is restored. Writes while it was lost are not reported.
    Reconnected,
    /// The store was closed: nothing follows.
    Closed,
}

/// Notifications of writes to a store, by any process.
///
/// An event follows the write after an unspecified time: it lets caches drop
/// outdated entries early and is never needed for correctness.
///
/// # Behavior
/// - Every write that raises a generation after
///   [`Store::watch`](super::Store::watch) returned is reported at least once,
///   or a [`StoreEvent::Disconnected`] is.
/// - `next` may be dropped and called again without losing events.
/// - While it is disconnected, it tries to reconnect with pauses between.
#[async_trait]
pub trait ChangeStream: Debug + Send {
    /// Waits for the next event.
    async fn next(&mut self) -> StoreEvent;
}
