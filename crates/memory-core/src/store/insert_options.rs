//! How many memories an entity may hold, and what gives way to new ones.

use std::collections::BTreeMap;

use crate::id::{EntityId, MemoryId};

/// How many memories the entities of a batch may hold, and which give way.
///
/// The store counts in the transaction that inserts, under the lock that
/// orders the entity's writers: a limit holds whoever writes beside. Which
/// memories give way, the caller says; whether that was enough, the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsertOptions {
    /// The most live memories that each entity of the batch may hold after it;
    /// any number when `None`.
    pub max_memories: Option<u64>,
    /// Removed first, as by [`Store::delete`](super::Store::delete), where
    /// something of the batch is inserted for that entity.
    pub evict: BTreeMap<EntityId, Vec<MemoryId>>,
}

impl InsertOptions {
    /// Any number of memories, and nothing gives way.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// At most `max_memories` live memories to an entity.
    #[must_use]
    pub fn at_most(max_memories: u64) -> Self {
        Self {
            max_memories: Some(max_memories),
            ..Self::default()
        }
    }

    /// `ids` of `entity` give way.
    #[must_use]
    pub fn evict(mut self, entity: EntityId, ids: impl IntoIterator<Item = MemoryId>) -> Self {
        self.evict.entry(entity).or_default().extend(ids);
        self
    }
}
