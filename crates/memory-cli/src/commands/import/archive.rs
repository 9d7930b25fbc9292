//! Restoring archived memories below their summary.
//!
//! In a file the sources come before their summary. They are imported live;
//! when the summary is read, it is stored and its sources are archived in one
//! transaction.

use std::collections::{HashMap, HashSet};

use memory::{ErrorKind, MemoryId, MemorySystem, RestoreItem};

use super::batch::{ItemOutcome, Key};
use super::import_summary::Refusal;
use super::location::Location;
use crate::exit::Failure;
use crate::output::{count_noun, note};

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

    /// Stores a summary and archives its sources.
    pub(super) async fn restore_summary(
        &mut self,
        system: &MemorySystem,
        location: Location,
        summary: RestoreItem,
    ) -> Result<ItemOutcome, Failure> {
        let key = (summary.memory.entity_id.clone(), summary.memory.id);
        let mut sources = self.sources.remove(&key).unwrap_or_default();
        sources.sort_unstable();
        sources.dedup();
        let is_stored = |id: &MemoryId| !self.refused.contains(&(key.0.clone(), *id));
        sources.retain(is_stored);
        match system.restore_summary(summary, sources).await {
            Ok(true) => Ok(ItemOutcome::Imported),
            Ok(false) => Ok(ItemOutcome::AlreadyThere),
            Err(error) => match error.kind() {
                ErrorKind::Changed | ErrorKind::Conflict | ErrorKind::InvalidInput => {
                    self.refused.insert(key);
                    let refusal = Refusal::from_error(location, &error);
                    Ok(ItemOutcome::Refused(refusal))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Reports how many archived memories stay live because their summary was
    /// not in the file or came before them.
    pub(super) fn note_orphans(&self) {
        let orphans: usize = self.sources.values().map(Vec::len).sum();
        if orphans > 0 {
            let memories = count_noun(orphans as u64, "archived memory", "archived memories");
            note(format_args!(
                "{memories} had no summary after them in the file and remain live"
            ));
        }
    }
}
