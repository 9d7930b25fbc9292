//! The memory of one entity, and what it gives to an agent.

use memory::{EntityId, MemorySystem};

use crate::index::MemoryIndex;
use crate::tools::{ForgetTool, RecallTool, RetainTool};

/// The memory of one entity.
///
/// Cheap to clone: clones share the system with its caches.
#[derive(Debug, Clone)]
pub struct EntityMemory {
    pub(crate) system: MemorySystem,
    pub(crate) entity: EntityId,
}

impl EntityMemory {
    /// The memory of `entity` in `system`. An entity needs no creation: it has no memories
    /// until one is retained. A name that is empty or longer than
    /// [`memory::limits::MAX_ENTITY_ID_CHARS`] characters is refused by each call.
    pub fn new(system: MemorySystem, entity: impl Into<EntityId>) -> Self {
        Self {
            system,
            entity: entity.into(),
        }
    }

    /// The system, for its other operations.
    #[must_use]
    pub fn system(&self) -> &MemorySystem {
        &self.system
    }

    /// The entity whose memory it is.
    #[must_use]
    pub fn entity(&self) -> &EntityId {
        &self.entity
    }

    /// An index for `dynamic_context`, or for searches of your own.
    #[must_use]
    pub fn index(&self) -> MemoryIndex {
        MemoryIndex::new(self.clone())
    }

    /// A tool that stores a memory.
    #[must_use]
    pub fn retain_tool(&self) -> RetainTool {
        RetainTool(self.clone())
    }

    /// A tool that finds memories.
    #[must_use]
    pub fn recall_tool(&self) -> RecallTool {
        RecallTool(self.clone())
    }

    /// A tool that removes a memory for good.
    #[must_use]
    pub fn forget_tool(&self) -> ForgetTool {
        ForgetTool(self.clone())
    }
}
