//! Accesses to record.

use chrono::{DateTime, Utc};

use crate::error::{MemoryError, MemoryResult};
use crate::id::{EntityId, MemoryId};
use crate::limits;
use crate::memory::Memory;

/// Accesses of one memory, to be recorded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUpdate {
    /// Whose memory.
    pub entity: EntityId,
    /// Which memory.
    pub id: MemoryId,
    /// How many accesses to add.
    pub accesses: u64,
    /// When the last of them was.
    pub last_accessed: DateTime<Utc>,
}

impl AccessUpdate {
    /// `accesses` of the memory `id` of `entity`, the last of them at `last_accessed`.
    pub fn new(
        entity: impl Into<EntityId>,
        id: MemoryId,
        accesses: u64,
        last_accessed: DateTime<Utc>,
    ) -> Self {
        Self {
            entity: entity.into(),
            id,
            accesses,
            last_accessed,
        }
    }

    /// Adds the accesses to `memory`; its last access only moves forward.
    pub fn apply(&self, memory: &mut Memory) {
        memory.access_count = memory.access_count.saturating_add(self.accesses);
        memory.last_accessed = memory.last_accessed.max(Some(self.last_accessed));
    }

    /// Checks the entities and the times of updates.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the item and the limit.
    pub fn validate_all(updates: &[Self]) -> MemoryResult<()> {
        for (index, update) in updates.iter().enumerate() {
            let time = limits::check_timestamp(update.last_accessed).map_err(MemoryError::from);
            let checked = update.entity.validate().and(time);
            checked.map_err(|problem| problem.with_item(index))?;
        }
        Ok(())
    }
}
