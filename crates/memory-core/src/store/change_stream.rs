//! News of what others write.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Generation;
use crate::id::EntityId;

/// What a [`ChangeStream`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreEvent {
    /// Somebody, perhaps this very process, wrote to the entity.
    Changed {
        /// Whom the write was about.
        entity: EntityId,
        /// The entity's generation after it.
        generation: Generation,
    },
    /// The channel broke: from here on, news may be missed.
    Disconnected,
    /// The channel stands again. What was written while it was lost is not
    /// told any more.
    Reconnected,
    /// The store was closed: nothing follows.
    Closed,
}

/// A listener to what is written to a store, by whatever process.
///
/// News comes after the write, sooner or later: it makes caches fresh early
/// and is never needed for correctness.
///
/// # Behavior
/// - Every write that raises a generation after
///   [`Store::watch`](super::Store::watch) answered is told at least once, or
///   a [`StoreEvent::Disconnected`] is.
/// - `next` may be dropped and called again; nothing is lost by it.
/// - While the channel is broken it tries to mend it, with pauses between.
#[async_trait]
pub trait ChangeStream: Debug + Send {
    /// Waits for the next news.
    async fn next(&mut self) -> StoreEvent;
}
