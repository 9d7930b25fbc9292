//! What a consolidation writes.

use std::collections::HashSet;

use super::{EmbeddedMemory, Generation};
use crate::error::{InvalidInput, MemoryError, MemoryResult};
use crate::id::{EntityId, MemoryId};

/// A summary, and the memories that it stands for from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryGroup {
    /// The new memory.
    pub summary: EmbeddedMemory,
    /// What it stands for: at least one.
    pub sources: Vec<MemoryId>,
}

impl SummaryGroup {
    /// `summary` stands for `sources`.
    pub fn new(summary: EmbeddedMemory, sources: impl IntoIterator<Item = MemoryId>) -> Self {
        Self {
            summary,
            sources: sources.into_iter().collect(),
        }
    }

    /// Holds every summary of `groups` to its bounds, and every group to its
    /// entity and to having sources that are its own.
    ///
    /// # Errors
    /// [`MemoryError::InvalidInput`] naming the group and what is wrong.
    pub fn validate_all(
        groups: &[Self],
        entity: &EntityId,
        max_dimensions: usize,
    ) -> MemoryResult<()> {
        let mut seen = HashSet::new();
        for (index, group) in groups.iter().enumerate() {
            group
                .validate(entity, max_dimensions, &mut seen)
                .map_err(|error| error.with_item(index))?;
        }
        Ok(())
    }

    /// `seen` holds every id, of summaries and sources, of the groups before.
    fn validate(
        &self,
        entity: &EntityId,
        max_dimensions: usize,
        seen: &mut HashSet<MemoryId>,
    ) -> MemoryResult<()> {
        self.summary.memory.validate()?;
        self.summary.embedding.validate(max_dimensions)?;
        if self.summary.memory.entity_id != *entity {
            return Err(InvalidInput::EntityMismatch.into());
        }
        if self.sources.is_empty() {
            return Err(InvalidInput::NoSources.into());
        }
        let ids = self.sources.iter().chain([&self.summary.memory.id]);
        for id in ids {
            if !seen.insert(*id) {
                return Err(MemoryError::from(InvalidInput::DuplicateId { id: *id }));
            }
        }
        Ok(())
    }
}

/// What [`Store::consolidate`](super::Store::consolidate) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsolidateOutcome {
    /// The entity's generation after it.
    pub generation: Generation,
}

impl ConsolidateOutcome {
    /// A consolidation after which the entity is at this generation.
    #[must_use]
    pub const fn new(generation: Generation) -> Self {
        Self { generation }
    }
}
