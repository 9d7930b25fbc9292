//! Restoring archived memories below their summary.
//!
//! In a file the sources come before their summary. They are imported live;
//! when the summary is read, it is stored and its sources are archived in one
//! transaction.

use std::collections::{HashMap, HashSet};

use memory::{ErrorKind, MemoryId, MemoryResult, MemorySystem, RestoreItem};

use super::ItemOutcome;
use super::batch::Key;
use super::location::Location;
use super::refusal::Refusal;

/// Archived memories and summaries seen so far; about 100 bytes per archived
/// memory.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// Sources by summary, for summaries that have not been read yet.
    sources: HashMap<Key, Vec<MemoryId>>,
    /// Refused memories, which no summary may claim as a source.
    refused: HashSet<Key>,
}

impl Archive {
    /// Records a source of a summary that comes later.
    pub(super) fn add_source(&mut self, summary: Key, source: MemoryId) {
        self.sources.entry(summary).or_default().push(source);
    }

    /// Whether sources of this memory came before.
    pub(super) fn is_summary(&self, key: &Key) -> bool {
        self.sources.contains_key(key)
    }

    /// Records refused memories.
    pub(super) fn exclude(&mut self, refused: Vec<Key>) {
        self.refused.extend(refused);
    }

    /// Takes the sources of a summary that were not refused.
    pub(super) fn take_sources(&mut self, summary: &Key) -> Vec<MemoryId> {
        let mut sources = self.sources.remove(summary).unwrap_or_default();
        sources.sort_unstable();
        sources.dedup();
        let is_stored = |id: &MemoryId| !self.refused.contains(&(summary.0.clone(), *id));
        sources.retain(is_stored);
        sources
    }

    /// Stores a summary and archives its sources, of which there are some.
    pub(super) async fn restore_summary(
        &mut self,
        system: &MemorySystem,
        location: Location,
        summary: RestoreItem,
        sources: Vec<MemoryId>,
    ) -> MemoryResult<ItemOutcome> {
        let key = (summary.memory.entity_id.clone(), summary.memory.id);
        match system.restore_summary(summary, sources).await {
            Ok(true) => Ok(ItemOutcome::Imported),
            Ok(false) => Ok(ItemOutcome::AlreadyThere),
            Err(error) => match error.kind() {
                ErrorKind::Changed
                | ErrorKind::Conflict
                | ErrorKind::InvalidInput
                | ErrorKind::LimitReached => {
                    self.refused.insert(key);
                    let refusal = Refusal::from_error(location, &error);
                    Ok(ItemOutcome::Refused(refusal))
                }
                _ => Err(error),
            },
        }
    }

    /// The number of archived memories whose summary did not come after them.
    pub(super) fn orphans(&self) -> usize {
        self.sources.values().map(Vec::len).sum()
    }
}
